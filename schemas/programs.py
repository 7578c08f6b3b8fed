"""A care program as the services use it: facts, mail data and reminder policy, merged from its files.

The files (``program.yaml``, ``site.yaml``, ``demo.yaml``) and their provenance are read by ``schemas.program_files``.
All local times are in the zone the field's docstring names; all durations are ISO 8601.
"""

from datetime import date, time, timedelta
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from schemas.base import Contract
from schemas.ids import ProgramCode, TenantCode
from schemas.text import Address, Code, Line

Paragraph = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
StepId = Annotated[str, StringConstraints(pattern=r"^P([0-9]{1,3}D|T[0-9]{1,3}[HM])$")]
"""A step's id is its distance before the visit: ``P14D``, ``PT2H``."""


class Site(Contract):
    """A place of the program."""

    name: Line
    address: Line | None = None


class Steps(Contract):
    """The steps of one kind of visit, earliest first. ``confirm_at`` is the step that asks to confirm."""

    steps: tuple[StepId, ...]
    confirm_at: StepId | None = None


class VisitType(Contract):
    """``name`` is clinical. ``steps`` by modality; a modality that is absent can't be booked."""

    name: Line
    preparation: bool = False
    steps: dict[Literal["on-site", "video"], Steps]


class PreparationItem(Contract):
    """One line of the checklist, shown at these ``steps`` of a visit (and in a mail that stands for one of them).

    ``only_from_outside``: left out when the patient is known to come from inside the network.
    """

    text: Paragraph
    steps: frozenset[StepId]
    only_from_outside: bool = False


class Window(Contract):
    """When mail may go out: from ``opens`` up to, not including, ``closes``, in the recipient's zone. ISO weekdays."""

    opens: time
    closes: time
    weekdays: frozenset[Annotated[int, Field(ge=1, le=7)]] = frozenset(range(1, 8))


class Windows(Contract):
    """``notices`` for change and cancellation."""

    care: Window
    notices: Window
    trials: Window


class Caps(Contract):
    """Mails outside the safety class, per recipient's calendar day and per seven; the breaker counts all in 24 h."""

    per_day: Annotated[int, Field(ge=1)]
    per_week: Annotated[int, Field(ge=1)]
    breaker_per_24h: Annotated[int, Field(ge=1)]


class Settle(Contract):
    """How long edits may settle, by the adapter in ``ce_source``; restarted by each edit up to twice its length."""

    staff: timedelta
    feed: timedelta
    none_within: timedelta


class LateBooking(Contract):
    """Steps due before settle + ``horizon`` collapse; a next step under ``min_gap`` later is dropped."""

    horizon: timedelta
    min_gap: timedelta
    too_late: timedelta


class PaperworkPolicy(Contract):
    """Rungs ride on steps of the same id; ``own`` rungs are mails of their own where the visit has no such step."""

    rungs: tuple[StepId, ...]
    own: tuple[StepId, ...]
    max_asks: Annotated[int, Field(ge=1)]
    max_own: Annotated[int, Field(ge=1)]
    min_days_apart: Annotated[int, Field(ge=1)]
    worklist_at: StepId
    worklist_hour: time


class Policy(Contract):
    """The reminder policy. ``hour`` is local to the recipient; ``bundle``: how far apart intents may share one mail.

    ``evening``, also local to the recipient: when a step goes that would fall outside the window.
    """

    hour: time
    evening: time = time(18)
    min_lead: timedelta
    bundle: timedelta
    last_until_on_site: timedelta
    last_until_video: timedelta
    windows: Windows
    caps: Caps
    settle: Settle
    late_booking: LateBooking
    paperwork: PaperworkPolicy
    volume_per_hour: Annotated[int, Field(ge=1)]
    feed_silence: timedelta | None = None


class Program(Contract):
    """One program. ``missing`` names required fields nobody has filled: such a program previews and sends nothing.

    Past ``preparation_review_by`` (or without it) the variant without the checklist goes out and staff are told.
    Mail about trials has an address of its own, ``trials_sender``; without it none goes out.
    """

    tenant: TenantCode
    public_code: ProgramCode
    public_name: Line
    full_name: Line
    zone: str
    phone: Line | None = None
    contact_instruction: Paragraph | None = None
    booking_rule: Paragraph | None = None
    sender: Address | None = None
    trials_sender: Address | None = None
    reply_to: Address | None = None
    mail_domain: Line | None = None
    emergency: Paragraph | None = None
    staffed_opens: time | None = None
    staffed_closes: time | None = None
    holidays: frozenset[date] = frozenset()
    companion: Paragraph | None = None
    sites: dict[Code, Site] = Field(default_factory=dict)
    visit_types: dict[Code, VisitType]
    forms: dict[Code, Line] = Field(default_factory=dict)
    preparation: tuple[PreparationItem, ...] = ()
    preparation_owner: Line | None = None
    preparation_review_by: date | None = None
    deny_list: tuple[Line, ...] = ()
    requires_consent: bool = False
    restricted_mail: bool = False
    adult_age: int = 18
    offers_trials: bool = False
    policy: Policy
    version: str
    missing: tuple[str, ...] = ()
    demo: bool = False
