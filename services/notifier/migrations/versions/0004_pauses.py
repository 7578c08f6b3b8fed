"""What people paused of a program's mail."""

import sqlalchemy as sa
from alembic import op

from chassis.store import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pauses",
        sa.Column("pause_id", sa.String(length=36), nullable=False),
        sa.Column("tenant", sa.String(length=16), nullable=False),
        sa.Column("program", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("paused_at", UtcDateTime(), nullable=False),
        sa.Column("paused_by", sa.String(length=40), nullable=False),
        sa.Column("paused_for", sa.String(length=200), nullable=False),
        sa.Column("resumed_at", UtcDateTime(), nullable=True),
        sa.Column("resumed_by", sa.String(length=40), nullable=True),
        sa.Column("resumed_for", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("pause_id"),
    )
    op.create_index(
        "pauses_open",
        "pauses",
        ["tenant", "program", "kind"],
        unique=True,
        postgresql_where=sa.text("resumed_at is null"),
        sqlite_where=sa.text("resumed_at is null"),
    )
