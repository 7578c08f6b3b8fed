"""Patients, enrolments, consents, preferences and facts: their states in events, and what is posted to intake.

``…Posted`` is what a poster sends (plain blocks, over TLS); ``…State`` travels on Kafka (version, sealed blocks).
"""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from schemas.base import Contract, Instant, Open
from schemas.expressions import Unit
from schemas.ids import Opaque, ProgramCode
from schemas.protected import Protected
from schemas.sealed import Sealed
from schemas.text import Address, BirthDate, Code, Language, Line, ProtectedLine, Zone


class PatientStatus(StrEnum):
    """Where a patient's record stands. Only ``active`` is written to."""

    ACTIVE = "active"
    RESTRICTED = "restricted"
    DECEASED = "deceased"
    CLOSED = "closed"
    MERGED = "merged"
    ERASED = "erased"
    UNKNOWN = "unknown"


class Sex(StrEnum):
    """FHIR administrative gender."""

    FEMALE = "female"
    MALE = "male"
    OTHER = "other"
    UNKNOWN = "unknown"


class ContactBlock(Contract):
    """How to reach a patient: for intake and notifier. ``email_verified_at``: when staff or feed gave the address."""

    given_name: ProtectedLine
    family_name: ProtectedLine
    birth_date: BirthDate
    email: Address | None = None
    email_verified_at: Instant | None = None
    phone: ProtectedLine | None = None
    language: Language = "en"


class TraitsBlock(Contract):
    """What trials must know of a patient's person: for intake and trials."""

    birth_date: BirthDate
    sex: Protected[Sex] | None = None


class PatientPosted(Contract):
    """A patient as posted: the whole state, every time."""

    contact: ContactBlock
    sex: Protected[Sex] | None = None
    zone: Zone | None = None


class PatientState(Contract):
    """A patient's full state; subject ``patient/<id>``."""

    patient_id: Opaque
    version: Annotated[int, Field(ge=1)]
    status: Open[PatientStatus]
    zone: Zone | None = None
    contact: Sealed | None = None
    traits: Sealed | None = None
    merged_into: Opaque | None = None


class PatientReason(Contract):
    """Why staff changed where a patient's record stands. A reversal needs a reason, too."""

    reason: Line


class PatientAbsorbed(PatientState):
    """The survivor of a merge: whom it took in. The absorbed patient's subjects follow as events of their own."""

    absorbed_patient_id: Opaque


class OutsideNetwork(StrEnum):
    """Whether the patient comes from a provider outside the hospital's network."""

    YES = "yes"
    NO = "no"
    NOT_KNOWN = "not-known"
    UNKNOWN = "unknown"


class EnrolmentStatus(StrEnum):
    """An enrolment is open or closed; anything else is treated as closed."""

    OPEN = "open"
    CLOSED = "closed"
    UNKNOWN = "unknown"


class EnrolmentPosted(Contract):
    """A patient's place in a program."""

    patient_id: Opaque
    program: ProgramCode
    outside_network: Open[OutsideNetwork] = OutsideNetwork.NOT_KNOWN


class EnrolmentState(EnrolmentPosted):
    """Full state; subject ``enrolment/<id>``."""

    enrolment_id: Opaque
    version: Annotated[int, Field(ge=1)]
    status: Open[EnrolmentStatus]


class ConsentScope(StrEnum):
    """What a consent is about. An unknown scope permits nothing."""

    EMAIL_BASIC = "email-basic"
    EMAIL_DETAILED = "email-detailed"
    TRIAL_CONTACT = "trial-contact"
    UNKNOWN = "unknown"


class ConsentDecision(StrEnum):
    """FHIR words: ``permit`` after a grant, ``deny`` after a withdrawal or refusal; unknown permits nothing."""

    PERMIT = "permit"
    DENY = "deny"
    UNKNOWN = "unknown"


class ConsentPosted(Contract):
    """A decision about one scope, with the version of the text that was shown."""

    patient_id: Opaque
    scope: Open[ConsentScope]
    text_version: Line
    decided_at: Instant
    recorded_by: Line
    program: ProgramCode | None = None


class ConsentState(ConsentPosted):
    """Full state; subject ``consent/<id>``."""

    consent_id: Opaque
    version: Annotated[int, Field(ge=1)]
    decision: Open[ConsentDecision]


class PreferencePosted(Contract):
    """What a patient wants to receive from one program. ``email`` off means no e-mail at all, not even notices."""

    patient_id: Opaque
    program: ProgramCode
    email: bool = True
    reminders: bool = True
    forms: bool = True
    paused_until: Instant | None = None


class PreferenceState(PreferencePosted):
    """Full state; subject ``preference/<id>``."""

    preference_id: Opaque
    version: Annotated[int, Field(ge=1)]


AnyUnit = Annotated[Unit, WithJsonSchema({"type": "string"})]
"""A UCUM code. Its pattern isn't part of the contract: whether one takes all that another took can't be judged."""


class Fact(Contract):
    """One clinical fact. ``name`` and ``unit`` are words of the program's vocabulary, the unit UCUM's."""

    name: Annotated[Code, Field(repr=False)]
    value: Annotated[Any, Field(repr=False)]
    unit: Annotated[AnyUnit | None, Field(repr=False)] = None
    source: Annotated[Line, Field(repr=False)]
    observed_at: Instant
    valid_until: Instant | None = None


class FactsBlock(Contract):
    """Clinical facts: for intake and trials, never the notifier."""

    facts: tuple[Fact, ...]


class FactsPosted(Contract):
    """All facts of one record (a document, a form, a visit)."""

    patient_id: Opaque
    block: FactsBlock


class FactsState(Contract):
    """Full state; subject ``facts/<id>``."""

    facts_id: Opaque
    patient_id: Opaque
    version: Annotated[int, Field(ge=1)]
    block: Sealed
