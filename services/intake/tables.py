"""Intake's tables. ``state`` holds bytes sealed under the patient's own key: the whole state, but ids, versions, times.

All instants are civil, except in the chassis' own tables.
"""

from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData, String, Table, Text

from chassis.consumer import consumer_tables
from chassis.leases import leases_table
from chassis.outbox import outbox_table
from chassis.store import UtcDateTime

metadata = MetaData()
outbox = outbox_table(metadata)
leases = leases_table(metadata)
consumer = consumer_tables(metadata)

ID = String(36)
SUBJECT = String(60)
TENANT = String(16)

patients = Table(
    "patients",
    metadata,
    Column("tenant", TENANT, primary_key=True),
    Column("patient_id", ID, primary_key=True),
    Column("data_key", LargeBinary),
)
"""One row a patient: the lock under which versions are allotted, and the wrapped key of what is protected.

A patient without a key was erased: what was sealed under it can't be read again.
"""

subjects = Table(
    "subjects",
    metadata,
    Column("tenant", TENANT, primary_key=True),
    Column("subject", SUBJECT, primary_key=True),
    Column("patient_id", ID, nullable=False),
    Column("program", String(16)),
    Column("version", Integer, nullable=False),
    Column("name", String(40), nullable=False),
    Column("adapter", String(20), nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("state", LargeBinary),
    Index("subjects_patient", "tenant", "patient_id"),
)
"""Each subject's newest state, and the name of the event that made it so."""

events = Table(
    "events",
    metadata,
    Column("tenant", TENANT, primary_key=True),
    Column("event_id", ID, primary_key=True),
    Column("patient_id", ID, nullable=False),
    Column("program", String(16)),
    Column("name", String(40), nullable=False),
    Column("subject", SUBJECT, nullable=False),
    Column("version", Integer, nullable=False),
    Column("time", UtcDateTime, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("adapter", String(20), nullable=False),
    Column("recorded_by", String(40), nullable=False),
    Column("state", LargeBinary),
    Index("events_patient", "tenant", "patient_id", "recorded_at"),
    Index("events_subject", "tenant", "subject", "version", unique=True),
)
"""Every accepted event, once: the timeline's past, and what makes a repeated post harmless."""

requests = Table(
    "requests",
    metadata,
    Column("tenant", TENANT, primary_key=True),
    Column("caller", String(40), primary_key=True),
    Column("key_hash", String(64), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("answer", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Index("requests_created", "created_at"),
)
"""Answers by ``Idempotency-Key``. Only hashes of key and body are kept."""

plans = Table(
    "plans",
    metadata,
    Column("tenant", TENANT, primary_key=True),
    Column("patient_id", ID, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("deliveries", Text, nullable=False),
)
"""The notifier's open deliveries of a patient at the newest version of its plan."""

deliveries = Table(
    "deliveries",
    metadata,
    Column("tenant", TENANT, primary_key=True),
    Column("delivery_id", ID, primary_key=True),
    Column("patient_id", ID, nullable=False),
    Column("program", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("plan_version", Integer, nullable=False),
    Column("delivery", Text, nullable=False),
    Index("deliveries_patient", "tenant", "patient_id"),
)
"""What became of deliveries. ``plan_version`` is the plan known when it was heard: a newer one may reopen it."""

worklist = Table(
    "worklist",
    metadata,
    Column("tenant", TENANT, primary_key=True),
    Column("item_id", ID, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("patient_id", ID),
    Column("program", String(16)),
    Column("code", String(64), nullable=False),
    Column("appointment_id", ID),
    Column("paperwork_id", ID),
    Column("delivery_id", ID),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime),
    Column("closed_at", UtcDateTime),
    Column("closed_by", String(40)),
    Column("note", Text),
    Index("worklist_patient", "tenant", "patient_id"),
    Index("worklist_closed", "tenant", "closed_at"),
)
"""What a person must do. ``closed_by`` is the API key that closed it; ``note`` is sealed."""
