"""What if this were posted: a change as intake takes it, applied to a copy of one patient's truth. Pure.

It follows intake's rules for times and for what the patient was told, as for a change made by staff at the console; it
doesn't repeat intake's checks, so a preview of something that intake will refuse is a preview of nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from schemas.appointment import (
    AppointmentPosted,
    AppointmentStatus,
    ItemStatus,
    Modality,
    PaperworkPosted,
)
from schemas.patient import (
    ConsentDecision,
    ConsentPosted,
    EnrolmentPosted,
    EnrolmentStatus,
    PatientPosted,
    PatientReason,
    PatientStatus,
    PreferencePosted,
)
from services.notifier import domain
from services.notifier.domain import Truth

ADAPTER = "console"
T = TypeVar("T")

_PATIENT: Mapping[str, PatientStatus] = {
    "patient.restricted": PatientStatus.RESTRICTED,
    "patient.unrestricted": PatientStatus.ACTIVE,
    "patient.deceased": PatientStatus.DECEASED,
    "patient.deceased-reversed": PatientStatus.ACTIVE,
    "patient.closed": PatientStatus.CLOSED,
    "patient.erased": PatientStatus.ERASED,
}
_STOPS: Mapping[str, AppointmentStatus] = {
    "appointment.cancelled": AppointmentStatus.CANCELLED,
    "appointment.arrived": AppointmentStatus.ARRIVED,
    "appointment.completed": AppointmentStatus.FULFILLED,
    "appointment.no_show": AppointmentStatus.NO_SHOW,
    "appointment.removed": AppointmentStatus.ENTERED_IN_ERROR,
}
_ASKS = frozenset({"paperwork.requested", "paperwork.reopened"})


class UnknownSubject(Exception):  # noqa: N818  # an answer to who posted it
    """The change is about a subject that this patient doesn't have."""


@dataclass(frozen=True, slots=True)
class Posted:
    """One change: ``name`` without prefix and major, ``data`` its validated posted model."""

    name: str
    subject_id: str
    data: Any

    @property
    def family(self) -> str:
        return self.name.partition(".")[0]


def apply_posted(truth: Truth, changes: Sequence[Posted], now: datetime) -> Truth:
    """The truth as it would be after these changes, made at civil time ``now``. ``UnknownSubject``."""
    for each in changes:
        if step := _APPLY.get(each.family):
            truth = step(truth, each, now)
    return truth


def _patient(truth: Truth, change: Posted, now: datetime) -> Truth:
    if isinstance(change.data, PatientReason):
        if truth.patient is None:
            raise UnknownSubject
        return replace(truth, patient=replace(truth.patient, status=_PATIENT[change.name]))
    posted: PatientPosted = change.data
    contact, before = posted.contact, truth.patient
    patient = domain.Patient(
        status=before.status if before and change.name == "patient.updated" else PatientStatus.ACTIVE,
        zone=posted.zone,
        given_name=contact.given_name,
        birth_date=contact.birth_date,
        email=contact.email,
        email_verified_at=contact.email_verified_at,
        language=contact.language,
    )
    return replace(truth, patient=patient)


def _enrolment(truth: Truth, change: Posted, now: datetime) -> Truth:
    posted: EnrolmentPosted = change.data
    status = EnrolmentStatus.OPEN if change.name == "enrolment.opened" else EnrolmentStatus.CLOSED
    new = domain.Enrolment(change.subject_id, posted.program, status, posted.outside_network)
    return replace(truth, enrolments=_put(truth.enrolments, new, lambda each: each.enrolment_id == change.subject_id))


def _appointment(truth: Truth, change: Posted, now: datetime) -> Truth:
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
    return replace(truth, appointments=_put(truth.appointments, new, lambda each: each.appointment_id == same))


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


def _paperwork(truth: Truth, change: Posted, now: datetime) -> Truth:
    posted: PaperworkPosted = change.data
    before = next((each for each in truth.paperwork if each.paperwork_id == change.subject_id), None)
    if before is None and change.name != "paperwork.requested":
        raise UnknownSubject
    new = domain.Paperwork(
        paperwork_id=change.subject_id,
        program=posted.program,
        appointment_id=posted.appointment_id,
        items=tuple(domain.PaperworkItem(each.item_id, each.form, ItemStatus(each.status)) for each in posted.items),
        requested_at=now if before is None or change.name in _ASKS else before.requested_at,
        changed_at=now,
        recorded_at=now,
        adapter=ADAPTER,
    )
    return replace(truth, paperwork=_put(truth.paperwork, new, lambda each: each.paperwork_id == change.subject_id))


def _consent(truth: Truth, change: Posted, now: datetime) -> Truth:
    posted: ConsentPosted = change.data
    decision = ConsentDecision.PERMIT if change.name == "consent.granted" else ConsentDecision.DENY
    new = domain.Consent(change.subject_id, posted.scope, decision, posted.decided_at, posted.program)
    return replace(truth, consents=_put(truth.consents, new, lambda each: each.consent_id == change.subject_id))


def _preference(truth: Truth, change: Posted, now: datetime) -> Truth:
    posted: PreferencePosted = change.data
    new = domain.Preference(posted.program, posted.email, posted.reminders, posted.forms, posted.paused_until)
    return replace(truth, preferences=_put(truth.preferences, new, lambda each: each.program == posted.program))


def _put(known: Sequence[T], new: T, same: Callable[[T], bool]) -> tuple[T, ...]:
    return (*(each for each in known if not same(each)), new)


_APPLY: Mapping[str, Callable[[Truth, Posted, datetime], Truth]] = {
    "patient": _patient,
    "enrolment": _enrolment,
    "appointment": _appointment,
    "paperwork": _paperwork,
    "consent": _consent,
    "preference": _preference,
}
"""By family. Facts change no mail."""
