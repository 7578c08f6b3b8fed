"""The tables of the notifier, with those the chassis brings."""

import sqlalchemy as sa
from alembic import op

from chassis.store import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:

    op.create_table(
        "arming",
        sa.Column("tenant", sa.String(length=16), nullable=False),
        sa.Column("armed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant"),
    )
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("consumer_group", sa.String(length=100), nullable=False),
        sa.Column("topic", sa.String(length=249), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("timestamp_ms", sa.BigInteger(), nullable=False),
        sa.Column("record_key", sa.LargeBinary(), nullable=True),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=True),
        sa.Column("reason", sa.String(length=100), nullable=False),
        sa.Column("error", sa.String(length=255), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=True),
        sa.Column("tenant", sa.String(length=255), nullable=True),
        sa.Column("event", sa.String(length=255), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("buried_at", UtcDateTime(), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("consumer_group", "topic", "partition", "position", "timestamp_ms"),
        sqlite_autoincrement=True,
    )
    op.create_index("dead_letters_of_key", "dead_letters", ["key", "state"], unique=False)
    op.create_table(
        "deliveries",
        sa.Column("delivery_id", sa.String(length=36), nullable=False),
        sa.Column("tenant", sa.String(length=16), nullable=False),
        sa.Column("patient_id", sa.String(length=36), nullable=False),
        sa.Column("dedup_key", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("program", sa.String(length=16), nullable=False),
        sa.Column("appointment_id", sa.String(length=36), nullable=True),
        sa.Column("paperwork_id", sa.String(length=36), nullable=True),
        sa.Column("step", sa.String(length=16), nullable=True),
        sa.Column("rule", sa.String(length=100), nullable=False),
        sa.Column("rides", sa.String(length=200), nullable=True),
        sa.Column("asks_confirm", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("asks_left", sa.Integer(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("due_local", sa.String(length=32), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("useful_until", UtcDateTime(), nullable=False),
        sa.Column("not_before", UtcDateTime(), nullable=True),
        sa.Column("tier", sa.Integer(), nullable=True),
        sa.Column("mail_id", sa.String(length=36), nullable=True),
        sa.Column("lease_token", sa.String(length=36), nullable=True),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("cancel_requested", sa.String(length=32), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("entered_sending", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("outcome_version", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("trace", sa.String(length=55), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("delivery_id"),
        sa.UniqueConstraint("tenant", "patient_id", "dedup_key", name="deliveries_dedup"),
    )
    op.create_index(
        "deliveries_due",
        "deliveries",
        ["priority", "due_at"],
        unique=False,
        postgresql_where=sa.text("state = 'planned'"),
        sqlite_where=sa.text("state = 'planned'"),
    )
    op.create_index(
        "deliveries_leased",
        "deliveries",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("state in ('claimed', 'sending')"),
        sqlite_where=sa.text("state in ('claimed', 'sending')"),
    )
    op.create_index("deliveries_mail", "deliveries", ["mail_id"], unique=False)
    op.create_index("deliveries_patient", "deliveries", ["tenant", "patient_id"], unique=False)
    op.create_index(
        "deliveries_uncertain",
        "deliveries",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("state = 'uncertain'"),
        sqlite_where=sa.text("state = 'uncertain'"),
    )
    op.create_index(
        "deliveries_useful_until",
        "deliveries",
        ["useful_until"],
        unique=False,
        postgresql_where=sa.text("state in ('planned', 'held')"),
        sqlite_where=sa.text("state in ('planned', 'held')"),
    )
    op.create_table(
        "history",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("delivery_id", sa.String(length=36), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("from_state", sa.String(length=16), nullable=True),
        sa.Column("to_state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column("by", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("history_delivery", "history", ["delivery_id", "id"], unique=False)
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "mails",
        sa.Column("mail_id", sa.String(length=36), nullable=False),
        sa.Column("tenant", sa.String(length=16), nullable=False),
        sa.Column("patient_id", sa.String(length=36), nullable=False),
        sa.Column("program", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("tier", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.String(length=120), nullable=False),
        sa.Column("address_hash", sa.String(length=64), nullable=False),
        sa.Column("program_version", sa.String(length=64), nullable=False),
        sa.Column("template_version", sa.String(length=64), nullable=False),
        sa.Column("looked_at", sa.String(), nullable=False),
        sa.Column("tells", sa.Text(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("sending_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("verdict", sa.String(length=16), nullable=True),
        sa.Column("phase", sa.String(length=16), nullable=True),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("enhanced", sa.String(length=16), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("resends", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("mail_id"),
    )
    op.create_index("mails_address", "mails", ["tenant", "address_hash", "sending_at"], unique=False)
    op.create_index("mails_program", "mails", ["program", "sending_at"], unique=False)
    op.create_index("mails_patient", "mails", ["tenant", "patient_id", "sending_at"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=True),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("published", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "outbox_unsent",
        "outbox",
        ["id"],
        unique=False,
        sqlite_where=sa.text("published IS 0"),
        postgresql_where=sa.text("published IS false"),
    )
    op.create_table(
        "patients",
        sa.Column("tenant", sa.String(length=16), nullable=False),
        sa.Column("patient_id", sa.String(length=36), nullable=False),
        sa.Column("revision", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("data_key", sa.LargeBinary(), nullable=False),
        sa.Column("incomplete", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("email_hash", sa.String(length=64), nullable=True),
        sa.Column("stale", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("replan_at", UtcDateTime(), nullable=True),
        sa.Column("plan_version", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("stub_since", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "patient_id"),
    )
    op.create_index("patients_email_hash", "patients", ["tenant", "email_hash"], unique=False)
    op.create_index("patients_replan_at", "patients", ["replan_at"], unique=False)
    op.create_index(
        "patients_stale",
        "patients",
        ["stale"],
        unique=False,
        postgresql_where=sa.text("stale"),
        sqlite_where=sa.text("stale"),
    )
    op.create_table(
        "positions",
        sa.Column("consumer_group", sa.String(length=100), nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("caught_up_at", UtcDateTime(), nullable=True),
        sa.Column("fresh_as_of", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("consumer_group", "partition"),
    )
    op.create_table(
        "programs",
        sa.Column("public_code", sa.String(length=16), nullable=False),
        sa.Column("tenant", sa.String(length=16), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("applied_at", UtcDateTime(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("public_code"),
    )
    op.create_table(
        "subjects",
        sa.Column("tenant", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=60), nullable=False),
        sa.Column("patient_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "subject"),
    )
    op.create_index("subjects_patient", "subjects", ["tenant", "patient_id"], unique=False)
    op.create_table(
        "suppressions",
        sa.Column("tenant", sa.String(length=16), nullable=False),
        sa.Column("address_hash", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("delivery_id", sa.String(length=36), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "address_hash"),
    )
    op.create_table(
        "told",
        sa.Column("tenant", sa.String(length=16), nullable=False),
        sa.Column("appointment_id", sa.String(length=36), nullable=False),
        sa.Column("patient_id", sa.String(length=36), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("start", UtcDateTime(), nullable=True),
        sa.Column("site", sa.String(length=64), nullable=True),
        sa.Column("modality", sa.String(length=16), nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("by", sa.String(length=36), nullable=False),
        sa.Column("certain", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "appointment_id"),
    )
    op.create_index("told_patient", "told", ["tenant", "patient_id"], unique=False)
    op.create_table(
        "worklist",
        sa.Column("item_id", sa.String(length=36), nullable=False),
        sa.Column("tenant", sa.String(length=16), nullable=False),
        sa.Column("patient_id", sa.String(length=36), nullable=True),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("item_id"),
        sa.UniqueConstraint("tenant", "key", name="worklist_key"),
    )
    op.create_index("worklist_patient", "worklist", ["tenant", "patient_id"], unique=False)
