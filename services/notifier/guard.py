"""May this delivery go out now? Asked between claim and SMTP, on the truth of now. Pure.

A no is final (skipped), until a time (planned again), or until an event (held); past its use a delivery is missed. The
checks stand in the order of their weight: what ends a delivery for good comes before what only delays it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from schemas.appointment import AppointmentStatus, Modality
from schemas.outcomes import DeliveryState, Kind
from schemas.patient import ConsentDecision, ConsentScope, PatientStatus
from schemas.programs import Program
from services.notifier.caps import SentMail, free_again_at
from services.notifier.domain import (
    FINAL,
    OFF,
    ON_EVENT,
    OPEN_STATES,
    SAFETY,
    Appointment,
    Delivery,
    Ledger,
    Reason,
    Truth,
)
from services.notifier.keys import reminder_key
from services.notifier.plan import context_of
from services.notifier.plan.context import STOPPED, Context
from services.notifier.plan.notices import AT_ONCE_WITHIN, Notice, needed
from services.notifier.plan.standing import gone, lost_ground
from services.notifier.plan.visits import steps_of
from services.notifier.times import day_of, next_open
from services.notifier.told import differs

__all__ = ["Go", "Moment", "No", "SentMail", "guard"]

A_MOMENT = timedelta(minutes=1)
A_WHILE = timedelta(minutes=15)
"""When to look again at what nobody can foretell: a breaker, a silent feed."""
_DAY = timedelta(hours=24)
_REMINDERS = frozenset({Kind.REMINDER, Kind.REMINDER_PAPERWORK, Kind.LATE_BOOKING})


@dataclass(frozen=True, slots=True)
class Moment:
    """What the guard looks at beside truth and ledger. ``now`` is civil.

    ``sent``: mails of the last 8 days to this patient or this address, in the whole tenant, sent or uncertain.
    ``throttled``: the recipient's domain or the SMTP account has no token (database clock).
    ``breaker_open``: the program's, by volume.
    """

    now: datetime
    sent: tuple[SentMail, ...] = ()
    stale_truth: bool = False
    feed_stale: bool = False
    paused_programs: frozenset[str] = frozenset()
    breaker_open: bool = False
    suppressed: bool = False
    throttled: bool = False


@dataclass(frozen=True, slots=True)
class Go:
    """Send, at most with the content of this tier."""

    tier: Literal[0, 1]


@dataclass(frozen=True, slots=True)
class No:
    """Don't send. ``state`` is what the delivery becomes: skipped, planned (again at ``again_at``), held or missed.

    ``again_at`` is civil. Planned without it: try again by the database's clock (30 s), because what is in the way is
    not civil time (stale truth, a throttle).
    """

    reason: Reason
    state: DeliveryState
    again_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Case:
    """One question to the guard. ``owed`` are the notices this patient is owed as of now."""

    delivery: Delivery
    truth: Truth
    program: Program
    ledger: Ledger
    moment: Moment
    context: Context
    owed: Sequence[Notice]

    @property
    def safety(self) -> bool:
        return self.delivery.kind in SAFETY

    @property
    def owes(self) -> Notice | None:
        """The notice this delivery is, if the patient is owed it."""
        mine = (self.delivery.dedup_key, self.delivery.appointment_id)
        return next((each for each in self.owed if (each.key, each.about.appointment_id) == mine), None)

    @property
    def visit(self) -> Appointment | None:
        return self.context.appointment(self.delivery.appointment_id)

    @property
    def zone(self) -> str:
        return self.context.zone(self.visit, self.program)


_Answer = Reason | tuple[Reason, datetime | None] | None


def guard(delivery: Delivery, truth: Truth, program: Program | None, ledger: Ledger, moment: Moment) -> Go | No:
    """Whether this delivery may go out now, and at which tier; ``program`` is the delivery's, None when unknown.

    A mail of several deliveries asks for each; those with ``No`` drop out, the mail's tier is the lowest of the rest.
    """
    if truth.patient and (reason := gone(truth.patient)):
        return _no(reason)
    if moment.now >= delivery.useful_until:
        return No(delivery.reason or Reason.TOO_LATE, DeliveryState.MISSED)
    if moment.stale_truth:
        return _no(Reason.STALE_TRUTH)
    if truth.incomplete or truth.patient is None:
        return _no(Reason.TRUTH_INCOMPLETE)
    if program is None or program.missing:
        return _no(Reason.PROGRAM_INCOMPLETE)
    programs: Mapping[str, Program] = {program.public_code: program}
    context = context_of(truth, programs, ledger, moment.now)
    case = _Case(delivery, truth, program, ledger, moment, context, needed(context))
    for check in _CHECKS:
        if answer := check(case):
            return _no(*answer) if isinstance(answer, tuple) else _no(answer)
    return Go(_tier(case))


def _no(reason: Reason, again_at: datetime | None = None) -> No:
    if reason in FINAL:
        return No(reason, DeliveryState.SKIPPED)
    return No(reason, DeliveryState.HELD if reason in ON_EVENT else DeliveryState.PLANNED, again_at)


# what it stands on


def _armed(case: _Case) -> _Answer:
    return Reason.BEFORE_ARMING if case.context.before_arming(case.delivery.due_at) else None


def _paused(case: _Case) -> _Answer:
    return Reason.PROGRAM_PAUSED if case.program.public_code in case.moment.paused_programs else None


def _ground(case: _Case) -> _Answer:
    """The visit, the forms, the enrolment. What nobody has settled yet waits."""
    visit = case.visit
    if case.delivery.appointment_id and visit is None:
        return Reason.TRUTH_INCOMPLETE
    settled = OFF | STOPPED | {AppointmentStatus.BOOKED}
    if visit and visit.status not in settled:
        return Reason.TRUTH_INCOMPLETE
    return lost_ground(case.delivery, case.truth)


def _still_true(case: _Case) -> _Answer:
    """A reminder for the visit's present start and modality; a notice that is still owed."""
    delivery, visit = case.delivery, case.visit
    if case.safety:
        if not case.owes and not _repeats(case):
            return Reason.SUPERSEDED
    elif visit and delivery.kind in _REMINDERS:
        if delivery.dedup_key != reminder_key(visit.appointment_id, visit.start, delivery.step or ""):
            return Reason.SUPERSEDED
        steps = steps_of(visit, case.program)
        if visit.modality is not Modality.UNKNOWN and (steps is None or delivery.step not in steps.steps):
            return Reason.MODALITY_MISMATCH
    return Reason.TRUTH_INCOMPLETE if visit and visit.modality is Modality.UNKNOWN else None


def _repeats(case: _Case) -> bool:
    """Whether this is a notice of uncertain fate that still says the truth: it may go once more."""
    told = case.context.heard.get(case.delivery.appointment_id or "")
    mine = told is not None and told.by == case.delivery.delivery_id and not told.certain
    return mine and case.visit is not None and not differs(told, case.visit)


# who may be written to


def _choices(case: _Case) -> _Answer:
    """What the patient has chosen. Safety notices go unless e-mail is refused altogether."""
    chosen = [each for each in case.truth.preferences if each.program == case.program.public_code]
    if not all(each.email for each in chosen):
        return Reason.OPTED_OUT
    if case.safety:
        return None
    kind = case.delivery.kind
    if kind in _REMINDERS and not all(each.reminders for each in chosen):
        return Reason.OPTED_OUT
    if kind is Kind.PAPERWORK and not all(each.forms for each in chosen):
        return Reason.OPTED_OUT
    until = max((each.paused_until for each in chosen if each.paused_until), default=None)
    return (Reason.QUIET_HOLD, until) if until and until > case.moment.now else None


def _consent(case: _Case) -> _Answer:
    """Care mail needs no record of consent unless the program says so, but no refusal; trial mail needs its own."""
    if case.safety:
        return None
    trial = case.delivery.kind is Kind.TRIAL_INVITATION
    if trial and not case.program.offers_trials:
        return Reason.TRIALS_NOT_OFFERED
    scopes = [ConsentScope.EMAIL_BASIC, *([ConsentScope.TRIAL_CONTACT] if trial else [])]
    decisions = [_decision(case, scope) for scope in scopes]
    if ConsentDecision.DENY in decisions:
        return Reason.OPTED_OUT
    needed = [(trial and scope is ConsentScope.TRIAL_CONTACT) or case.program.requires_consent for scope in scopes]
    for decision, must in zip(decisions, needed, strict=True):
        if decision is ConsentDecision.UNKNOWN or (decision is None and must):
            return Reason.CONSENT_MISSING
    return None


def _decision(case: _Case, scope: ConsentScope) -> ConsentDecision | None:
    """The newest decision for this program or the whole tenant; at one instant the more restrictive holds."""
    apply = [c for c in case.truth.consents if c.scope is scope and c.program in (None, case.program.public_code)]
    if not apply:
        return None
    newest = max(each.decided_at for each in apply)
    decisions = {each.decision for each in apply if each.decided_at == newest}
    return decisions.pop() if len(decisions) == 1 else ConsentDecision.DENY


def _person(case: _Case) -> _Answer:
    patient = case.truth.patient
    if patient is None or patient.status is PatientStatus.UNKNOWN:
        return Reason.TRUTH_INCOMPLETE
    if patient.status is PatientStatus.RESTRICTED and not case.program.restricted_mail:
        return Reason.RESTRICTED
    if patient.email is None:
        return Reason.NO_ADDRESS
    today = day_of(case.moment.now, case.program.zone)
    if patient.birth_date is None or _age(patient.birth_date.reveal(), today) < case.program.adult_age:
        return Reason.MINOR_REVIEW
    if patient.email_verified_at is None or patient.shares_address:
        return Reason.UNVERIFIED_ADDRESS
    return Reason.SUPPRESSED if case.moment.suppressed else None


def _age(born: date, today: date) -> int:
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def _tier(case: _Case) -> Literal[0, 1]:
    return 1 if _decision(case, ConsentScope.EMAIL_DETAILED) is ConsentDecision.PERMIT else 0


# whether now is the time


def _settled(case: _Case) -> _Answer:
    """Moved while claimed; or the visit's notice comes first, since a reminder would tell the new time in passing."""
    now, delivery = case.moment.now, case.delivery
    if now < delivery.due_at:
        return Reason.SETTLE, delivery.due_at
    if case.safety or delivery.appointment_id is None:
        return None
    for notice in case.owed:
        row = case.context.rows.get(notice.key)
        if notice.about.appointment_id == delivery.appointment_id and row and row.state in OPEN_STATES:
            return Reason.SETTLE, max(row.due_at, now + A_MOMENT)
    return None


def _technical(case: _Case) -> _Answer:
    moment = case.moment
    if moment.feed_stale and not case.safety:
        return Reason.FEED_STALE, moment.now + A_WHILE
    if moment.breaker_open:
        return Reason.BREAKER_OPEN, moment.now + A_WHILE
    lately = sorted(each.at for each in moment.sent if moment.now - each.at < _DAY)
    limit = case.program.policy.caps.breaker_per_24h
    if len(lately) >= limit:
        return Reason.BREAKER_OPEN, lately[-limit] + _DAY
    return Reason.DOMAIN_THROTTLE if moment.throttled else None


def _window(case: _Case) -> _Answer:
    """The recipient's hours. A notice goes at any hour when the visit told or the new one is near."""
    windows, now = case.program.policy.windows, case.moment.now
    window = windows.trials if case.delivery.kind is Kind.TRIAL_INVITATION else windows.care
    if case.safety:
        starts = case.owes.starts if case.owes else [case.delivery.useful_until]
        if any(now < each < now + AT_ONCE_WITHIN for each in starts):
            return None
        window = windows.notices
    opens = next_open(now, window, case.zone)
    return (Reason.QUIET_HOLD, opens) if opens > now else None


def _caps(case: _Case) -> _Answer:
    if case.safety:
        return None
    moment = case.moment
    free = free_again_at(case.delivery, case.ledger, moment.sent, moment.now, case.program.policy, case.zone)
    return (Reason.CAP_REACHED, free) if free else None


_CHECKS: Sequence[Callable[[_Case], _Answer]] = (
    _armed, _ground, _still_true, _choices, _consent, _paused, _person, _settled, _technical, _window, _caps,
)  # fmt: skip
