"""What past verdicts were made of: from now on, beginning with what is known today."""

import json

import sqlalchemy as sa
from alembic import op

from chassis.store import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TRIALS = sa.table(
    "trials",
    *(sa.column(name) for name in ("tenant", "trial_id", "version", "published")),
    sa.column("published_at", UtcDateTime()),
)


def upgrade() -> None:
    op.create_table(
        "past_subjects",
        sa.Column("tenant", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=60), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("patient_id", sa.String(length=36), nullable=False),
        sa.Column("facts_version", sa.Integer(), nullable=False),
        sa.Column("known_at", UtcDateTime(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "subject", "version"),
    )
    op.create_index(
        "past_subjects_patient", "past_subjects", ["tenant", "patient_id", "facts_version"], unique=False
    )
    past_trials = op.create_table(
        "past_trials",
        sa.Column("tenant", sa.String(length=16), nullable=False),
        sa.Column("trial_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("criteria_version", sa.String(length=13), nullable=False),
        sa.Column("published_at", UtcDateTime(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "trial_id", "version"),
    )
    op.execute(
        "INSERT INTO past_subjects (tenant, subject, version, patient_id, facts_version, known_at, state) "
        "SELECT s.tenant, s.subject, s.version, s.patient_id, p.facts_version, p.changed_at, s.state "
        "FROM subjects AS s JOIN patients AS p ON p.tenant = s.tenant AND p.patient_id = s.patient_id"
    )
    published = op.get_bind().execute(sa.select(TRIALS).where(TRIALS.c.published.is_not(None))).mappings()
    op.bulk_insert(past_trials, [_as_kept(row) for row in published])


def _as_kept(row: sa.RowMapping) -> dict[str, object]:
    kept = {name: row[name] for name in ("tenant", "trial_id", "version", "published_at")}
    return kept | {"criteria_version": json.loads(row["published"])["criteria_version"], "state": row["published"]}
