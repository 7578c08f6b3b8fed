"""Digests for coordinators."""

import sqlalchemy as sa
from alembic import op

from chassis.store import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

OPEN = sa.text("state in ('planned', 'claimed', 'sending')")


def upgrade() -> None:
    op.create_table(
        "digests",
        sa.Column("tenant", sa.String(length=16), nullable=False),
        sa.Column("digest_id", sa.String(length=36), nullable=False),
        sa.Column("subscription_id", sa.String(length=36), nullable=False),
        sa.Column("program", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column("content", sa.Text(), nullable=True),
        sa.Column("requested_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("not_before", UtcDateTime(), nullable=True),
        sa.Column("lease_token", sa.String(length=36), nullable=True),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("message_id", sa.String(length=300), nullable=True),
        sa.Column("program_version", sa.String(length=64), nullable=True),
        sa.Column("template_version", sa.String(length=64), nullable=True),
        sa.Column("sending_at", UtcDateTime(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("verdict", sa.String(length=16), nullable=True),
        sa.Column("phase", sa.String(length=16), nullable=True),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("enhanced", sa.String(length=16), nullable=True),
        sa.Column("trace", sa.String(length=55), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "digest_id"),
    )
    op.create_index(
        "digests_open",
        "digests",
        ["state", "expires_at"],
        unique=False,
        postgresql_where=OPEN,
        sqlite_where=OPEN,
    )
