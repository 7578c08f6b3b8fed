"""What intake holds of one patient: each subject at its newest version. All instants are UTC civil times."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar, TypeVar

from schemas.appointment import AppointmentStatus, CareBlock, ItemStatus, Modality
from schemas.patient import (
    ConsentDecision,
    ConsentScope,
    ContactBlock,
    EnrolmentStatus,
    FactsBlock,
    OutsideNetwork,
    PatientStatus,
    Sex,
)
from schemas.protected import Protected


@dataclass(frozen=True, slots=True)
class Patient:
    """``before`` says where the record stood, last one last, before it was closed or the patient was reported dead."""

    family: ClassVar[str] = "patient"
    id: str
    version: int
    status: PatientStatus
    contact: ContactBlock | None = None
    sex: Protected[Sex] | None = None
    zone: str | None = None
    before: tuple[PatientStatus, ...] = ()
    program: ClassVar[str | None] = None


@dataclass(frozen=True, slots=True)
class Enrolment:
    family: ClassVar[str] = "enrolment"
    id: str
    version: int
    program: str
    status: EnrolmentStatus
    outside_network: OutsideNetwork


@dataclass(frozen=True, slots=True)
class Appointment:
    """``booked_at`` first booked, ``start_set_at`` the present start was set, ``changed_at`` last edit."""

    family: ClassVar[str] = "appointment"
    id: str
    version: int
    program: str
    status: AppointmentStatus
    start: datetime
    end: datetime | None
    zone: str
    modality: Modality
    care: CareBlock
    booked_at: datetime
    start_set_at: datetime
    changed_at: datetime
    patient_told_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One form of a request."""

    item_id: str
    form: str
    status: ItemStatus


@dataclass(frozen=True, slots=True)
class Paperwork:
    """``requested_at`` first asked, or asked again; ``changed_at`` last edit."""

    family: ClassVar[str] = "paperwork"
    id: str
    version: int
    program: str
    appointment_id: str | None
    items: tuple[Item, ...]
    requested_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Consent:
    family: ClassVar[str] = "consent"
    id: str
    version: int
    program: str | None
    scope: ConsentScope
    decision: ConsentDecision
    text_version: str
    decided_at: datetime
    recorded_by: str


@dataclass(frozen=True, slots=True)
class Preference:
    family: ClassVar[str] = "preference"
    id: str
    version: int
    program: str
    email: bool
    reminders: bool
    forms: bool
    paused_until: datetime | None


@dataclass(frozen=True, slots=True)
class Facts:
    family: ClassVar[str] = "facts"
    id: str
    version: int
    block: FactsBlock
    program: ClassVar[str | None] = None


State = Patient | Enrolment | Appointment | Paperwork | Consent | Preference | Facts
S = TypeVar("S", bound=State)


def subject_of(state: State) -> str:
    """``<family>/<id>``."""
    return f"{state.family}/{state.id}"


@dataclass(frozen=True, slots=True)
class Heard:
    """From which source a subject's newest event came, and when that source says it happened."""

    source: str
    time: datetime


@dataclass(frozen=True, slots=True)
class Record:
    """One patient's subjects by name. ``elsewhere`` names posted subjects that belong to another patient."""

    patient_id: str
    subjects: Mapping[str, State] = field(default_factory=dict)
    heard: Mapping[str, Heard] = field(default_factory=dict)
    elsewhere: frozenset[str] = frozenset()

    @property
    def patient(self) -> Patient | None:
        state = self.subjects.get(f"patient/{self.patient_id}")
        return state if isinstance(state, Patient) else None

    def find(self, kind: type[S], subject_id: str) -> S | None:
        """The state of this subject; None when it isn't known."""
        state = self.subjects.get(f"{kind.family}/{subject_id}")
        return state if isinstance(state, kind) else None

    def all(self, kind: type[S]) -> Iterator[S]:
        """Every subject of this family."""
        return (state for state in self.subjects.values() if isinstance(state, kind))

    def enrolled(self, program: str) -> bool:
        """Whether the patient's place in ``program`` is open."""
        return any(each.program == program and each.status is EnrolmentStatus.OPEN for each in self.all(Enrolment))

    def with_state(self, state: State, heard: Heard) -> "Record":
        """The record after ``state`` became the newest of its subject."""
        name = subject_of(state)
        return replace(self, subjects={**self.subjects, name: state}, heard={**self.heard, name: heard})
