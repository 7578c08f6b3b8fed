"""The ladder of asks for missing forms: the request, then rungs that ride on the visit's reminders or go alone.

At most ``max_asks`` asks, ``max_own`` of them mails of their own, ``min_days_apart`` unless riding. The day before the
visit, reminders say only time and place, and nothing asks any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

from schemas.outcomes import Kind
from schemas.programs import Program
from services.notifier.domain import TOLD_STATES, Appointment, Paperwork, Task, Wanted
from services.notifier.keys import REQUEST, paperwork_key
from services.notifier.plan.bundling import shared
from services.notifier.plan.context import Context, settle_length, settled_at
from services.notifier.times import DAY, at_local, day_of, days_before, local_text, next_open

PRIORITY = 3
WITHOUT_VISIT = timedelta(days=7)
"""How long the one ask without a visit is worth sending."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """One request in its setting. ``zone`` is the recipient's; ``visit`` is None for a request without one."""

    context: Context
    paperwork: Paperwork
    program: Program
    visit: Appointment | None
    zone: str

    def asks(self, reminders: Sequence[Wanted]) -> tuple[list[Wanted], list[Wanted]]:
        """The asks, and the reminders as the shared mails move them."""
        request, reminders = shared(self.context, self.request(), reminders, self.program)
        asks = [request] if request.useful_until > request.due_at else []
        for rung in self.program.policy.paperwork.rungs:
            if ask := self._rung(rung, reminders, request, asks):
                ask, moved = (ask, reminders) if ask.rides else shared(self.context, ask, reminders, self.program)
                if self._room(ask, asks):
                    asks.append(ask)
                    reminders = moved
        return self._counted(asks), list(reminders)

    def request(self) -> Wanted:
        """The first ask, when the request has settled."""
        length = settle_length(self.paperwork.adapter, self.program)
        first, last = self.paperwork.requested_at, self.paperwork.changed_at
        due = next_open(settled_at(first, max(first, last), length), self.program.policy.windows.care, self.zone)
        return self._wanted(REQUEST, due, due + WITHOUT_VISIT)

    def _rung(self, rung: str, reminders: Sequence[Wanted], request: Wanted, asks: Sequence[Wanted]) -> Wanted | None:
        for reminder in reminders:
            if reminder.step == rung and reminder.appointment_id == self.paperwork.appointment_id:
                return self._riding(rung, reminder, request, asks)
        if rung in self.program.policy.paperwork.own:
            return self._own(rung, reminders, request, asks)
        return None

    def _riding(self, rung: str, reminder: Wanted, request: Wanted, asks: Sequence[Wanted]) -> Wanted | None:
        """Asked in the reminder's mail; not where that is over, or asks already."""
        ridden = any(each.rides == reminder.dedup_key for each in asks)
        over = reminder.end or reminder.due_at <= request.due_at or self._gone(reminder, rung)
        if ridden or over:
            return None
        return replace(self._wanted(rung, reminder.due_at, reminder.useful_until), rides=reminder.dedup_key)

    def _gone(self, reminder: Wanted, rung: str) -> bool:
        """The reminder went out before this rung was planned to ride on it."""
        known = paperwork_key(self.paperwork.paperwork_id, rung) in self.context.rows
        return not known and self.context.finished(reminder.dedup_key, reminder.due_at)

    def _own(self, rung: str, reminders: Sequence[Wanted], request: Wanted, asks: Sequence[Wanted]) -> Wanted | None:
        """A mail of its own: on the first day allowed, or not at all when another ask falls within a day of it."""
        if self.visit is None:
            return None
        policy, rows = self.program.policy, self.context.rows
        day = day_of(self.visit.start, self.context.clinic_zone(self.visit)) - (days_before(rung) or 0) * DAY
        key = paperwork_key(self.paperwork.paperwork_id, rung)
        nominal = next_open(at_local(day, policy.hour, self.zone), policy.windows.care, self.zone)
        if nominal <= request.due_at or (nominal <= self.context.now and key not in rows):
            return None
        days = self._days_asked(rung, asks)
        earliest = max(days) + policy.paperwork.min_days_apart * DAY if days else day
        due = nominal
        if day_of(nominal, self.zone) < earliest:
            due = next_open(at_local(earliest, policy.hour, self.zone), policy.windows.care, self.zone)
            if self._crowded(due, reminders):
                return None
        ask = self._wanted(rung, due, due)
        return ask if ask.useful_until > due else None

    def _days_asked(self, rung: str, asks: Sequence[Wanted]) -> list[date]:
        """The recipient's days on which the other asks went out or will."""
        rows = [r for r in self.context.ledger.deliveries if r.paperwork_id == self.paperwork.paperwork_id]
        sent = {r.dedup_key: r.ended_at or r.due_at for r in rows if r.state in TOLD_STATES and r.step != rung}
        return [day_of(each, self.zone) for each in ({a.dedup_key: a.due_at for a in asks} | sent).values()]

    def _crowded(self, due: datetime, reminders: Sequence[Wanted]) -> bool:
        """Whether another ask, riding, falls within a day of a rung that had to move."""
        rungs = self.program.policy.paperwork.rungs
        days = [
            day_of(each.due_at, self.zone)
            for each in reminders
            if each.step in rungs and not each.end and each.appointment_id == self.paperwork.appointment_id
        ]
        return any(abs(each - day_of(due, self.zone)) <= DAY for each in days)

    def _room(self, ask: Wanted, asks: Sequence[Wanted]) -> bool:
        rules, own = self.program.policy.paperwork, sum(each.rides is None for each in asks)
        return len(asks) < rules.max_asks and (ask.rides is not None or own < rules.max_own)

    def _counted(self, asks: Sequence[Wanted]) -> list[Wanted]:
        """Each says how many asks may follow."""
        return [replace(ask, asks_left=len(asks) - 1 - i) for i, ask in enumerate(asks)]

    def _wanted(self, rung: str, due: datetime, without_visit: datetime) -> Wanted:
        return Wanted(
            dedup_key=paperwork_key(self.paperwork.paperwork_id, rung),
            kind=Kind.PAPERWORK,
            program=self.paperwork.program,
            due_at=due,
            due_local=local_text(due, self.zone),
            zone=self.zone,
            useful_until=self._until() or without_visit,
            priority=PRIORITY,
            appointment_id=self.paperwork.appointment_id,
            paperwork_id=self.paperwork.paperwork_id,
            step=rung,
            rule=f"paperwork/{rung}",
        )

    def _until(self) -> datetime | None:
        """00:00 on the day before the visit, the recipient's."""
        if self.visit is None:
            return None
        day = day_of(self.visit.start, self.context.clinic_zone(self.visit))
        return at_local(day - DAY, time(0), self.zone)

    def task_at(self) -> datetime | None:
        """When staff must look after missing forms: four days before at nine at the clinic, or at once if later."""
        if self.visit is None:
            return None
        rules, clinic = self.program.policy.paperwork, self.context.clinic_zone(self.visit)
        day = day_of(self.visit.start, clinic) - (days_before(rules.worklist_at) or 0) * DAY
        asked = max(self.paperwork.requested_at, self.visit.booked_at)
        return max(at_local(day, rules.worklist_hour, clinic), asked)

    def task(self, due_at: datetime) -> Task:
        paperwork = self.paperwork
        key = f"paperwork-missing/{paperwork.paperwork_id}"
        return Task(
            key, "paperwork_missing", paperwork.program, due_at, paperwork.appointment_id, paperwork.paperwork_id
        )
