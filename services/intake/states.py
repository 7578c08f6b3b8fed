"""From a state to an event's data: blocks sealed for those who may open them, everything else in the clear."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from schemas import appointment as visits
from schemas import patient as patients
from schemas.base import Contract
from services.intake.domain.record import Appointment, Consent, Enrolment, Facts, Paperwork, Patient, Preference, State
from services.intake.resources import Rings


@dataclass(frozen=True, slots=True)
class Seal:
    """Seals blocks of one subject."""

    rings: Rings
    tenant: str
    subject: str

    def contact(self, block: Contract) -> Any:
        """For intake and notifier."""
        return self.rings.contact.seal(block, tenant=self.tenant, subject=self.subject)

    def facts(self, block: Contract) -> Any:
        """For intake and trials."""
        return self.rings.facts.seal(block, tenant=self.tenant, subject=self.subject)


def _patient(state: Patient, patient_id: str, seal: Seal) -> Contract:
    contact = state.contact
    traits = patients.TraitsBlock(birth_date=contact.birth_date, sex=state.sex) if contact else None
    return patients.PatientState(
        patient_id=patient_id,
        version=state.version,
        status=state.status,
        zone=state.zone,
        contact=seal.contact(contact) if contact else None,
        traits=seal.facts(traits) if traits else None,
    )


def _enrolment(state: Enrolment, patient_id: str, seal: Seal) -> Contract:
    return patients.EnrolmentState(
        patient_id=patient_id,
        program=state.program,
        outside_network=state.outside_network,
        enrolment_id=state.id,
        version=state.version,
        status=state.status,
    )


def _appointment(state: Appointment, patient_id: str, seal: Seal) -> Contract:
    return visits.AppointmentState(
        appointment_id=state.id,
        patient_id=patient_id,
        program=state.program,
        version=state.version,
        status=state.status,
        start=state.start,
        end=state.end,
        zone=state.zone,
        modality=state.modality,
        care=seal.contact(state.care),
        visit=seal.facts(visits.VisitBlock(visit_type=state.care.visit_type)),
        booked_at=state.booked_at,
        start_set_at=state.start_set_at,
        changed_at=state.changed_at,
        patient_told_at=state.patient_told_at,
    )


def _paperwork(state: Paperwork, patient_id: str, seal: Seal) -> Contract:
    return visits.PaperworkState(
        paperwork_id=state.id,
        patient_id=patient_id,
        program=state.program,
        version=state.version,
        appointment_id=state.appointment_id,
        items=tuple(visits.PaperworkItem(item_id=item.item_id, status=item.status) for item in state.items),
        care=seal.contact(visits.FormsBlock(forms={item.item_id: item.form for item in state.items})),
        requested_at=state.requested_at,
        changed_at=state.changed_at,
    )


def _consent(state: Consent, patient_id: str, seal: Seal) -> Contract:
    return patients.ConsentState(
        patient_id=patient_id,
        scope=state.scope,
        text_version=state.text_version,
        decided_at=state.decided_at,
        recorded_by=state.recorded_by,
        program=state.program,
        consent_id=state.id,
        version=state.version,
        decision=state.decision,
    )


def _preference(state: Preference, patient_id: str, seal: Seal) -> Contract:
    return patients.PreferenceState(
        patient_id=patient_id,
        program=state.program,
        email=state.email,
        reminders=state.reminders,
        forms=state.forms,
        paused_until=state.paused_until,
        preference_id=state.id,
        version=state.version,
    )


def _facts(state: Facts, patient_id: str, seal: Seal) -> Contract:
    return patients.FactsState(
        facts_id=state.id, patient_id=patient_id, version=state.version, block=seal.facts(state.block)
    )


_DATA: Mapping[type[Any], Callable[[Any, str, Seal], Contract]] = {
    Patient: _patient,
    Enrolment: _enrolment,
    Appointment: _appointment,
    Paperwork: _paperwork,
    Consent: _consent,
    Preference: _preference,
    Facts: _facts,
}


def data_of(state: State, patient_id: str, seal: Seal) -> Contract:
    """The contract's model for this state."""
    return _DATA[type(state)](state, patient_id, seal)
