"""The truth of one patient, as events have told it: each subject at its newest version.

All instants are UTC; ``zone`` fields are IANA names. Protected values stay wrapped.
"""

from dataclasses import dataclass
from datetime import date, datetime

from schemas.appointment import AppointmentStatus, ItemStatus, Modality
from schemas.envelope import Origin
from schemas.outcomes import Kind
from schemas.patient import ConsentDecision, ConsentScope, EnrolmentStatus, OutsideNetwork, PatientStatus
from schemas.protected import Protected

OFF = frozenset({AppointmentStatus.CANCELLED, AppointmentStatus.ENTERED_IN_ERROR})
"""A visit that no longer takes place."""


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
class Request:
    """A message that another service asks for: an invitation to a trial, in approved words, until ``expires_at``."""

    request_id: str
    program: str
    trial_id: str
    approval_id: str
    text_version: str
    language: str
    requested_at: datetime
    expires_at: datetime
    recorded_at: datetime
    origin: Origin = Origin.LIVE


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A request that no longer stands: the newer version of the same subject."""

    request_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """What the patient has ended on a page, at once: no mail of this kind, whatever else is known."""

    kind: Kind
    at: datetime


@dataclass(frozen=True, slots=True)
class Truth:
    """Everything known of one patient, each subject at its newest version; ``patient`` is None for a stub.

    ``requests`` are those that stand.
    """

    tenant: str
    patient_id: str
    patient: Patient | None = None
    enrolments: tuple[Enrolment, ...] = ()
    appointments: tuple[Appointment, ...] = ()
    paperwork: tuple[Paperwork, ...] = ()
    consents: tuple[Consent, ...] = ()
    preferences: tuple[Preference, ...] = ()
    requests: tuple[Request, ...] = ()
    stops: tuple[Stop, ...] = ()
    incomplete: bool = False
