"""The plan of one patient: what should go out, and when. A pure function of truth, programs, ledger and civil time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from schemas.appointment import AppointmentStatus
from schemas.outcomes import DeliveryState, Kind
from schemas.programs import Program
from services.notifier.domain import Appointment, Delivery, Ledger, Paperwork, Plan, Reason, Task, Truth, Wanted
from services.notifier.keys import REQUEST
from services.notifier.plan import notices, visits
from services.notifier.plan.context import Context
from services.notifier.plan.invitations import invitations
from services.notifier.plan.notices import Notice
from services.notifier.plan.paperwork import Ladder
from services.notifier.plan.standing import enrolled, gone, lost_ground
from services.notifier.plan.timetable import steps_of
from services.notifier.times import known_zone
from services.notifier.told import told_after_event

_UNCLAIMED = frozenset({DeliveryState.PLANNED, DeliveryState.CLAIMED, DeliveryState.HELD})


def plan(truth: Truth, programs: Mapping[str, Program], ledger: Ledger, now: datetime) -> Plan:
    """The intents this patient's state calls for at civil time ``now`` (UTC), by ``public_code`` of each program.

    Consent, preferences, addresses and holds are the guard's business. What is finished in the ledger is not wanted
    again; what is wanted has ``useful_until`` ahead of ``now``, except what is only recorded (``end``).
    """
    context = context_of(truth, programs, ledger, now)
    if truth.patient is None or gone(truth.patient):
        return _finish(context, [], _note_of_death(context))
    wanted: list[Wanted] = []
    tasks = [*_missed(context), *_zones(context)]
    owed = notices.needed(context)
    for code in context.programs_named():
        if not enrolled(truth, code):
            continue
        if code not in programs:
            tasks.append(Task(f"unknown-program/{truth.patient_id}/{code}", "unknown_program", code, now))
            continue
        more, tasks_too = _of_program(context, programs[code], owed)
        wanted += more
        tasks += tasks_too
    wanted += [_unless_old(context, each) for each in invitations(context)]
    return _finish(context, wanted, tasks)


def context_of(truth: Truth, programs: Mapping[str, Program], ledger: Ledger, now: datetime) -> Context:
    heard = dict(ledger.told)
    for appointment in truth.appointments:
        if known := told_after_event(heard.get(appointment.appointment_id), appointment):
            heard[appointment.appointment_id] = known
    return Context(truth, programs, ledger, now, heard, {each.dedup_key: each for each in ledger.deliveries})


def _of_program(context: Context, program: Program, owed: Sequence[Notice]) -> tuple[list[Wanted], list[Task]]:
    """Notices, reminders and asks of one program, in this order: each looks at what came before."""
    wanted: list[Wanted] = []
    tasks: list[Task] = []
    for notice in owed:
        if notice.about.program == program.public_code:
            one = notices.wanted(context, notice, program)
            wanted.append(_unless_before_arming(context, one))
            if one.useful_until > context.now and not wanted[-1].end:
                tasks += notices.phone_tasks(context, notice, one)
    reminders: list[Wanted] = []
    for appointment in _booked(context, program):
        if steps_of(appointment, program) is None:
            tasks.append(_no_steps(appointment))
        told = notices.tells_start(context, appointment, owed)
        more, tasks_too = visits.reminders(context, appointment, program, told_by_notice=told)
        reminders += more
        tasks += tasks_too
    reminders = [_unless_old(context, each) for each in reminders]
    asks, reminders, tasks_too = _asks(context, program, reminders)
    wanted += [*reminders, *(_unless_old(context, each) for each in asks)]
    return wanted, [*tasks, *tasks_too]


def _booked(context: Context, program: Program) -> list[Appointment]:
    return [
        each
        for each in context.truth.appointments
        if each.program == program.public_code and each.status is AppointmentStatus.BOOKED and each.start > context.now
    ]


def _no_steps(appointment: Appointment) -> Task:
    key = f"no-steps/{appointment.appointment_id}/{appointment.version}"
    return Task(key, "visit_without_steps", appointment.program, appointment.changed_at, appointment.appointment_id)


def _asks(context: Context, program: Program, reminders: list[Wanted]) -> tuple[list[Wanted], list[Wanted], list[Task]]:
    asks: list[Wanted] = []
    tasks: list[Task] = []
    for paperwork in context.truth.paperwork:
        visit = context.appointment(paperwork.appointment_id)
        if paperwork.program != program.public_code or not paperwork.missing or not _alive(context, paperwork, visit):
            continue
        ladder = Ladder(context, paperwork, program, visit, context.zone(visit, program))
        more, reminders = ladder.asks(reminders)
        asks += more
        if due := ladder.task_at():
            tasks.append(ladder.task(due))
    return asks, reminders, tasks


def _alive(context: Context, paperwork: Paperwork, visit: Appointment | None) -> bool:
    """A request without a visit, or one whose visit is booked and ahead."""
    if paperwork.appointment_id is None:
        return True
    return visit is not None and visit.status is AppointmentStatus.BOOKED and visit.start > context.now


def _unless_before_arming(context: Context, wanted: Wanted) -> Wanted:
    if wanted.end is None and context.before_arming(wanted.due_at):
        return replace(wanted, end=Reason.BEFORE_ARMING)
    return wanted


def _unless_old(context: Context, wanted: Wanted) -> Wanted:
    """Old news cause no immediate mail: what would go at once ends; what is planned already stays."""
    row = context.rows.get(wanted.dedup_key)
    if wanted.end is None and (row is None or row.reason is Reason.BEFORE_ARMING):
        immediate = wanted.kind is Kind.LATE_BOOKING or wanted.step == REQUEST or wanted.due_at <= context.now
        news = context.source(wanted)
        if immediate and news and context.quiet(news):
            return replace(wanted, end=Reason.BEFORE_ARMING)
    return _unless_before_arming(context, wanted)


def _note_of_death(context: Context) -> list[Task]:
    """One note to staff, who alone can say that it was an error."""
    truth = context.truth
    if truth.patient is None or gone(truth.patient) is not Reason.DECEASED:
        return []
    first = next(iter(truth.enrolments), None)
    return [Task(f"deceased/{truth.patient_id}", "deceased_note", first.program, context.now)] if first else []


def _zones(context: Context) -> list[Task]:
    """Zones this machine doesn't know: the clinic's is used instead."""
    truth = context.truth
    tasks = []
    own = truth.patient.zone if truth.patient else None
    if own and not known_zone(own):
        tasks += [
            Task(f"unknown-zone/{truth.patient_id}/{each.program}", "unknown_zone", each.program, context.now)
            for each in truth.enrolments
        ]
    for each in truth.appointments:
        if not known_zone(each.zone) and each.start > context.now:
            key = f"unknown-zone/{each.appointment_id}"
            tasks.append(Task(key, "unknown_zone", each.program, each.changed_at, each.appointment_id))
    return tasks


def _missed(context: Context) -> list[Task]:
    """What comes too late, by an outage or because it was held, while its visit is still ahead."""
    tasks = []
    for row in context.ledger.deliveries:
        visit = context.appointment(row.appointment_id)
        ahead = visit and visit.status is AppointmentStatus.BOOKED and visit.start > context.now
        if ahead and (row.state is DeliveryState.MISSED or _loses_its_use(context, row)):
            tasks.append(Task(f"missed/{row.dedup_key}", "missed", row.program, row.useful_until, row.appointment_id))
    return tasks


def _loses_its_use(context: Context, row: Delivery) -> bool:
    """Whether this very plan calls it missed: nobody would look again just to tell staff."""
    waits = row.state in (DeliveryState.PLANNED, DeliveryState.HELD)
    return waits and row.useful_until <= context.now and lost_ground(row, context.truth) is None


def _finish(context: Context, wanted: Sequence[Wanted], tasks: Sequence[Task]) -> Plan:
    """Leave out what is finished or of no use any more, and say when time alone will change the plan."""
    now = context.now
    useful = [each for each in wanted if each.useful_until > now or each.end]
    live = [each for each in useful if not context.finished(each.dedup_key, each.due_at, each.request_id)]
    live.sort(key=lambda each: (each.due_at, each.priority, each.dedup_key))
    keys = {each.dedup_key for each in live}
    unwanted = {
        row.dedup_key: lost_ground(row, context.truth) or Reason.SUPERSEDED
        for row in context.ledger.deliveries
        if row.state in _UNCLAIMED and row.dedup_key not in keys
    }
    standing = tuple(sorted((t for t in tasks if t.due_at <= now), key=lambda t: (t.due_at, t.key)))
    return Plan(tuple(live), standing, _next_change(context, live, tasks), unwanted)


def _next_change(context: Context, live: Iterable[Wanted], tasks: Iterable[Task]) -> datetime | None:
    """The next moment at which an intent loses its use, a task falls due, or a visit that has one begins."""
    moments = [each.useful_until for each in live if each.end is None]
    moments += [each.due_at for each in tasks]
    visits_with_tasks = {each.appointment_id for each in tasks if each.appointment_id}
    moments += [a.start for a in context.truth.appointments if a.appointment_id in visits_with_tasks]
    return min((each for each in moments if each > context.now), default=None)
