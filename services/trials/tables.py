"""The trials service's tables. Protected columns (``state``, ``secret``) hold bytes sealed under the patient's own key,
or under the master key where no patient is meant. No name, address or e-mail of a patient comes here.

``patients.changed_at`` is the database's clock; all else is civil.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
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
TENANT = String(16)

catalogue = Table(
    "catalogue",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("change", BigInteger, nullable=False),
)
"""One row, its number grows with every change of a published trial. Who evaluates patients shares it, who publishes
holds it alone: so nobody is ever evaluated against a catalogue that has changed meanwhile.
"""

patients = Table(
    "patients",
    metadata,
    Column("tenant", TENANT, primary_key=True),
    Column("patient_id", ID, primary_key=True),
    Column("data_key", LargeBinary),
    Column("incomplete", Integer, nullable=False, server_default=text("0")),
    Column("facts_version", Integer, nullable=False, server_default=text("0")),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("next_change", UtcDateTime),
    Index("patients_changed_at", "changed_at"),
    Index("patients_next_change", "next_change"),
)
"""One row a patient: the lock. ``facts_version`` grows with each change of what is known; ``changed_at``: when the
patient was last judged, by which an instance catches up; ``next_change``: when time alone changes something. Without a
key: erased.
"""

subjects = Table(
    "subjects",
    metadata,
    Column("tenant", TENANT, primary_key=True),
    Column("subject", String(60), primary_key=True),
    Column("patient_id", ID, nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", LargeBinary, nullable=False),
    Index("subjects_patient", "tenant", "patient_id"),
)
"""Each subject's newest state, sealed under its patient's key."""

past_subjects = Table(
    "past_subjects",
    metadata,
    Column("tenant", TENANT, primary_key=True),
    Column("subject", String(60), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("patient_id", ID, nullable=False),
    Column("facts_version", Integer, nullable=False),
    Column("known_at", UtcDateTime, nullable=False),
    Column("state", LargeBinary, nullable=False),
    Index("past_subjects_patient", "tenant", "patient_id", "facts_version"),
)
"""Every state that verdicts were made of, sealed as in ``subjects``, from the patient's ``facts_version`` on. By them
any past verdict is made again. Gone with the patient's key.
"""

trials = Table(
    "trials",
    metadata,
    Column("tenant", TENANT, primary_key=True),
    Column("trial_id", ID, primary_key=True),
    Column("registry_id", String(31), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("record", Text, nullable=False),
    Column("draft", Text, nullable=False),
    Column("published", Text),
    Column("version", Integer, nullable=False, server_default=text("0")),
    Column("change", BigInteger, nullable=False, server_default=text("0")),
    Column("drained", Integer, nullable=False, server_default=text("0")),
    Column("imported_at", UtcDateTime, nullable=False),
    Column("published_at", UtcDateTime),
    Column("published_by", String(40)),
    Column("released_at", UtcDateTime),
    Column("released_by", String(40)),
    UniqueConstraint("tenant", "registry_id"),
    Index("trials_change", "change"),
)
"""``record`` is what was kept of the registry's, ``draft`` what a coordinator is working on, ``published`` what counts:
JSON of ``TrialState``. ``drained``: up to which version all patients have been compared. ``released``: invitations.
"""

past_trials = Table(
    "past_trials",
    metadata,
    Column("tenant", TENANT, primary_key=True),
    Column("trial_id", ID, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("criteria_version", String(13), nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    Column("state", Text, nullable=False),
)
"""Every state of a trial that counted once, JSON of ``TrialState``: by them past verdicts are made again."""

matches = Table(
    "matches",
    metadata,
    Column("tenant", TENANT, primary_key=True),
    Column("patient_id", ID, primary_key=True),
    Column("trial_id", ID, primary_key=True),
    Column("match_id", ID, nullable=False, unique=True),
    Column("program", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("verdict", String(10), nullable=False),
    Column("unknown", Text, nullable=False),
    Column("facts_version", Integer, nullable=False),
    Column("criteria_version", String(13), nullable=False),
    Column("as_of", Date, nullable=False),
    Column("found_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("withdrawn", String(64)),
    Column("workflow", String(20), nullable=False, server_default=text("'found'")),
    Index("matches_trial", "tenant", "trial_id"),
)
"""Eligible and possible pairs, and tombstones of withdrawn ones. ``unknown``: ids of criteria, JSON."""

invitations = Table(
    "invitations",
    metadata,
    Column("tenant", TENANT, primary_key=True),
    Column("patient_id", ID, primary_key=True),
    Column("trial_id", ID, primary_key=True),
    Column("request_id", ID, nullable=False, unique=True),
    Column("program", String(16), nullable=False),
    Column("state", String(10), nullable=False),
    Column("version", Integer, nullable=False),
    Column("approval_id", String(200)),
    Column("text_version", String(200)),
    Column("language", String(20)),
    Column("reason", String(64)),
    Column("due_at", UtcDateTime, nullable=False),
    Column("requested_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Index("invitations_waiting", "due_at", postgresql_where=text("state = 'waiting'"),
          sqlite_where=text("state = 'waiting'")),
    Index("invitations_trial", "tenant", "trial_id"),
)  # fmt: skip
"""Once for life per patient and trial: waiting (release, caps), requested, sent, withdrawn or ended."""

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("subscription_id", ID, primary_key=True),
    Column("tenant", TENANT, nullable=False),
    Column("owner", String(40), nullable=False),
    Column("name", String(200), nullable=False),
    Column("channel", String(10), nullable=False),
    Column("state", String(10), nullable=False),
    Column("filter", Text, nullable=False),
    Column("secrets", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("sequence", BigInteger, nullable=False, server_default=text("0")),
    Column("delivered", BigInteger, nullable=False, server_default=text("0")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("not_before", UtcDateTime),
    Column("digest_day", Date),
    Index("subscriptions_owner", "tenant", "owner"),
)
"""A coordinator's subscription, and the lock of its log. ``owner`` is an API key's id; ``secrets`` is sealed under the
master ring. ``sequence`` is the last number of its log, ``delivered`` up to where its channel has carried it; of a
webhook, ``attempts`` that failed at the next one, and ``not_before`` (the database's clock) when to try again;
``digest_day``: the last civil day whose digest is made.
"""

reports = Table(
    "reports",
    metadata,
    Column("subscription_id", ID, primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("report_id", ID, nullable=False, unique=True),
    Column("name", String(40), nullable=False),
    Column("match_id", ID),
    Column("body", Text, nullable=False),
    Index("reports_match", "subscription_id", "match_id"),
)
"""What each subscription's coordinator is told, in order: the one source of every channel. ``body`` is JSON of
``MatchReport``, pseudonymous.
"""

told = Table(
    "told",
    metadata,
    Column("subscription_id", ID, primary_key=True),
    Column("match_id", ID, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("verdict", String(10)),
)
"""Up to which version a subscription has followed a match, and what its coordinator takes for true; no verdict: that
there is none.
"""

revisions = Table(
    "revisions",
    metadata,
    Column("subscription_id", ID, primary_key=True),
    Column("trial_id", ID, primary_key=True),
    Column("criteria_version", String(13), nullable=False),
    Column("collecting", Boolean, nullable=False),
    Column("found", Integer, nullable=False),
    Column("changed", Integer, nullable=False),
    Column("withdrawn", Integer, nullable=False),
)
"""The newest criteria of a trial that a subscription has seen. While ``collecting``, what they change is counted."""
