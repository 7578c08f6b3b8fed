"""The reminders of one visit: what becomes of its timetable, above all when it was booked or moved late.

Steps, hours and the late-booking rule are the program's policy. All decisions about lateness are made from the facts of
the booking, never from the time of planning, so that a later plan decides the same.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from schemas.outcomes import Kind
from schemas.programs import Policy, Program
from services.notifier.domain import Appointment, Reason, Task, Wanted
from services.notifier.keys import reminder_key
from services.notifier.plan.context import Context, settle_length, settled_at
from services.notifier.plan.timetable import Step, steps_of, timetable
from services.notifier.times import local_text, next_open

LAST_STEP, EARLIER_STEP = 1, 2
"""Priorities of a reminder: the last one before the visit is worth most."""


def judged_at(appointment: Appointment, policy: Policy) -> datetime:
    """When it was settled whether the visit was booked or moved late. Fixed: later edits don't move it."""
    since = set_at(appointment)
    return since if appointment.start - since < policy.settle.none_within else since + policy.settle.staff


def set_at(appointment: Appointment) -> datetime:
    """Since when the visit has its present start and is booked."""
    return max(appointment.start_set_at, appointment.booked_at)


def reminders(
    context: Context, appointment: Appointment, program: Program, *, told_by_notice: bool
) -> tuple[list[Wanted], list[Task]]:
    """All reminders of a booked visit, and a phone task where none can be in time.

    ``told_by_notice``: a change notice tells the present start, so late steps end in it.
    """
    zone = context.zone(appointment, program)
    steps = timetable(appointment, program, context.clinic_zone(appointment), zone)
    late = [each for each in steps if each.due < judged_at(appointment, program.policy) + _horizon(program)]
    make = _Maker(context, appointment, program, zone)
    if not late:
        return _caught_up(context, appointment, [make.reminder(each) for each in steps]), []
    kept, dropped = _after(late, steps, appointment, program, zone, windowed=not told_by_notice)
    plain = _caught_up(context, appointment, [make.reminder(each) for each in kept])
    if told_by_notice:
        return [*make.ended([*late, *dropped], Reason.COLLAPSED), *plain], []
    until = kept[0].due if kept else steps[-1].until
    combined = make.combined(late[-1], until, [each.id for each in late])
    rest = make.ended([*late[:-1], *dropped], Reason.COLLAPSED)
    if combined.end is Reason.TOO_LATE:
        return [*rest, combined, *plain], make.phone_task()
    return [*rest, combined, *plain], []


def _horizon(program: Program) -> timedelta:
    return program.policy.late_booking.horizon


def _after(
    late: Sequence[Step],
    steps: Sequence[Step],
    appointment: Appointment,
    program: Program,
    zone: str,
    *,
    windowed: bool,
) -> tuple[list[Step], list[Step]]:
    """The steps after the late ones: kept, and dropped because they follow the one mail too closely."""
    mail_at = judged_at(appointment, program.policy)
    if windowed:
        mail_at = next_open(mail_at, program.policy.windows.care, zone)
    soonest = mail_at + program.policy.late_booking.min_gap
    following = steps[len(late) :]
    return [s for s in following if s.due >= soonest], [s for s in following if s.due < soonest]


def _caught_up(context: Context, appointment: Appointment, wanted: list[Wanted]) -> list[Wanted]:
    """Without past steps that are new where the ledger knows the visit at this start: they come from a new policy.

    A visit heard of only now, after steps were due, still gets the latest: the others have lost their use.
    """
    prefix = reminder_key(appointment.appointment_id, appointment.start, "")
    if not any(key.startswith(prefix) for key in context.rows):
        return wanted
    return [each for each in wanted if each.due_at > context.now or each.dedup_key in context.rows]


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes this visit's intents."""

    context: Context
    appointment: Appointment
    program: Program
    zone: str

    def reminder(self, step: Step) -> Wanted:
        """A step on its day; an edit just before it settles first, for one settle delay at most."""
        length = settle_length(self.appointment.adapter, self.program)
        settled = min(self.appointment.changed_at + length, step.due + length)
        due = step.due
        if settled > due:
            due = next_open(settled, self.program.policy.windows.care, self.zone)
        return self._wanted(step, Kind.REMINDER, due, step.until, step.id)

    def combined(self, step: Step, until: datetime, collapsed: Sequence[str]) -> Wanted:
        """The one mail of a late booking, under the latest collapsed step's key."""
        late, policy = self.program.policy.late_booking, self.program.policy
        since, start = set_at(self.appointment), self.appointment.start
        close = start - since < policy.settle.none_within
        length = timedelta() if close else settle_length(self.appointment.adapter, self.program)
        settled = settled_at(since, self.appointment.changed_at, length)
        due = next_open(settled, policy.windows.care, self.zone)
        wanted = self._wanted(step, Kind.LATE_BOOKING, due, until, f"late-booking/{step.id}")
        steps = steps_of(self.appointment, self.program)
        wanted = replace(wanted, asks_confirm=bool(steps and steps.confirm_at in collapsed))
        return replace(wanted, end=Reason.TOO_LATE) if start - since < late.too_late or due >= until else wanted

    def ended(self, steps: Iterable[Step], reason: Reason) -> list[Wanted]:
        return [replace(self._wanted(each, Kind.REMINDER, each.due, each.until, each.id), end=reason) for each in steps]

    def _wanted(self, step: Step, kind: Kind, due: datetime, until: datetime, rule: str) -> Wanted:
        appointment = self.appointment
        steps = steps_of(appointment, self.program)
        last = bool(steps and step.id == steps.steps[-1])
        return Wanted(
            dedup_key=reminder_key(appointment.appointment_id, appointment.start, step.id),
            kind=kind,
            program=appointment.program,
            due_at=due,
            due_local=local_text(due, self.zone),
            zone=self.zone,
            useful_until=until,
            priority=LAST_STEP if last or kind is Kind.LATE_BOOKING else EARLIER_STEP,
            appointment_id=appointment.appointment_id,
            step=step.id,
            asks_confirm=bool(steps and steps.confirm_at == step.id),
            rule=f"{appointment.visit_type}/{appointment.modality}/{rule}",
        )

    def phone_task(self) -> list[Task]:
        """Nothing can reach them in time: somebody must call. Old news are the business of who was responsible then."""
        appointment = self.appointment
        due = judged_at(appointment, self.program.policy)
        if self.context.quiet(appointment) or self.context.before_arming(due):
            return []
        key = f"too-late/{appointment.appointment_id}/{appointment.start:%Y%m%dT%H%M%SZ}"
        return [Task(key, "too_late", appointment.program, due, appointment.appointment_id, urgency="now")]
