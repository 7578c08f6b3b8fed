"""Change and cancellation notices: due exactly when what the patient was told differs from the truth.

A cancellation and a new booking of the same visit type within the settle delay are one change notice, under the key of
the visit that is off.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from schemas.appointment import AppointmentStatus
from schemas.outcomes import DeliveryState, Kind
from schemas.programs import Program
from services.notifier.domain import OFF, TOLD_STATES, Appointment, Task, Told, Wanted
from services.notifier.keys import notice_key
from services.notifier.plan.context import Context, settle_length, settled_at
from services.notifier.times import local_text, next_open
from services.notifier.told import differs

PRIORITY = 0
AT_ONCE_WITHIN = timedelta(hours=24)
"""A notice so close to the visit goes at any hour."""
SHORT_LEAD = timedelta(hours=4)
"""With less time than this before the visit a mail may not be read: somebody must call as well."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What must be said: what was ``told`` of ``old`` is void, ``about`` is the visit it speaks of (mostly ``old``)."""

    kind: Literal[Kind.CHANGE, Kind.CANCELLATION]
    told: Told
    old: Appointment
    about: Appointment

    @property
    def key(self) -> str:
        return notice_key(self.kind, self.old.appointment_id, self.told.sequence)

    @property
    def starts(self) -> list[datetime]:
        """The times that matter: the one told, and the new one unless there is none."""
        new = [self.about.start] if self.kind is Kind.CHANGE else []
        return new if self.told.start is None else [self.told.start, *new]

    @property
    def edited_at(self) -> datetime:
        return max(self.old.changed_at, self.about.changed_at)

    @property
    def useful_until(self) -> datetime:
        """The later of old and new start; of a cancellation the old start."""
        return max(self.starts)

    @property
    def first_start(self) -> datetime:
        """The earliest of the times that lies after the edit: what the patient would get wrong first."""
        return min((each for each in self.starts if each > self.edited_at), default=self.useful_until)


def needed(context: Context) -> list[Notice]:
    """All notices this patient is owed, whether or not they have a delivery yet."""
    open_ones = [a for a in context.truth.appointments if differs(context.heard.get(a.appointment_id), a)]
    replaced = _rebookings(context, open_ones)
    taken = {new.appointment_id for new in replaced.values()}
    owed = []
    for old in open_ones:
        if old.appointment_id in taken:
            continue
        about = replaced.get(old.appointment_id, old)
        kind: Literal[Kind.CHANGE, Kind.CANCELLATION] = Kind.CANCELLATION if about.status in OFF else Kind.CHANGE
        owed.append(Notice(kind, context.heard[old.appointment_id], old, about))
    return owed


def _rebookings(context: Context, changed: Iterable[Appointment]) -> dict[str, Appointment]:
    """For each visit that is off, the one booked in its place."""
    booked = [each for each in context.truth.appointments if each.status is AppointmentStatus.BOOKED]
    booked.sort(key=lambda each: (each.booked_at, each.appointment_id))
    found: dict[str, Appointment] = {}
    for old in sorted(changed, key=lambda each: (each.changed_at, each.appointment_id)):
        if old.status in OFF and (program := context.programs.get(old.program)):
            length = settle_length(old.adapter, program)
            for new in booked:
                same = (new.program, new.visit_type) == (old.program, old.visit_type)
                if same and abs(new.booked_at - old.changed_at) <= length:
                    found[old.appointment_id] = new
                    booked.remove(new)
                    break
    return found


def tells_start(context: Context, appointment: Appointment, owed: Iterable[Notice]) -> bool:
    """Whether a change notice, owed or already made, tells the visit's present start."""
    if any(each.about.appointment_id == appointment.appointment_id for each in owed):
        return True
    return any(
        row.kind is Kind.CHANGE
        and row.appointment_id == appointment.appointment_id
        and row.due_at >= appointment.start_set_at
        and row.state in TOLD_STATES | {DeliveryState.SENDING, DeliveryState.BOUNCED}
        for row in context.ledger.deliveries
    )


def wanted(context: Context, notice: Notice, program: Program) -> Wanted:
    """The notice, after its settle delay and inside its window; at once within 24 h of the visit."""
    about = notice.about
    zone = context.zone(about, program)
    due = _settled(context, notice, program)
    if notice.first_start - due >= AT_ONCE_WITHIN:
        due = next_open(due, program.policy.windows.notices, zone)
    rebooked = "" if about is notice.old else "/rebooked"
    return Wanted(
        dedup_key=notice.key,
        kind=notice.kind,
        program=about.program,
        due_at=due,
        due_local=local_text(due, zone),
        zone=zone,
        useful_until=notice.useful_until,
        priority=PRIORITY,
        appointment_id=about.appointment_id,
        rule=f"notice/{'change' if notice.kind is Kind.CHANGE else 'cancellation'}{rebooked}",
    )


def _settled(context: Context, notice: Notice, program: Program) -> datetime:
    """Each edit starts the delay again; no delay when the visit told or the new one is near."""
    last = notice.edited_at
    if notice.first_start - last < program.policy.settle.none_within:
        return last
    length = settle_length(notice.about.adapter, program)
    first = min((each for each in _planned_at(context, notice) if last - 2 * length <= each < last), default=last)
    return settled_at(first, last, length)


def _planned_at(context: Context, notice: Notice) -> list[datetime]:
    """When notices that void the same thing told, and weren't sent, were first planned: about when edits began."""
    kinds: tuple[Literal[Kind.CHANGE, Kind.CANCELLATION], ...] = (Kind.CHANGE, Kind.CANCELLATION)
    keys = [notice_key(kind, notice.old.appointment_id, notice.told.sequence) for kind in kinds]
    rows = [context.rows[key] for key in keys if key in context.rows]
    return [each.created_at for each in rows if each.created_at and not each.entered_sending]


def phone_tasks(context: Context, notice: Notice, wanted: Wanted) -> list[Task]:
    """Somebody must call as well: a short lead, a visit entered in error, or a notice that failed and changed since.

    One intent voids one thing told, once: what changes after its failure has no mail of its own.
    """
    about, row = notice.about, context.rows.get(notice.key)
    failed = row is not None and context.finished(notice.key, wanted.due_at)
    since_failed = row is not None and failed and row.ended_at is not None and notice.edited_at > row.ended_at
    codes = {
        "short_notice": notice.first_start - wanted.due_at < SHORT_LEAD,
        "notice_undelivered": since_failed,
        "removed_visit": about.status is AppointmentStatus.ENTERED_IN_ERROR,
    }
    return [
        Task(
            key=f"{code}/{notice.key}/{about.version}",
            code=code,
            program=about.program,
            due_at=notice.edited_at,
            appointment_id=about.appointment_id,
            urgency="now",
        )
        for code, true in codes.items()
        if true
    ]
