"""The ledger: every intent, what became of it, and every mail that was made of some."""

from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
    text,
)

from chassis.store import UtcDateTime
from services.notifier.tables.base import FALSE, ID, metadata, partial

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
    Column("asks_confirm", Boolean, nullable=False, server_default=FALSE),
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
    Column("entered_sending", Boolean, nullable=False, server_default=FALSE),
    Column("outcome_version", Integer, nullable=False, server_default=text("0")),
    Column("trace", String(55)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("request_id", ID),
    UniqueConstraint("tenant", "patient_id", "dedup_key", name="deliveries_dedup"),
    partial("deliveries_due", "priority", "due_at", where="state = 'planned'"),
    partial("deliveries_leased", "lease_until", where="state in ('claimed', 'sending')"),
    partial("deliveries_uncertain", "lease_until", where="state = 'uncertain'"),
    partial("deliveries_held", "reason", where="state = 'held'"),
    partial("deliveries_useful_until", "useful_until", where="state in ('planned', 'held')"),
    partial("deliveries_requested", "state", where="request_id is not null"),
    Index("deliveries_patient", "tenant", "patient_id"),
    Index("deliveries_mail", "mail_id"),
)
"""The ledger: one row per intent, for ever. ``domain.Delivery`` is what the pure core sees of it.

``trace`` is the W3C ``traceparent`` of what planned it last; its mail continues that trace. ``request_id`` is the other
service's request that it answers.
"""

PLANNED = deliveries.c.state == literal_column("'planned'")
UNCERTAIN = deliveries.c.state == literal_column("'uncertain'")
HELD = deliveries.c.state == literal_column("'held'")
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
