"""From a state to the event on Kafka: blocks sealed for those who may open them, the envelope filled in.

``ce_source`` is ``https://<host>/programs/<public code>/<adapter>``, or ``…/tenants/<tenant>/<adapter>`` for what
belongs to no program. Its last part tells the notifier how long edits may settle.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chassis.cloudevents import to_message
from chassis.errors import Permanent
from chassis.outbox import Message
from schemas import appointment as visits
from schemas import patient as patients
from schemas.base import Contract
from schemas.envelope import Envelope, Origin
from schemas.registry import EVENT_TYPES
from services.intake.batch import BatchRefused, Change
from services.intake.domain import Problem
from services.intake.domain.record import (
    Appointment,
    Consent,
    Enrolment,
    Facts,
    Paperwork,
    Patient,
    Preference,
    State,
    subject_of,
)
from services.intake.resources import Rings


@dataclass(frozen=True, slots=True)
class Stamp:
    """What an event says beside its state. ``by`` is the id of the API key, None for what nobody asked for."""

    event_id: str
    name: str
    time: datetime
    recorded_at: datetime
    adapter: str
    origin: Origin = Origin.LIVE
    by: str | None = None
    correlation: str | None = None
    causation: str | None = None


@dataclass(frozen=True, slots=True)
class Sender:
    """Makes a tenant's records for the outbox; ``host`` stands in ``ce_source``."""

    tenant: str
    host: str
    rings: Rings

    def message(self, patient_id: str, state: State, stamp: Stamp) -> Message:
        """``Permanent("too_large")`` for a state of more than 64 KiB."""
        data = _DATA[type(state)](state, patient_id, Seal(self.rings, self.tenant, subject_of(state)))
        return to_message(EVENT_TYPES[stamp.name].topic, self._envelope(patient_id, state, stamp), data)

    def _envelope(self, patient_id: str, state: State, stamp: Stamp) -> Envelope:
        kind = EVENT_TYPES[stamp.name]
        owner = f"programs/{state.program}" if state.program else f"tenants/{self.tenant}"
        return Envelope(
            id=stamp.event_id,
            source=f"https://{self.host}/{owner}/{stamp.adapter}",
            type=kind.wire,
            time=stamp.time,
            subject=subject_of(state),
            dataschema=kind.dataschema,
            partitionkey=patient_id,
            correlationid=stamp.correlation or stamp.event_id,
            causationid=stamp.causation,
            sequence=state.version,
            recordedtime=stamp.recorded_at,
            dataclassification="confidential",
            dataregulation="HIPAA",
            datacategory=state.family,
            authtype="api_key" if stamp.by else "system",
            authid=stamp.by,
            tenant=self.tenant,
            origin=stamp.origin,
        )


def messages(changes: Sequence[Change], sender: Sender, by: str, now: datetime) -> list[Message]:
    """The records of accepted events, in their order; ``BatchRefused`` for those that no topic would take."""
    made, refused = [], []
    for change in changes:
        command = change.posted.command
        try:
            made.append(sender.message(command.patient_id, change.state, _stamp(change, by, now)))
        except Permanent:
            refused.append((change.index, Problem("/data", "is too large: an event has 64 KiB at most")))
    if refused:
        raise BatchRefused(refused)
    return made


def _stamp(change: Change, by: str, now: datetime) -> Stamp:
    posted, command = change.posted, change.posted.command
    return Stamp(
        event_id=posted.event_id,
        name=command.name,
        time=command.time,
        recorded_at=now,
        adapter=command.adapter,
        origin=command.origin,
        by=by,
        correlation=posted.correlation,
        causation=posted.causation,
    )


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
