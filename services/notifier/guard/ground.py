"""What a delivery stands on: arming, the visit, the forms, what was told."""

from schemas.appointment import AppointmentStatus, Modality
from services.notifier.domain import OFF, Reason
from services.notifier.guard.case import REMINDERS, Answer, Case
from services.notifier.keys import reminder_key
from services.notifier.plan.context import STOPPED
from services.notifier.plan.standing import lost_ground
from services.notifier.plan.timetable import steps_of
from services.notifier.told import differs


def armed(case: Case) -> Answer:
    return Reason.BEFORE_ARMING if case.context.before_arming(case.delivery.due_at) else None


def paused(case: Case) -> Answer:
    code = case.program.public_code
    stopped = {(code, None), (code, case.delivery.kind)} & case.moment.paused
    return Reason.PROGRAM_PAUSED if stopped else None


def ground(case: Case) -> Answer:
    """The visit, the forms, the enrolment. What nobody has settled yet waits."""
    visit = case.visit
    if case.delivery.appointment_id and visit is None:
        return Reason.TRUTH_INCOMPLETE
    settled = OFF | STOPPED | {AppointmentStatus.BOOKED}
    if visit and visit.status not in settled:
        return Reason.TRUTH_INCOMPLETE
    return lost_ground(case.delivery, case.truth)


def still_true(case: Case) -> Answer:
    """A reminder for the visit's present start and modality; a notice that is still owed."""
    delivery, visit = case.delivery, case.visit
    if case.safety:
        if not case.owes and not _repeats(case):
            return Reason.SUPERSEDED
    elif visit and delivery.kind in REMINDERS:
        if delivery.dedup_key != reminder_key(visit.appointment_id, visit.start, delivery.step or ""):
            return Reason.SUPERSEDED
        steps = steps_of(visit, case.program)
        if visit.modality is not Modality.UNKNOWN and (steps is None or delivery.step not in steps.steps):
            return Reason.MODALITY_MISMATCH
    return Reason.TRUTH_INCOMPLETE if visit and visit.modality is Modality.UNKNOWN else None


def _repeats(case: Case) -> bool:
    """Whether this is a notice of uncertain fate that still says the truth: it may go once more."""
    told = case.context.heard.get(case.delivery.appointment_id or "")
    mine = told is not None and told.by == case.delivery.delivery_id and not told.certain
    return mine and case.visit is not None and not differs(told, case.visit)
