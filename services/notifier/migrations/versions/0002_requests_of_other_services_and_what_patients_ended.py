"""Requests of other services, and what patients ended on a page."""

import sqlalchemy as sa
from alembic import op

from chassis.store import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("request_id", sa.String(length=36), nullable=True))
    op.create_index(
        "deliveries_requested",
        "deliveries",
        ["state"],
        unique=False,
        postgresql_where=sa.text("request_id is not null"),
        sqlite_where=sa.text("request_id is not null"),
    )
    op.create_table(
        "stops",
        sa.Column("tenant", sa.String(length=16), nullable=False),
        sa.Column("patient_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("answer_id", sa.String(length=36), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "patient_id", "kind"),
    )
