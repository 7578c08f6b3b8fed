"""Whether now is the time: settled, working, inside the window, under the caps."""

from datetime import timedelta

from schemas.outcomes import Kind
from services.notifier.caps import free_again_at
from services.notifier.domain import OPEN_STATES, Reason
from services.notifier.guard.case import Answer, Case
from services.notifier.plan.notices import AT_ONCE_WITHIN
from services.notifier.times import next_open

A_MOMENT = timedelta(minutes=1)
A_WHILE = timedelta(minutes=15)
"""When to look again at what nobody can foretell: a breaker, a silent feed."""
_DAY = timedelta(hours=24)


def settled(case: Case) -> Answer:
    """Moved while claimed; or the visit's notice comes first, since a reminder would tell the new time in passing."""
    now, delivery = case.moment.now, case.delivery
    if now < delivery.due_at:
        return Reason.SETTLE, delivery.due_at
    if case.safety:
        return None
    for notice in case.owed:
        row = case.context.rows.get(notice.key)
        if notice.about.appointment_id == delivery.appointment_id and row and row.state in OPEN_STATES:
            return Reason.SETTLE, max(row.due_at, now + A_MOMENT)
    return None


def technical(case: Case) -> Answer:
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


def window(case: Case) -> Answer:
    """The recipient's hours. A notice goes at any hour when the visit told or the new one is near."""
    windows, now = case.program.policy.windows, case.moment.now
    hours = windows.trials if case.delivery.kind is Kind.TRIAL_INVITATION else windows.care
    if case.safety:
        starts = case.owes.starts if case.owes else [case.delivery.useful_until]
        if any(now < each < now + AT_ONCE_WITHIN for each in starts):
            return None
        hours = windows.notices
    opens = next_open(now, hours, case.zone)
    return (Reason.QUIET_HOLD, opens) if opens > now else None


def caps(case: Case) -> Answer:
    if case.safety:
        return None
    moment = case.moment
    free = free_again_at(case.delivery, case.ledger, moment.sent, moment.now, case.program.policy, case.zone)
    return (Reason.CAP_REACHED, free) if free else None
