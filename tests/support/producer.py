"""Events on Kafka as another producer than this intake makes them: contract models, sealed with the system's keys."""

import uuid
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from chassis.cloudevents import to_message
from chassis.outbox import Message
from chassis.sealing import Keyring, KeyringSettings
from schemas.appointment import AppointmentState, AppointmentStatus, CareBlock, Modality
from schemas.base import Contract
from schemas.envelope import Envelope
from schemas.patient import ContactBlock, PatientState, PatientStatus
from schemas.registry import EVENT_TYPES, INTAKE_EVENTS
from tests.support.hospital import CEDARS, PACIFIC, TENANT, Hospital, Person
from tests.support.kafka import publish


@dataclass(frozen=True, slots=True, repr=False)
class Producer:
    """Makes records of people whom intake knows; the caller says the version. ``changes`` replace fields."""

    hospital: Hospital

    @property
    def ring(self) -> Keyring:
        return KeyringSettings.model_validate(self.hospital.system.keys.rings["contact"]).ring()

    async def publish(self, *messages: Message) -> None:
        """On the topic, in this order, and read by everybody."""
        await publish(self.hospital.system.kafka, messages)
        await self.hospital.heard()

    def patient(
        self, one: Person, version: int, name: str = "patient.updated", *, ring: Keyring | None = None, **changes: Any
    ) -> Message:
        subject, now = f"patient/{one.id}", self.hospital.clock.now()
        contact = one.contact | {"birth_date": date.fromisoformat(one.contact["birth_date"]), "email_verified_at": now}
        block = ContactBlock.strict_data(contact)
        state = PatientState(
            patient_id=one.id, version=version, status=PatientStatus.ACTIVE,
            contact=(ring or self.ring).seal(block, tenant=TENANT, subject=subject),
        )  # fmt: skip
        return self._message(name, subject, one, state.model_copy(update=changes))

    def visit(
        self, one: Person, start: datetime, version: int, name: str = "appointment.rescheduled",
        *, ring: Keyring | None = None, **changes: Any,
    ) -> Message:  # fmt: skip
        subject, now = f"appointment/{one.visit_id()}", self.hospital.clock.now()
        care = CareBlock.strict_data({"visit_type": "follow-up", "clinician": "Demo Clinician"})
        state = AppointmentState(
            appointment_id=one.visit_id(), patient_id=one.id, program=CEDARS, version=version,
            status=AppointmentStatus.BOOKED, start=start, zone=PACIFIC, modality=Modality.ON_SITE,
            care=(ring or self.ring).seal(care, tenant=TENANT, subject=subject),
            booked_at=now, start_set_at=now, changed_at=now, patient_told_at=now,
        )  # fmt: skip
        return self._message(name, subject, one, state.model_copy(update=changes))

    def _message(self, name: str, subject: str, one: Person, data: Contract) -> Message:
        kind, now = EVENT_TYPES[name], self.hospital.clock.now()
        envelope = Envelope(
            id=str(uuid.uuid4()), source=f"https://intake.example.org/programs/{CEDARS}/api", type=kind.wire, time=now,
            subject=subject, partitionkey=one.id, recordedtime=now, tenant=TENANT,
        )  # fmt: skip
        return to_message(INTAKE_EVENTS, envelope, data)
