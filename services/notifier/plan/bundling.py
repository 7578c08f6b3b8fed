"""One mail instead of two: an ask for forms and a reminder that are due within the bundling horizon."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from schemas.outcomes import Kind
from schemas.programs import Program
from services.notifier.domain import Wanted
from services.notifier.plan.context import Context, settle_length
from services.notifier.times import days_before, is_open, local_text


def shared(
    context: Context, ask: Wanted, reminders: Sequence[Wanted], program: Program
) -> tuple[Wanted, Sequence[Wanted]]:
    """The ask and the reminders, with the ask riding on the nearest reminder that can carry it.

    The later of the two moves earlier where its window and settle delay allow it. A late booking's mail waits for a
    request that settles a moment later: both come from the same sitting.
    """
    near = [each for each in reminders if _may_carry(context, each, ask, program)]
    for reminder in sorted(near, key=lambda each: abs(each.due_at - ask.due_at)):
        if due := _meeting(context, ask, reminder, program):
            moved = at(reminder, due)
            return replace(at(ask, due), rides=moved.dedup_key), [moved if r is reminder else r for r in reminders]
    return ask, reminders


def at(wanted: Wanted, due: datetime) -> Wanted:
    """The same intent at another instant."""
    return replace(wanted, due_at=due, due_local=local_text(due, wanted.zone))


def _may_carry(context: Context, reminder: Wanted, ask: Wanted, program: Program) -> bool:
    """Never the day before or in hours: those say only time and place. Nor what is over."""
    carries = reminder.kind is Kind.LATE_BOOKING or (days_before(reminder.step or "") or 0) > 1
    over = reminder.end or context.finished(reminder.dedup_key, reminder.due_at)
    near = abs(reminder.due_at - ask.due_at) < program.policy.bundle
    return carries and near and not over


def _meeting(context: Context, ask: Wanted, reminder: Wanted, program: Program) -> datetime | None:
    """When both can go; None when they can't go together."""
    earlier, later = sorted((ask, reminder), key=lambda each: each.due_at)
    due = earlier.due_at
    if due < _settled(context, later, program):
        if reminder.kind is not Kind.LATE_BOOKING or later.due_at - due > program.policy.settle.feed:
            return None
        due = later.due_at
    if due <= context.now < later.due_at and not _already(context, later, due):
        return None
    if context.before_arming(due):
        return None
    useful = due < min(ask.useful_until, reminder.useful_until)
    return due if useful and is_open(due, program.policy.windows.care, later.zone) else None


def _already(context: Context, wanted: Wanted, due: datetime) -> bool:
    """Whether it was moved there before: nothing is moved into the past."""
    row = context.rows.get(wanted.dedup_key)
    return row is not None and row.due_at == due


def _settled(context: Context, wanted: Wanted, program: Program) -> datetime:
    """Before this instant edits may still come that change what the mail says."""
    for paperwork in context.truth.paperwork:
        if paperwork.paperwork_id == wanted.paperwork_id:
            length = settle_length(paperwork.adapter, program)
            return min(paperwork.requested_at + length, wanted.due_at)
    appointment = context.appointment(wanted.appointment_id)
    if appointment is None:
        return wanted.due_at
    return min(appointment.changed_at + settle_length(appointment.adapter, program), wanted.due_at)
