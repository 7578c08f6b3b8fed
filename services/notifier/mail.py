"""What one mail says to one patient: everything the renderer may look at, and nothing else.

All instants are timezone-aware UTC. None of these classes shows its content in ``repr()``.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from schemas.appointment import Modality
from schemas.outcomes import Kind

VISIT_KINDS = frozenset({Kind.REMINDER, Kind.REMINDER_PAPERWORK, Kind.LATE_BOOKING, Kind.CHANGE, Kind.CANCELLATION})
"""Kinds that are about a visit and carry a calendar file."""
KINDS = VISIT_KINDS | {Kind.PAPERWORK, Kind.TRIAL_INVITATION}


@dataclass(frozen=True, slots=True, repr=False)
class Visit:
    """The visit as it is now. ``zone`` is the clinic's IANA zone; ``sequence`` is what this mail tells (told sequence).

    On a cancellation it is the visit that no longer takes place.
    """

    appointment_id: str
    start: datetime
    end: datetime | None
    zone: str
    modality: Modality
    sequence: int
    clinician: str | None = None
    site_name: str | None = None
    site_address: str | None = None

    def __post_init__(self) -> None:
        if self.modality is Modality.UNKNOWN:
            raise ValueError("a mail needs to know whether the visit is on site or by video")


@dataclass(frozen=True, slots=True, repr=False)
class Told:
    """What the patient was told before, for certain, and is void now: the old ``start``, ``modality`` and place."""

    start: datetime
    modality: Modality
    place_changed: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class Invitation:
    """What a review board approved, word for word, and how the reader ends such mail (RFC 2919, RFC 2369, RFC 8058).

    ``valid_until`` is the last day of the approval. ``stop_url`` takes a POST and asks nothing; ``stop_address`` is the
    mailbox for who can't use it; ``list_id`` is neutral.
    """

    text: str
    approval_id: str
    valid_until: date
    contact: str
    voluntary: str | None
    stop_url: str
    stop_address: str
    list_id: str


@dataclass(frozen=True, slots=True, repr=False)
class ProgramMail:
    """A program's part of its mails: approved words only.

    ``phone`` is replaced by ``instruction``, a whole sentence ("Contact your doctor."), where a program has none.
    ``booking_rule`` says in whole sentences how to book again. ``host`` is neutral: it names no program and no clinic.
    ``deny_list`` holds the words that may not stand in the clear (``lint``).
    """

    public_name: str
    sender: str
    host: str
    phone: str | None = None
    instruction: str | None = None
    booking_rule: str | None = None
    emergency_block: str | None = None
    reply_to: str | None = None
    deny_list: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (self.phone or self.instruction):
            raise ValueError("a program needs a phone or the instruction that replaces it")


class Addressed(Protocol):
    """What the headers of any mail are made of."""

    @property
    def program(self) -> ProgramMail: ...
    @property
    def recipient(self) -> str: ...
    @property
    def message_id(self) -> str: ...
    @property
    def date(self) -> datetime: ...
    @property
    def simulated(self) -> bool: ...


@dataclass(frozen=True, slots=True, repr=False)
class Mail:
    """One mail. ``zone`` is the recipient's IANA zone, ``date`` the civil time it is made.

    ``told``: on a change or a cancellation, what is void; ``None`` when an earlier mail's fate is uncertain, and the
    mail then says to ignore any other time. ``also``: other visits that the same reminder is about.
    ``preparation``: approved items; ``()`` on a step that has none (time and place only), ``None`` where there are no
    approved items and the patient follows the care team's instructions. ``forms`` are the names of missing forms and
    ``forms_count`` their number. ``asks_left``: how often we may still ask, ``None`` to say nothing of it.
    """

    kind: Kind
    tier: int
    tenant: str
    patient_id: str
    recipient: str
    return_path: str
    message_id: str
    date: datetime
    locale: str
    zone: str
    program: ProgramMail
    visit: Visit | None = None
    also: tuple[Visit, ...] = ()
    told: Told | None = None
    given_name: str | None = None
    preparation: tuple[str, ...] | None = None
    companion: str | None = None
    forms: tuple[str, ...] = ()
    forms_count: int = 0
    asks_left: int | None = None
    only_reminder: bool = False
    simulated: bool = False
    invitation: Invitation | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError("no template for this kind of mail")
        if self.tier not in (0, 1):
            raise ValueError("a mail's tier is 0 or 1")
        if self.kind in VISIT_KINDS and self.visit is None:
            raise ValueError(f"{self.kind} needs a visit")
        if (self.kind is Kind.TRIAL_INVITATION) != (self.invitation is not None):
            raise ValueError("an invitation, and nothing else, needs approved words and a way to stop it")
        if self.kind in (Kind.PAPERWORK, Kind.REMINDER_PAPERWORK) and self.forms_count < 1:
            raise ValueError(f"{self.kind} needs a form that is missing")
        if self.tier == 1 and self.forms_count != len(self.forms):
            raise ValueError("at tier 1 every missing form has a name")
