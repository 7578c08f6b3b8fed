"""From an event to the notifier's picture of its subject: opens the sealed blocks, keeps what the plan needs.

Pure but for the key ring. An event whose block doesn't open is ``Permanent``: a dead letter, never half a patient.
"""

import hashlib
import hmac
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from chassis.consumer import Event
from chassis.errors import Permanent
from chassis.sealing import Keyring
from schemas.appointment import AppointmentState, CareBlock, FormsBlock, PaperworkState
from schemas.outcomes import Kind, MessageRequest, RequestWithdrawal
from schemas.patient import ConsentState, ContactBlock, EnrolmentState, PatientState, PreferenceState
from schemas.protected import Protected
from services.notifier import domain

Subject = (
    domain.Patient
    | domain.Enrolment
    | domain.Appointment
    | domain.Paperwork
    | domain.Consent
    | domain.Preference
    | domain.Request
    | domain.Withdrawal
)


@dataclass(frozen=True, slots=True)
class Projected:
    """A subject's state at one version. ``subject`` is ``<family>/<id>``."""

    tenant: str
    patient_id: str
    subject: str
    version: int
    state: Subject


def _patient(event: Event[PatientState], ring: Keyring) -> domain.Patient:
    data = event.data
    contact = _open(event, data.contact, ContactBlock, ring) if data.contact else None
    return domain.Patient(
        status=data.status,
        zone=data.zone,
        given_name=contact.given_name if contact else None,
        birth_date=contact.birth_date if contact else None,
        email=contact.email if contact else None,
        email_verified_at=contact.email_verified_at if contact else None,
        language=contact.language if contact else "en",
        merged_into=data.merged_into,
    )


def _enrolment(event: Event[EnrolmentState], ring: Keyring) -> domain.Enrolment:
    data = event.data
    return domain.Enrolment(data.enrolment_id, data.program, data.status, data.outside_network)


def _appointment(event: Event[AppointmentState], ring: Keyring) -> domain.Appointment:
    data, care = event.data, _open(event, event.data.care, CareBlock, ring)
    return domain.Appointment(
        appointment_id=data.appointment_id,
        version=data.version,
        program=data.program,
        status=data.status,
        start=data.start,
        end=data.end,
        zone=data.zone,
        modality=data.modality,
        visit_type=care.visit_type,
        site=care.site,
        clinician=care.clinician,
        booked_at=data.booked_at,
        start_set_at=data.start_set_at,
        changed_at=data.changed_at,
        recorded_at=event.envelope.recordedtime or event.envelope.time,
        patient_told_at=data.patient_told_at,
        adapter=adapter_of(event),
        origin=event.envelope.origin,
    )


def _paperwork(event: Event[PaperworkState], ring: Keyring) -> domain.Paperwork:
    data, forms = event.data, _open(event, event.data.care, FormsBlock, ring).forms
    return domain.Paperwork(
        paperwork_id=data.paperwork_id,
        program=data.program,
        appointment_id=data.appointment_id,
        items=tuple(domain.PaperworkItem(item.item_id, forms[item.item_id], item.status) for item in data.items),
        requested_at=data.requested_at,
        changed_at=data.changed_at,
        recorded_at=event.envelope.recordedtime or event.envelope.time,
        adapter=adapter_of(event),
        origin=event.envelope.origin,
    )


def _consent(event: Event[ConsentState], ring: Keyring) -> domain.Consent:
    data = event.data
    return domain.Consent(data.consent_id, data.scope, data.decision, data.decided_at, data.program)


def _preference(event: Event[PreferenceState], ring: Keyring) -> domain.Preference:
    data = event.data
    return domain.Preference(data.program, data.email, data.reminders, data.forms, data.paused_until)


def _request(event: Event[MessageRequest | RequestWithdrawal], ring: Keyring) -> domain.Request | domain.Withdrawal:
    """``Permanent`` for a kind that nobody may ask for, or that this version doesn't know."""
    data, envelope = event.data, event.envelope
    if isinstance(data, RequestWithdrawal):
        return domain.Withdrawal(data.request_id, data.reason)
    if data.kind is not Kind.TRIAL_INVITATION:
        raise Permanent("unknown_kind")
    return domain.Request(
        request_id=data.request_id,
        program=data.program,
        trial_id=data.trial_id,
        approval_id=data.approval_id,
        text_version=data.text_version,
        language=data.language,
        requested_at=envelope.time,
        expires_at=data.expires_at,
        recorded_at=envelope.recordedtime or envelope.time,
        origin=envelope.origin,
    )


def _open(event: Event[Any], sealed: Any, model: Any, ring: Keyring) -> Any:
    return ring.open(sealed, model, tenant=event.envelope.tenant or "", subject=event.envelope.subject or "")


def adapter_of(event: Event[Any]) -> str:
    """The last part of ``ce_source``: ``api``, ``console``, ``fhir``, ``hl7v2``, ``csv``."""
    return event.envelope.source.rsplit("/", 1)[-1]


_PROJECT: Mapping[str, Callable[[Event[Any], Keyring], Subject]] = {
    "patient": _patient,
    "enrolment": _enrolment,
    "appointment": _appointment,
    "paperwork": _paperwork,
    "consent": _consent,
    "preference": _preference,
    "request": _request,
}

ADAPTERS: Mapping[str, TypeAdapter[Any]] = {
    "patient": TypeAdapter(domain.Patient),
    "enrolment": TypeAdapter(domain.Enrolment),
    "appointment": TypeAdapter(domain.Appointment),
    "paperwork": TypeAdapter(domain.Paperwork),
    "consent": TypeAdapter(domain.Consent),
    "preference": TypeAdapter(domain.Preference),
    "request": TypeAdapter(domain.Request | domain.Withdrawal),
}
"""How each family's state is kept at rest (before it is sealed)."""


def project(event: Event[Any], ring: Keyring) -> Projected:
    """The event's subject as the notifier keeps it; ``Permanent`` when a block doesn't open."""
    envelope = event.envelope
    return Projected(
        tenant=envelope.tenant or "",
        patient_id=event.data.patient_id,
        subject=envelope.subject or "",
        version=event.data.version,
        state=_PROJECT[event.type.subject](event, ring),
    )


def address_hash(key: bytes, patient: domain.Patient) -> str | None:
    """``hash_of`` the patient's address; None without one."""
    return None if patient.email is None else hash_of(key, patient.email)


def hash_of(key: bytes, address: Protected[str]) -> str:
    """A keyed hash of the address, the same for spellings that reach one mailbox as a rule: case and NFC are folded."""
    folded = unicodedata.normalize("NFC", address.reveal()).casefold()
    return hmac.new(key, folded.encode(), hashlib.sha256).hexdigest()
