"""Digests for coordinators: one row each, from the request to what the mail server said."""

from sqlalchemy import Column, Integer, String, Table, Text, literal_column, text

from chassis.store import UtcDateTime
from services.notifier.tables.base import ID, metadata, partial

digests = Table(
    "digests",
    metadata,
    Column("tenant", String(16), primary_key=True),
    Column("digest_id", ID, primary_key=True),
    Column("subscription_id", ID, nullable=False),
    Column("program", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(32)),
    Column("content", Text),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("not_before", UtcDateTime),
    Column("lease_token", ID),
    Column("lease_until", UtcDateTime),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("message_id", String(300)),
    Column("program_version", String(64)),
    Column("template_version", String(64)),
    Column("sending_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("verdict", String(16)),
    Column("phase", String(16)),
    Column("code", Integer),
    Column("enhanced", String(16)),
    Column("trace", String(55)),
    partial("digests_open", "state", "expires_at", where="state in ('planned', 'claimed', 'sending')"),
)
"""``content`` is the request, its address among it, sealed by the master key; forgotten once the digest is over.

``reason`` of a planned one says why it was put off. ``trace`` as in the ledger.
"""

OPEN_DIGESTS = digests.c.state.in_([literal_column(f"'{state}'") for state in ("planned", "claimed", "sending")])
"""What the partial index says, word for word, as in the ledger."""
