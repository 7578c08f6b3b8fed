"""Who may be invited, in which words, and when. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from schemas.programs import Program
from schemas.trials import Approval, ApprovalStatus, TrialState
from services.trials.criteria.truth import TRUE
from services.trials.matching.verdict import TrialVerdict, Verdict

MOST_UNKNOWN = 2
"""A patient who is possibly eligible is invited with at most so many criteria unknown, and no anchor among them."""

APART = timedelta(days=30)
"""Between two invitations of one patient."""

PER_DAY = 20
"""Invitations a trial may ask for in one day."""

STANDS_FOR = timedelta(hours=72)
"""How long a request stands, counted in days on which trial mail may go out."""


def may_invite(state: TrialState, verdict: TrialVerdict) -> bool:
    """An eligible patient; or a possible one of whom all anchors are true and little is unknown."""
    if verdict.verdict is Verdict.ELIGIBLE:
        return True
    anchors = [each.id for each in state.eligibility.every() if each.anchor]
    sure = bool(anchors) and all(verdict.truths.get(name, TRUE) is TRUE for name in anchors)
    return verdict.verdict is Verdict.POSSIBLE and sure and len(verdict.unknown) <= MOST_UNKNOWN


def choose_approval(approvals: Iterable[Approval], languages: Iterable[str], today: date) -> Approval | None:
    """The approved words that may be used today, in the first of ``languages`` for which there are any."""
    usable: Mapping[str, Approval] = {
        each.language: each for each in approvals if each.status is ApprovalStatus.ACTIVE and each.valid_until >= today
    }
    return next((usable[language] for language in languages if language in usable), None)


def expires_at(now: datetime, program: Program) -> datetime:
    """When a request of ``now`` loses its force: hours of days without trial mail don't count."""
    weekdays = program.policy.windows.trials.weekdays
    left, moment = STANDS_FOR, now
    while True:
        tomorrow = midnight(moment, program, 1)
        if moment.astimezone(ZoneInfo(program.zone)).isoweekday() in weekdays:
            if tomorrow - moment >= left:
                return moment + left
            left -= tomorrow - moment
        moment = tomorrow


def midnight(now: datetime, program: Program, days: int = 0) -> datetime:
    """When today, or the day that many days later, begins in the program's zone."""
    zone = ZoneInfo(program.zone)
    day = now.astimezone(zone).date() + timedelta(days=days)
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def due_after(last: datetime | None, sent_today: int, now: datetime, program: Program) -> datetime | None:
    """When the caps let an invitation go; None when it may go now."""
    if last is not None and now < last + APART:
        return last + APART
    return midnight(now, program, 1) if sent_today >= PER_DAY else None
