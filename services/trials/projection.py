"""From an intake event to trials' picture of its subject: opens the sealed blocks for research, nothing else.

Pure but for the key ring. An event whose block doesn't open is ``Permanent``: a dead letter, never half a patient.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from chassis.decoding import Event
from chassis.sealing import Keyring
from schemas.appointment import AppointmentState, VisitBlock
from schemas.patient import (
    ConsentScope,
    ConsentState,
    EnrolmentState,
    FactsBlock,
    FactsState,
    PatientState,
    TraitsBlock,
)
from schemas.protected import Protected
from services.trials.domain import Appointment, Consent, Enrolment, Facts, Patient, Subject


@dataclass(frozen=True, slots=True)
class Projected:
    """A subject's state at one version. ``subject`` is ``<family>/<id>``; no state: nothing that trials look at."""

    tenant: str
    patient_id: str
    subject: str
    version: int
    state: Subject | None


def project(event: Event[Any], ring: Keyring) -> Projected:
    """``Permanent`` when a block doesn't open."""
    tenant, subject, data = event.envelope.tenant or "", event.envelope.subject or "", event.data
    state = _READ[event.type.subject](data, ring, tenant, subject)
    return Projected(tenant, data.patient_id, subject, data.version, state)


def _patient(data: PatientState, ring: Keyring, tenant: str, subject: str) -> Patient:
    if data.traits is None:
        return Patient(data.status)
    traits = ring.open(data.traits, TraitsBlock, tenant=tenant, subject=subject)
    sex = Protected(str(traits.sex.reveal())) if traits.sex else None
    return Patient(data.status, traits.birth_date, sex)


def _enrolment(data: EnrolmentState, _ring: Keyring, _tenant: str, _subject: str) -> Enrolment:
    return Enrolment(data.program, data.status)


def _consent(data: ConsentState, _ring: Keyring, _tenant: str, _subject: str) -> Consent | None:
    """Consents about e-mail are the notifier's business."""
    if data.scope is not ConsentScope.TRIAL_CONTACT:
        return None
    return Consent(data.decision, data.decided_at, data.program)


def _facts(data: FactsState, ring: Keyring, tenant: str, subject: str) -> Facts:
    return Facts(ring.open(data.block, FactsBlock, tenant=tenant, subject=subject).facts)


def _appointment(data: AppointmentState, ring: Keyring, tenant: str, subject: str) -> Appointment:
    """What intake sealed before it told trials of visits has no visit type for them."""
    if data.visit is None:
        return Appointment(data.program, data.status, data.start)
    visit_type = ring.open(data.visit, VisitBlock, tenant=tenant, subject=subject).visit_type
    return Appointment(data.program, data.status, data.start, Protected(visit_type))


_READ: Mapping[str, Callable[[Any, Keyring, str, str], Subject | None]] = {
    "patient": _patient,
    "enrolment": _enrolment,
    "consent": _consent,
    "facts": _facts,
    "appointment": _appointment,
}

ADAPTERS: Mapping[str, TypeAdapter[Any]] = {
    "patient": TypeAdapter(Patient), "enrolment": TypeAdapter(Enrolment), "consent": TypeAdapter(Consent),
    "facts": TypeAdapter(Facts), "appointment": TypeAdapter(Appointment),
}  # fmt: skip
"""By family: a state as it is kept, as JSON."""
