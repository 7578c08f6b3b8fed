"""What the notifier reasons about, on frozen dataclasses: the truth of one patient, what they were told, deliveries.

All instants are UTC; ``zone`` fields are IANA names. Protected values stay wrapped.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Literal

from schemas.appointment import AppointmentStatus, ItemStatus, Modality
from schemas.envelope import Origin
from schemas.outcomes import DeliveryState, Kind
from schemas.patient import ConsentDecision, ConsentScope, EnrolmentStatus, OutsideNetwork, PatientStatus
from schemas.protected import Protected

SAFETY = frozenset({Kind.CHANGE, Kind.CANCELLATION})
"""Kinds that must reach the patient: exempt from caps and preferences, sent again once out of ``uncertain``."""

OPEN_STATES = frozenset({DeliveryState.PLANNED, DeliveryState.CLAIMED, DeliveryState.SENDING, DeliveryState.HELD})
OFF = frozenset({AppointmentStatus.CANCELLED, AppointmentStatus.ENTERED_IN_ERROR})
"""A visit that no longer takes place."""

TOLD_STATES = frozenset(
    {DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.UNCERTAIN, DeliveryState.COMPLAINED}
)
"""States of a mail that may have reached its reader."""


class Reason(StrEnum):
    """Why a delivery was not sent. The three classes are ``FINAL``, ``UNTIL`` and ``ON_EVENT`` (messaging rules)."""

    VISIT_CANCELLED = "visit_cancelled"
    SUPERSEDED = "superseded"
    PAPERWORK_RECEIVED = "paperwork_received"
    OPTED_OUT = "opted_out"
    DECEASED = "deceased"
    MERGED_RECORD = "merged_record"
    COLLAPSED = "collapsed"
    BEFORE_ARMING = "before_arming"
    TOO_LATE = "too_late"
    MODALITY_MISMATCH = "modality_mismatch"
    TRIALS_NOT_OFFERED = "trials_not_offered"
    IRB_EXPIRED = "irb_expired"
    MATCH_WITHDRAWN = "match_withdrawn"

    QUIET_HOLD = "quiet_hold"
    SETTLE = "settle"
    CAP_REACHED = "cap_reached"
    DOMAIN_THROTTLE = "domain_throttle"
    BREAKER_OPEN = "breaker_open"
    STALE_TRUTH = "stale_truth"
    FEED_STALE = "feed_stale"

    CONSENT_MISSING = "consent_missing"
    RESTRICTED = "restricted"
    MINOR_REVIEW = "minor_review"
    NO_ADDRESS = "no_address"
    UNVERIFIED_ADDRESS = "unverified_address"
    ADDRESS_DISPUTED = "address_disputed"
    SUPPRESSED = "suppressed"
    TRUTH_INCOMPLETE = "truth_incomplete"
    PROGRAM_INCOMPLETE = "program_incomplete"
    PROGRAM_PAUSED = "program_paused"
    CONTENT_EXPIRED = "content_expired"
    RENDER_ERROR = "render_error"
    PHI_LINT = "phi_lint"


UNTIL = frozenset({
    Reason.QUIET_HOLD, Reason.SETTLE, Reason.CAP_REACHED, Reason.DOMAIN_THROTTLE, Reason.BREAKER_OPEN,
    Reason.STALE_TRUTH, Reason.FEED_STALE,
})  # fmt: skip
ON_EVENT = frozenset({
    Reason.CONSENT_MISSING, Reason.RESTRICTED, Reason.MINOR_REVIEW, Reason.NO_ADDRESS, Reason.UNVERIFIED_ADDRESS,
    Reason.ADDRESS_DISPUTED, Reason.SUPPRESSED, Reason.TRUTH_INCOMPLETE, Reason.PROGRAM_INCOMPLETE,
    Reason.PROGRAM_PAUSED, Reason.CONTENT_EXPIRED, Reason.RENDER_ERROR, Reason.PHI_LINT,
})  # fmt: skip
FINAL = frozenset(Reason) - UNTIL - ON_EVENT


@dataclass(frozen=True, slots=True)
class Patient:
    """Whom we write to. ``email_hash`` is the address's keyed hash; ``shares_address``: another patient has it too."""

    status: PatientStatus
    zone: str | None
    given_name: Protected[str] | None
    birth_date: Protected[date] | None
    email: Protected[str] | None
    email_verified_at: datetime | None
    language: str
    email_hash: str | None = None
    shares_address: bool = False
    merged_into: str | None = None


@dataclass(frozen=True, slots=True)
class Enrolment:
    enrolment_id: str
    program: str
    status: EnrolmentStatus
    outside_network: OutsideNetwork


@dataclass(frozen=True, slots=True)
class Appointment:
    """A visit at its newest version. ``adapter`` is the last part of the source (``api``, ``console``, ``fhir`` …)."""

    appointment_id: str
    version: int
    program: str
    status: AppointmentStatus
    start: datetime
    end: datetime | None
    zone: str
    modality: Modality
    visit_type: str
    site: str | None
    clinician: Protected[str] | None
    booked_at: datetime
    start_set_at: datetime
    changed_at: datetime
    recorded_at: datetime
    patient_told_at: datetime | None = None
    adapter: str = "api"
    origin: Origin = Origin.LIVE


@dataclass(frozen=True, slots=True)
class PaperworkItem:
    item_id: str
    form: str
    status: ItemStatus


@dataclass(frozen=True, slots=True)
class Paperwork:
    """One request for forms, for a visit or for none."""

    paperwork_id: str
    program: str
    appointment_id: str | None
    items: tuple[PaperworkItem, ...]
    requested_at: datetime
    changed_at: datetime
    recorded_at: datetime
    adapter: str = "api"
    origin: Origin = Origin.LIVE

    @property
    def missing(self) -> tuple[PaperworkItem, ...]:
        """The forms still asked for."""
        return tuple(item for item in self.items if item.status is ItemStatus.REQUESTED)


@dataclass(frozen=True, slots=True)
class Consent:
    consent_id: str
    scope: ConsentScope
    decision: ConsentDecision
    decided_at: datetime
    program: str | None


@dataclass(frozen=True, slots=True)
class Preference:
    program: str
    email: bool
    reminders: bool
    forms: bool
    paused_until: datetime | None


@dataclass(frozen=True, slots=True)
class Truth:
    """Everything known of one patient, each subject at its newest version; ``patient`` is None for a stub."""

    tenant: str
    patient_id: str
    patient: Patient | None = None
    enrolments: tuple[Enrolment, ...] = ()
    appointments: tuple[Appointment, ...] = ()
    paperwork: tuple[Paperwork, ...] = ()
    consents: tuple[Consent, ...] = ()
    preferences: tuple[Preference, ...] = ()
    incomplete: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """What the patient last heard of a visit. ``start`` is None after a cancellation notice: told that it is off.

    ``sequence`` is the version of the appointment they heard of. ``by`` is ``staff`` or a delivery id; ``certain`` is
    False when that mail is ``uncertain``.
    """

    appointment_id: str
    sequence: int
    start: datetime | None
    site: str | None
    modality: Modality | None
    at: datetime
    by: str
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Delivery:
    """One intent and where it stands in the ledger. ``created_at`` is when it was first planned (civil).

    ``reason`` of a planned one says why the guard put it off to ``due_at``. ``tier`` is set once it was sent.
    """

    delivery_id: str
    dedup_key: str
    kind: Kind
    program: str
    state: DeliveryState
    reason: Reason | None
    due_at: datetime
    useful_until: datetime
    appointment_id: str | None = None
    paperwork_id: str | None = None
    step: str | None = None
    mail_id: str | None = None
    entered_sending: bool = False
    ended_at: datetime | None = None
    rides: str | None = None
    tier: int | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Ledger:
    """What has happened to one patient: every delivery ever made for them, and what they were told, by visit."""

    deliveries: tuple[Delivery, ...] = ()
    told: Mapping[str, Told] = field(default_factory=dict)
    armed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A delivery the plan wants. ``due_at`` is the instant of ``due_local`` in ``zone``; lower ``priority`` goes first.

    ``rides`` is the dedup key of the delivery whose mail this one shares, where the plan already knows.
    ``end`` is set for an intent that will not be sent: it is recorded as skipped with that reason.
    ``asks_confirm`` marks the step that asks; ``asks_left`` how many paperwork asks may follow.
    ``rule`` names the policy rule in short, such as ``consultation/on-site/P3D``.
    """

    dedup_key: str
    kind: Kind
    program: str
    due_at: datetime
    due_local: str
    zone: str
    useful_until: datetime
    priority: int
    appointment_id: str | None = None
    paperwork_id: str | None = None
    step: str | None = None
    rides: str | None = None
    end: Reason | None = None
    asks_confirm: bool = False
    asks_left: int | None = None
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """Something for the worklist. ``key`` is its stable name; it is due for a person at ``due_at``."""

    key: str
    code: str
    program: str
    due_at: datetime
    appointment_id: str | None = None
    paperwork_id: str | None = None
    urgency: Literal["now", "normal"] = "normal"


@dataclass(frozen=True, slots=True)
class Plan:
    """What should go out for one patient, as of one civil time; ``replan_at`` is when time alone changes it.

    ``tasks`` are all the plan's tasks that stand now: a new key is opened, one that is gone is closed.
    ``unwanted`` says by dedup key why an open delivery of the ledger is no longer wanted.
    """

    wanted: tuple[Wanted, ...]
    tasks: tuple[Task, ...]
    replan_at: datetime | None
    unwanted: Mapping[str, Reason] = field(default_factory=dict)
