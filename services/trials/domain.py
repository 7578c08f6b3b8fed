"""What trials know of one patient: who they are, their programs and visits, whether they may be asked, recorded facts.

Facts are kept as they came: a new vocabulary reads them anew. Nobody's name or address is here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from schemas.appointment import AppointmentStatus
from schemas.patient import ConsentDecision, EnrolmentStatus, Fact, PatientStatus
from schemas.programs import Program
from schemas.protected import Protected
from schemas.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Patient:
    """The person. A patient nobody registered has no birth date, and no status that permits anything."""

    status: PatientStatus = PatientStatus.UNKNOWN
    birth_date: Protected[date] | None = None
    sex: Protected[str] | None = None


@dataclass(frozen=True, slots=True)
class Enrolment:
    program: str
    status: EnrolmentStatus


@dataclass(frozen=True, slots=True)
class Consent:
    """A decision about being contacted for trials, in one program or in all of the tenant's."""

    decision: ConsentDecision
    decided_at: datetime
    program: str | None


@dataclass(frozen=True, slots=True)
class Facts:
    """All facts of one record, as posted."""

    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Appointment:
    """A visit to one program, planned or past. ``visit_type``, the program's code, is None where nobody told it."""

    program: str
    status: AppointmentStatus
    start: datetime
    visit_type: Protected[str] | None = None


Subject = Patient | Enrolment | Consent | Facts | Appointment


@dataclass(frozen=True, slots=True)
class Known:
    """Everything known of one patient, each subject at its newest version."""

    patient: Patient = Patient()
    enrolments: tuple[Enrolment, ...] = ()
    consents: tuple[Consent, ...] = ()
    facts: tuple[Facts, ...] = ()
    appointments: tuple[Appointment, ...] = ()

    @property
    def recorded(self) -> Sequence[Fact]:
        return [fact for each in self.facts for fact in each.facts]

    def programs(self) -> list[str]:
        """Those in which the patient is enrolled, each once."""
        return list(dict.fromkeys(each.program for each in self.enrolments if each.status is EnrolmentStatus.OPEN))

    def permits(self, program: str) -> bool:
        """The newest decision for this program or for all; of two at one instant the more restrictive holds."""
        apply = [each for each in self.consents if each.program in (None, program)]
        newest = max((each.decided_at for each in apply), default=None)
        return bool(apply) and all(
            each.decision is ConsentDecision.PERMIT for each in apply if each.decided_at == newest
        )


@dataclass(frozen=True, slots=True)
class Offer:
    """A program and its vocabulary."""

    program: Program
    vocabulary: Vocabulary


Offers = Mapping[str, Offer]
"""By public code: all programs, those that offer no trials among them."""
