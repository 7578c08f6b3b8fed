"""What people decide or must do: refused addresses, what patients ended, the worklist, who is armed, what is paused."""

from sqlalchemy import Column, Index, Integer, String, Table, UniqueConstraint, text

from chassis.store import UtcDateTime
from services.notifier.tables.base import ID, metadata

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

stops = Table(
    "stops",
    metadata,
    Column("tenant", String(16), primary_key=True),
    Column("patient_id", ID, primary_key=True),
    Column("kind", String(40), primary_key=True),
    Column("answer_id", ID, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)
"""What patients ended on a page: no mail of the kind from then on, whether intake knows of the answer yet or not."""

arming = Table(
    "arming",
    metadata,
    Column("tenant", String(16), primary_key=True),
    Column("armed_at", UtcDateTime, nullable=False),
)
"""From when this installation is responsible for a tenant's mail. No row: disarmed, nothing goes out."""

ALL_KINDS = ""
"""``pauses.kind`` of a pause of all of a program's mail."""

pauses = Table(
    "pauses",
    metadata,
    Column("pause_id", ID, primary_key=True),
    Column("tenant", String(16), nullable=False),
    Column("program", String(16), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("paused_at", UtcDateTime, nullable=False),
    Column("paused_by", String(40), nullable=False),
    Column("paused_for", String(200), nullable=False),
    Column("resumed_at", UtcDateTime),
    Column("resumed_by", String(40)),
    Column("resumed_for", String(200)),
    Index(
        "pauses_open", "tenant", "program", "kind", unique=True,
        postgresql_where=text("resumed_at is null"), sqlite_where=text("resumed_at is null"),
    ),
)  # fmt: skip
"""A program's mail that people stopped: who, when (civil) and why. Rows stay for ever; one not resumed holds mail."""
