"""The notifier's tables. Protected columns (``state``, ``content``) hold bytes sealed under the patient's own key.

Civil and database times never meet in one comparison: ``not_before`` and ``lease_until`` are the database's clock,
everything else is civil.
"""

from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
    text,
)

from chassis.batch import consumer_tables
from chassis.leases import leases_table
from chassis.outbox import outbox_table
from chassis.store import UtcDateTime

metadata = MetaData()
outbox = outbox_table(metadata)
leases = leases_table(metadata)
consumer = consumer_tables(metadata)

_FALSE = text("false")
ID = String(36)


def _partial(name: str, *columns: str, where: str) -> Index:
    return Index(name, *columns, postgresql_where=text(where), sqlite_where=text(where))


patients = Table(
    "patients",
    metadata,
    Column("tenant", String(16), primary_key=True),
    Column("patient_id", ID, primary_key=True),
    Column("revision", Integer, nullable=False, server_default=text("0")),
    Column("data_key", LargeBinary, nullable=False),
    Column("incomplete", Integer, nullable=False, server_default=text("0")),
    Column("email_hash", String(64)),
    Column("stale", Boolean, nullable=False, server_default=_FALSE),
    Column("replan_at", UtcDateTime),
    Column("plan_version", Integer, nullable=False, server_default=text("0")),
    Column("stub_since", UtcDateTime),
    Index("patients_replan_at", "replan_at"),
    _partial("patients_stale", "stale", where="stale"),
    Index("patients_email_hash", "tenant", "email_hash"),
)
"""One row a patient: the lock of all who plan or guard, its revision, and the wrapped key of what is protected."""

subjects = Table(
    "subjects",
    metadata,
    Column("tenant", String(16), primary_key=True),
    Column("subject", String(60), primary_key=True),
    Column("patient_id", ID, nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", LargeBinary, nullable=False),
    Index("subjects_patient", "tenant", "patient_id"),
)
"""The projection: each subject's newest state. No foreign keys: an event may come before the one it builds on."""

told = Table(
    "told",
    metadata,
    Column("tenant", String(16), primary_key=True),
    Column("appointment_id", ID, primary_key=True),
    Column("patient_id", ID, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("start", UtcDateTime),
    Column("site", String(64)),
    Column("modality", String(16)),
    Column("at", UtcDateTime, nullable=False),
    Column("by", String(36), nullable=False),
    Column("certain", Boolean, nullable=False),
    Index("told_patient", "tenant", "patient_id"),
)
"""What the patient last heard of each visit."""

deliveries = Table(
    "deliveries",
    metadata,
    Column("delivery_id", ID, primary_key=True),
    Column("tenant", String(16), nullable=False),
    Column("patient_id", ID, nullable=False),
    Column("dedup_key", String(200), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("program", String(16), nullable=False),
    Column("appointment_id", ID),
    Column("paperwork_id", ID),
    Column("step", String(16)),
    Column("rule", String(100), nullable=False),
    Column("rides", String(200)),
    Column("asks_confirm", Boolean, nullable=False, server_default=_FALSE),
    Column("asks_left", Integer),
    Column("priority", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(32)),
    Column("due_at", UtcDateTime, nullable=False),
    Column("due_local", String(32), nullable=False),
    Column("zone", String(64), nullable=False),
    Column("useful_until", UtcDateTime, nullable=False),
    Column("not_before", UtcDateTime),
    Column("tier", Integer),
    Column("mail_id", ID),
    Column("lease_token", ID),
    Column("lease_until", UtcDateTime),
    Column("cancel_requested", String(32)),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("entered_sending", Boolean, nullable=False, server_default=_FALSE),
    Column("outcome_version", Integer, nullable=False, server_default=text("0")),
    Column("trace", String(55)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    UniqueConstraint("tenant", "patient_id", "dedup_key", name="deliveries_dedup"),
    _partial("deliveries_due", "priority", "due_at", where="state = 'planned'"),
    _partial("deliveries_leased", "lease_until", where="state in ('claimed', 'sending')"),
    _partial("deliveries_uncertain", "lease_until", where="state = 'uncertain'"),
    _partial("deliveries_useful_until", "useful_until", where="state in ('planned', 'held')"),
    Index("deliveries_patient", "tenant", "patient_id"),
    Index("deliveries_mail", "mail_id"),
)
"""The ledger: one row per intent, for ever. ``domain.Delivery`` is what the pure core sees of it.

``trace`` is the W3C ``traceparent`` of what planned it last; its mail continues that trace.
"""

PLANNED = deliveries.c.state == literal_column("'planned'")
UNCERTAIN = deliveries.c.state == literal_column("'uncertain'")
IN_HAND = deliveries.c.state.in_([literal_column("'claimed'"), literal_column("'sending'")])
UNSENT = deliveries.c.state.in_([literal_column("'planned'"), literal_column("'held'")])
"""What the partial indexes say, word for word: SQLite uses one only for the same words, never for a bound value."""

history = Table(
    "history",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("delivery_id", ID, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("from_state", String(16)),
    Column("to_state", String(16), nullable=False),
    Column("reason", String(32)),
    Column("by", String(32), nullable=False),
    Index("history_delivery", "delivery_id", "id"),
    sqlite_autoincrement=True,
)
"""Append-only: every change of a delivery's state, with its civil time. ``by`` is plan, guard, sender or sweeper."""

mails = Table(
    "mails",
    metadata,
    Column("mail_id", ID, primary_key=True),
    Column("tenant", String(16), nullable=False),
    Column("patient_id", ID, nullable=False),
    Column("program", String(16), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("tier", Integer, nullable=False),
    Column("message_id", String(120), nullable=False),
    Column("address_hash", String(64), nullable=False),
    Column("program_version", String(64), nullable=False),
    Column("template_version", String(64), nullable=False),
    Column("looked_at", String, nullable=False),
    Column("tells", Text, nullable=False, server_default=text("'[]'")),
    Column("sending_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("verdict", String(16)),
    Column("phase", String(16)),
    Column("code", Integer),
    Column("enhanced", String(16)),
    Column("content", LargeBinary),
    Column("resends", Integer, nullable=False, server_default=text("0")),
    Index("mails_address", "tenant", "address_hash", "sending_at"),
    Index("mails_patient", "tenant", "patient_id", "sending_at"),
    Index("mails_program", "program", "sending_at"),
)
"""One row per attempt at a message: what was looked at, what it tells, what the server said.

``tells`` is what its reader will know of visits, as JSON. ``content`` only for safety notices.
"""

suppressions = Table(
    "suppressions",
    metadata,
    Column("tenant", String(16), primary_key=True),
    Column("address_hash", String(64), primary_key=True),
    Column("code", String(32), nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("delivery_id", ID),
)
"""Addresses that refused mail for good, by keyed hash."""

worklist = Table(
    "worklist",
    metadata,
    Column("item_id", ID, primary_key=True),
    Column("tenant", String(16), nullable=False),
    Column("patient_id", ID),
    Column("key", String(200), nullable=False),
    Column("code", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime),
    UniqueConstraint("tenant", "key", name="worklist_key"),
    Index("worklist_patient", "tenant", "patient_id"),
)
"""What was put on staff's worklist, so that it is opened once and closed when it no longer holds."""

arming = Table(
    "arming",
    metadata,
    Column("tenant", String(16), primary_key=True),
    Column("armed_at", UtcDateTime, nullable=False),
)
"""From when this installation is responsible for a tenant's mail. No row: disarmed, nothing goes out."""

programs = Table(
    "programs",
    metadata,
    Column("public_code", String(16), primary_key=True),
    Column("tenant", String(16), nullable=False),
    Column("version", String(64), nullable=False),
    Column("applied_at", UtcDateTime, nullable=False),
    Column("content", Text, nullable=False),
)
"""Each program as it was applied: what all instances plan with, whatever files they were started with."""
