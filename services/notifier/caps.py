"""How much mail one person gets: caps by the recipient's calendar days, with room kept for the last reminders. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from schemas.outcomes import Kind
from schemas.programs import Policy
from services.notifier.domain import OPEN_STATES, SAFETY, Delivery, Ledger
from services.notifier.times import DAY, at_local, day_of, days_before, next_open

_WEEK = 7
_REMINDERS = frozenset({Kind.REMINDER, Kind.LATE_BOOKING})


@dataclass(frozen=True, slots=True)
class SentMail:
    """One mail (not one delivery) this patient was sent; for caps and the breaker."""

    kind: Kind
    at: datetime


def free_again_at(
    delivery: Delivery, ledger: Ledger, sent: Sequence[SentMail], now: datetime, policy: Policy, zone: str
) -> datetime | None:
    """When the caps let this delivery out; None: they let it out now. ``zone`` is the recipient's."""
    counted = [day_of(each.at, zone) for each in sent if each.kind not in SAFETY]
    kept = [] if is_last(delivery) else [day_of(each.due_at, zone) for each in _last_ones(ledger, now)]
    today = day_of(now, zone)
    if _fits(today, counted, kept, policy):
        return None
    days = (today + n * DAY for n in range(1, 2 * _WEEK))
    free = next((day for day in days if _fits(day, counted, kept, policy)), today + 2 * _WEEK * DAY)
    return next_open(at_local(free, policy.hour, zone), policy.windows.care, zone)


def is_last(delivery: Delivery) -> bool:
    """The reminders for which room is kept: the day before (``P1D``), and those in hours."""
    return delivery.kind in _REMINDERS and (days_before(delivery.step or "") or 1) <= 1


def _last_ones(ledger: Ledger, now: datetime) -> Iterable[Delivery]:
    """Those still to come; one that is due shares the mail of what is due with it."""
    return (d for d in ledger.deliveries if d.state in OPEN_STATES and is_last(d) and d.due_at > now)


def _fits(day: date, sent: Sequence[date], kept: Sequence[date], policy: Policy) -> bool:
    """Whether one more mail on that day leaves every day and every seven days within the caps."""
    mails = [*sent, *kept, day]
    if mails.count(day) > policy.caps.per_day:
        return False
    ends = [each for each in {day, *kept} if day <= each < day + _WEEK * DAY]
    return all(sum(end - _WEEK * DAY < each <= end for each in mails) <= policy.caps.per_week for end in ends)
