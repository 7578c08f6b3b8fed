"""A visit booked, changed or ended at the console: intake's rules for its times and for what the patient was told."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from schemas.appointment import AppointmentPosted, AppointmentStatus, Modality
from services.notifier import domain
from services.notifier.domain import Truth
from services.notifier.posted.change import ADAPTER, Posted, UnknownSubject, put

_STOPS: Mapping[str, AppointmentStatus] = {
    "appointment.cancelled": AppointmentStatus.CANCELLED,
    "appointment.arrived": AppointmentStatus.ARRIVED,
    "appointment.completed": AppointmentStatus.FULFILLED,
    "appointment.no_show": AppointmentStatus.NO_SHOW,
    "appointment.removed": AppointmentStatus.ENTERED_IN_ERROR,
}


def appointment(truth: Truth, change: Posted, now: datetime) -> Truth:
    posted: AppointmentPosted = change.data
    before = next((each for each in truth.appointments if each.appointment_id == change.subject_id), None)
    if change.name in _STOPS:
        if before is None:
            raise UnknownSubject
        told = posted.patient_told_at if _says_told(posted) else None
        new = replace(
            before, version=before.version + 1, status=_STOPS[change.name], changed_at=now, recorded_at=now,
            patient_told_at=told,
        )  # fmt: skip
    elif before is None and change.name != "appointment.scheduled":
        raise UnknownSubject
    else:
        new = _visit(before, change, posted, now)
    same = change.subject_id
    return replace(truth, appointments=put(truth.appointments, new, lambda each: each.appointment_id == same))


def _visit(
    before: domain.Appointment | None, change: Posted, posted: AppointmentPosted, now: datetime
) -> domain.Appointment:
    """A visit booked or edited: the times from which lateness and settling are judged."""
    scheduled = change.name == "appointment.scheduled"
    booked = posted.status is AppointmentStatus.BOOKED
    first = before is None or before.status not in (AppointmentStatus.BOOKED, AppointmentStatus.CANCELLED)
    moved = before is None or scheduled or posted.start != before.start
    new = domain.Appointment(
        appointment_id=change.subject_id,
        version=before.version + 1 if before else 1,
        program=posted.program,
        status=posted.status if before is None or scheduled else before.status,
        start=posted.start,
        end=posted.end,
        zone=posted.zone,
        modality=Modality(posted.modality),
        visit_type=posted.care.visit_type,
        site=posted.care.site,
        clinician=posted.care.clinician,
        booked_at=now if before is None or (scheduled and first) else before.booked_at,
        start_set_at=now if before is None or moved else before.start_set_at,
        changed_at=now,
        recorded_at=now,
        adapter=ADAPTER,
    )
    return replace(new, patient_told_at=_told(before, new, posted, now if scheduled and first and booked else None))


def _told(
    before: domain.Appointment | None, new: domain.Appointment, posted: AppointmentPosted, default: datetime | None
) -> datetime | None:
    """A first booking is agreed with the patient; a change isn't, unless staff say so or nothing they heard changed."""
    if _says_told(posted):
        return posted.patient_told_at
    if before and (before.start, before.zone, before.modality, before.site) == (
        new.start, new.zone, new.modality, new.site,
    ):  # fmt: skip
        return before.patient_told_at or default
    return default


def _says_told(posted: AppointmentPosted) -> bool:
    return "patient_told_at" in posted.model_fields_set
