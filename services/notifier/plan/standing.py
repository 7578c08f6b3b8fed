"""Why a delivery is no longer called for, by its subject alone. The plan cancels with it, the guard skips with it."""

from schemas.appointment import AppointmentStatus
from schemas.outcomes import Kind
from schemas.patient import EnrolmentStatus, PatientStatus
from services.notifier.domain import OFF, SAFETY, Delivery, Patient, Reason, Truth


def gone(patient: Patient) -> Reason | None:
    """Why nothing at all is planned for this patient any more."""
    if patient.status is PatientStatus.DECEASED:
        return Reason.DECEASED
    if patient.status is PatientStatus.MERGED or patient.merged_into:
        return Reason.MERGED_RECORD
    return Reason.SUPERSEDED if patient.status in (PatientStatus.CLOSED, PatientStatus.ERASED) else None


def enrolled(truth: Truth, program: str) -> bool:
    """Whether the patient is in the program now."""
    return any(each.program == program and each.status is EnrolmentStatus.OPEN for each in truth.enrolments)


def lost_ground(delivery: Delivery, truth: Truth) -> Reason | None:
    """Which fact took the ground from under it: the patient, the enrolment, the request, the forms, the visit."""
    if truth.patient and (reason := gone(truth.patient)):
        return reason
    if not enrolled(truth, delivery.program):
        return Reason.SUPERSEDED
    if delivery.kind is Kind.TRIAL_INVITATION and not _requested(delivery, truth):
        return Reason.MATCH_WITHDRAWN
    if delivery.paperwork_id and not _forms_missing(delivery, truth):
        return Reason.PAPERWORK_RECEIVED
    return _visit_gone(delivery, truth)


def _requested(delivery: Delivery, truth: Truth) -> bool:
    return any(each.request_id == delivery.request_id for each in truth.requests)


def _forms_missing(delivery: Delivery, truth: Truth) -> bool:
    return any(each.missing for each in truth.paperwork if each.paperwork_id == delivery.paperwork_id)


def _visit_gone(delivery: Delivery, truth: Truth) -> Reason | None:
    """A cancellation notice lives on a visit that is off, everything else on one that is booked."""
    visit = next((each for each in truth.appointments if each.appointment_id == delivery.appointment_id), None)
    if visit is None:
        return None
    if delivery.kind is Kind.CANCELLATION:
        return None if visit.status in OFF else Reason.SUPERSEDED
    if visit.status in OFF:
        return Reason.SUPERSEDED if delivery.kind in SAFETY else Reason.VISIT_CANCELLED
    return None if visit.status is AppointmentStatus.BOOKED else Reason.SUPERSEDED
