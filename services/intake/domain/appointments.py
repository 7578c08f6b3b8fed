"""Visits: which event may follow which state, and the times an appointment's state carries.

=============  ===========================================  ==============================
event          from                                         to
=============  ===========================================  ==============================
scheduled      nothing, held, cancelled (to undo it)        the posted status
rescheduled    held, booked                                 stays; another start
updated        held, booked, arrived                        stays; the same start
cancelled      held, booked                                 cancelled
arrived        booked, noshow                               arrived
completed      booked, arrived, noshow                      fulfilled
no_show        booked, arrived                              noshow
removed        all but removed                              entered-in-error
=============  ===========================================  ==============================

Held is proposed, pending or waitlist. The last five stop reminders: they take nothing but the status (and
``patient_told_at``) from what is posted, so a poster with an old schedule can always stop a visit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from schemas.appointment import AppointmentPosted, AppointmentStatus
from services.intake.domain.checks import enrolled, in_force, in_order, program_is_known, zone_exists
from services.intake.domain.commands import STAFF_ADAPTERS, Command, Context, posted_as
from services.intake.domain.record import Appointment, Record
from services.intake.domain.refusals import Problem, refuse, refuse_all
from services.intake.domain.visits import offered

_S = AppointmentStatus
HELD = frozenset({_S.PROPOSED, _S.PENDING, _S.WAITLIST})
OPEN = HELD | {_S.BOOKED}


@dataclass(frozen=True, slots=True)
class Move:
    """``to`` None keeps the status. ``verb`` is for the refusal."""

    sources: frozenset[AppointmentStatus]
    to: AppointmentStatus | None
    verb: str


MOVES: Mapping[str, Move] = {
    "appointment.rescheduled": Move(OPEN, None, "rescheduled"),
    "appointment.updated": Move(OPEN | {_S.ARRIVED}, None, "updated"),
    "appointment.cancelled": Move(OPEN, _S.CANCELLED, "cancelled"),
    "appointment.arrived": Move(frozenset({_S.BOOKED, _S.NO_SHOW}), _S.ARRIVED, "reported as arrived"),
    "appointment.completed": Move(frozenset({_S.BOOKED, _S.ARRIVED, _S.NO_SHOW}), _S.FULFILLED, "completed"),
    "appointment.no_show": Move(frozenset({_S.BOOKED, _S.ARRIVED}), _S.NO_SHOW, "reported as missed"),
    "appointment.removed": Move(frozenset(_S) - {_S.ENTERED_IN_ERROR}, _S.ENTERED_IN_ERROR, "removed"),
}

STANDS = {
    _S.PROPOSED: "proposed",
    _S.PENDING: "pending",
    _S.WAITLIST: "on the waiting list",
    _S.BOOKED: "booked",
    _S.ARRIVED: "under way",
    _S.FULFILLED: "completed",
    _S.CANCELLED: "cancelled",
    _S.NO_SHOW: "reported as missed",
    _S.ENTERED_IN_ERROR: "removed as entered in error",
    _S.UNKNOWN: "in a state we don't know",
}


def decide_appointment(record: Record, command: Command, context: Context) -> Appointment:
    """The appointment after the command; ``Refused``."""
    posted: AppointmentPosted = posted_as(AppointmentPosted, command)
    visit = record.find(Appointment, command.subject_id)
    refuse_all([_program(visit, command, posted, context), _same_program(visit, posted)])
    refuse_all([context.not_ahead("/data/patient_told_at", posted.patient_told_at)])
    if command.name == "appointment.scheduled":
        return _scheduled(record, visit, posted, command, context)
    if visit is None:
        raise refuse("/subject", "the appointment is not known; send appointment.scheduled first")
    move = MOVES[command.name]
    if visit.status not in move.sources:
        raise refuse("/type", f"a visit that is {STANDS[visit.status]} can't be {move.verb}")
    if move.to is None:
        return _edited(record, visit, posted, command, context)
    return _stopped(visit, move.to, posted, command, context)


def _program(
    visit: Appointment | None, command: Command, posted: AppointmentPosted, context: Context
) -> Problem | None:
    """A visit can be stopped even when its program is no longer set up here."""
    stops = command.name in MOVES and MOVES[command.name].to is not None
    if stops and visit is not None and context.scope.allows(visit.program):
        return None
    return program_is_known(posted.program, context)


def _same_program(visit: Appointment | None, posted: AppointmentPosted) -> Problem | None:
    if visit is None or visit.program == posted.program:
        return None
    return Problem("/data/program", "the appointment is in another program; cancel it there and book it here")


def _scheduled(
    record: Record, visit: Appointment | None, posted: AppointmentPosted, command: Command, context: Context
) -> Appointment:
    if visit is not None and visit.status not in HELD | {_S.CANCELLED}:
        hint = "send appointment.rescheduled or appointment.updated" if visit.status is _S.BOOKED else "book a new one"
        raise refuse("/type", f"the visit is {STANDS[visit.status]}; {hint}")
    if posted.status not in OPEN:
        raise refuse("/data/status", "only proposed, pending, waitlist and booked can be scheduled")
    if visit is not None and visit.status is posted.status:
        raise refuse("/data/status", "the visit already has this status; send appointment.updated")
    _check(record, posted, command, context)
    at = context.at(command)
    first = visit is None or visit.status in HELD
    told = _told(posted, command, at if first and posted.status is _S.BOOKED else None)
    return Appointment(
        command.subject_id, visit.version + 1 if visit else 1, posted.program, posted.status,
        posted.start, posted.end, posted.zone, posted.modality, posted.care,
        booked_at=at if visit is None or first else visit.booked_at,
        start_set_at=at, changed_at=at, patient_told_at=told,
    )  # fmt: skip


def _edited(
    record: Record, visit: Appointment, posted: AppointmentPosted, command: Command, context: Context
) -> Appointment:
    moved = posted.start != visit.start
    if moved and command.name == "appointment.updated":
        raise refuse("/data/start", "is not the visit's start; send appointment.rescheduled")
    if not moved and command.name == "appointment.rescheduled":
        raise refuse("/data/start", "is the start the visit has already; send appointment.updated")
    _check(record, posted, command, context)
    at = context.at(command)
    after = replace(
        visit, version=visit.version + 1, start=posted.start, end=posted.end, zone=posted.zone,
        modality=posted.modality, care=posted.care, start_set_at=at if moved else visit.start_set_at, changed_at=at,
    )  # fmt: skip
    return replace(after, patient_told_at=_told(posted, command, _still_told(visit, after)))


def _still_told(before: Appointment, after: Appointment) -> datetime | None:
    """What the patient was told stays told by an edit of what nobody tells them."""
    same = (before.start, before.zone, before.modality, before.care.site) == (
        after.start, after.zone, after.modality, after.care.site,
    )  # fmt: skip
    return before.patient_told_at if same else None


def _stopped(
    visit: Appointment, to: AppointmentStatus, posted: AppointmentPosted, command: Command, context: Context
) -> Appointment:
    if to is _S.NO_SHOW and visit.start > context.now:
        raise refuse("/type", "the visit has not begun yet")
    at = context.at(command)
    return replace(
        visit, version=visit.version + 1, status=to, changed_at=at, patient_told_at=posted.patient_told_at
    )  # fmt: skip


def _told(posted: AppointmentPosted, command: Command, default: datetime | None) -> datetime | None:
    """An explicit null means not told. Left out, staff agreed the first booking with the patient; a feed can't know."""
    if "patient_told_at" in posted.model_fields_set:
        return posted.patient_told_at
    return default if command.adapter in STAFF_ADAPTERS else None


def _check(record: Record, posted: AppointmentPosted, command: Command, context: Context) -> None:
    refuse_all([in_force(record), enrolled(record, posted.program), in_order(record, command)])
    program = context.programs[posted.program]
    refuse_all(
        [
            Problem("/data/end", "is not after the start") if posted.end and posted.end <= posted.start else None,
            zone_exists("/data/zone", posted.zone),
            *offered(program, posted),
        ]
    )
    refuse_all([_duplicate(record, posted, command)])


def _duplicate(record: Record, posted: AppointmentPosted, command: Command) -> Problem | None:
    twins = (
        each
        for each in record.all(Appointment)
        if each.id != command.subject_id
        and each.status in OPEN
        and (each.program, each.start) == (posted.program, posted.start)
        and each.care.visit_type == posted.care.visit_type
    )
    if next(twins, None) is None:
        return None
    return Problem("/data/start", "the patient has this visit at this time already, under another appointment")
