"""A visit's timetable: its steps by type and modality, each with the time it is due and until when it is useful."""

from dataclasses import dataclass
from datetime import datetime

from schemas.appointment import Modality
from schemas.programs import Policy, Program, Steps
from services.notifier.domain import Appointment
from services.notifier.times import (
    DAY,
    at_local,
    day_of,
    days_before,
    is_open,
    last_evening,
    next_open,
    time_before,
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a visit's timetable: due, and useful until the next is due."""

    id: str
    due: datetime
    until: datetime


def steps_of(appointment: Appointment, program: Program) -> Steps | None:
    """The program's steps for this type and modality; None when it has none: unknown, or not offered so."""
    visit_type = program.visit_types.get(appointment.visit_type)
    if visit_type is None or appointment.modality is Modality.UNKNOWN:
        return None
    return visit_type.steps.get("video" if appointment.modality is Modality.VIDEO else "on-site")


def timetable(appointment: Appointment, program: Program, clinic: str, zone: str) -> list[Step]:
    """The visit's steps, earliest first, as if it had been booked long ago."""
    steps = steps_of(appointment, program)
    if steps is None:
        return []
    end = _last_moment(appointment, program.policy)
    dues = [_due(each, appointment, program.policy, clinic, zone) for each in steps.steps]
    return [Step(*each) for each in zip(steps.steps, dues, [*dues[1:], end], strict=True)]


def _last_moment(appointment: Appointment, policy: Policy) -> datetime:
    video = appointment.modality is Modality.VIDEO
    return appointment.start - (policy.last_until_video if video else policy.last_until_on_site)


def _due(step: str, appointment: Appointment, policy: Policy, clinic: str, zone: str) -> datetime:
    """A day step counts from the visit's date at the clinic; an hour step is elapsed time, or the evening before it."""
    window, days = policy.windows.care, days_before(step)
    if days is None:
        due = appointment.start - time_before(step)
    else:
        day = day_of(appointment.start, clinic) - days * DAY
        latest = min(appointment.start - policy.min_lead, _last_moment(appointment, policy))
        if (due := next_open(at_local(day, policy.hour, zone), window, zone)) < latest:
            return due
        due = latest
    return due if is_open(due, window, zone) else last_evening(due, policy.evening, window, zone)
