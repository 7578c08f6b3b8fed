"""A patient's record, enrolment, consent or preference as it would be after a change at the console."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

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
from services.notifier.posted.change import Posted, UnknownSubject, put

_PATIENT: Mapping[str, PatientStatus] = {
    "patient.restricted": PatientStatus.RESTRICTED,
    "patient.unrestricted": PatientStatus.ACTIVE,
    "patient.deceased": PatientStatus.DECEASED,
    "patient.deceased-reversed": PatientStatus.ACTIVE,
    "patient.closed": PatientStatus.CLOSED,
    "patient.erased": PatientStatus.ERASED,
}


def patient(truth: Truth, change: Posted, now: datetime) -> Truth:
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


def enrolment(truth: Truth, change: Posted, now: datetime) -> Truth:
    posted: EnrolmentPosted = change.data
    status = EnrolmentStatus.OPEN if change.name == "enrolment.opened" else EnrolmentStatus.CLOSED
    new = domain.Enrolment(change.subject_id, posted.program, status, posted.outside_network)
    return replace(truth, enrolments=put(truth.enrolments, new, lambda each: each.enrolment_id == change.subject_id))


def consent(truth: Truth, change: Posted, now: datetime) -> Truth:
    posted: ConsentPosted = change.data
    decision = ConsentDecision.PERMIT if change.name == "consent.granted" else ConsentDecision.DENY
    new = domain.Consent(change.subject_id, posted.scope, decision, posted.decided_at, posted.program)
    return replace(truth, consents=put(truth.consents, new, lambda each: each.consent_id == change.subject_id))


def preference(truth: Truth, change: Posted, now: datetime) -> Truth:
    posted: PreferencePosted = change.data
    new = domain.Preference(posted.program, posted.email, posted.reminders, posted.forms, posted.paused_until)
    return replace(truth, preferences=put(truth.preferences, new, lambda each: each.program == posted.program))
