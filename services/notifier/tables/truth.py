"""What is known: patients, the newest state of their subjects, what they were told, and the programs."""

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, String, Table, Text, text

from chassis.store import UtcDateTime
from services.notifier.tables.base import FALSE, ID, metadata, partial

patients = Table(
    "patients",
    metadata,
    Column("tenant", String(16), primary_key=True),
    Column("patient_id", ID, primary_key=True),
    Column("revision", Integer, nullable=False, server_default=text("0")),
    Column("data_key", LargeBinary, nullable=False),
    Column("incomplete", Integer, nullable=False, server_default=text("0")),
    Column("email_hash", String(64)),
    Column("stale", Boolean, nullable=False, server_default=FALSE),
    Column("replan_at", UtcDateTime),
    Column("plan_version", Integer, nullable=False, server_default=text("0")),
    Column("stub_since", UtcDateTime),
    Index("patients_replan_at", "replan_at"),
    partial("patients_stale", "stale", where="stale"),
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
