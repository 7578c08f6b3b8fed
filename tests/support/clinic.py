"""A notifier on a real store and a real SMTP server, fed with intake's events without a broker in between."""

import itertools
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import insert, select

from chassis.clock import SimulatedClock
from chassis.consumer import Event
from chassis.sealing import Keyring
from chassis.settings import KafkaSettings, StoreSettings
from chassis.store import database_now
from schemas.appointment import (
    AppointmentState,
    AppointmentStatus,
    CareBlock,
    FormsBlock,
    ItemStatus,
    Modality,
    PaperworkItem,
    PaperworkState,
)
from schemas.base import Contract
from schemas.envelope import Envelope, Origin
from schemas.patient import (
    ConsentDecision,
    ConsentScope,
    ConsentState,
    ContactBlock,
    EnrolmentState,
    EnrolmentStatus,
    OutsideNetwork,
    PatientState,
    PatientStatus,
    PreferenceState,
)
from schemas.registry import EVENT_TYPES, INTAKE_EVENTS
from services.notifier.app import Notifier, build
from services.notifier.sender import Hook, nothing
from services.notifier.settings import NotifierSettings
from services.notifier.smtp import SmtpSettings
from services.notifier.smtp.settings import Tls
from services.notifier.store.moments import GROUP
from services.notifier.tables import arming, deliveries, metadata
from services.notifier.tables import consumer as consumer_tables
from tests.support.programs import CEDARS, PROGRAMS
from tests.support.stores import create_all

KEY = {"active": "k1", "keys": {"k1": "A" * 43 + "="}}
NOON = datetime(2027, 2, 26, 17, 0, tzinfo=UTC)
"""Friday 26 February 2027, 09:00 in Los Angeles."""


def new_id() -> str:
    return str(uuid.uuid4())


@dataclass(slots=True)
class Clinic:
    """Makes events with rising versions and has the notifier apply them at the clock's time."""

    notifier: Notifier
    clock: SimulatedClock
    ring: Keyring
    tenant: str = CEDARS.tenant
    program: str = CEDARS.public_code
    _versions: dict[str, int] = field(default_factory=dict)
    _offsets: "itertools.count[int]" = field(default_factory=itertools.count)

    async def hear(self, *events: Event[Any]) -> None:
        """One batch of the consumer."""
        async with self.notifier.store.write() as connection:
            await self.notifier.handlers.apply(connection, events)

    async def rows(self) -> list[Any]:
        """All deliveries, in the order in which they are due."""
        async with self.notifier.store.read() as connection:
            return list(await connection.execute(select(deliveries).order_by(deliveries.c.due_at)))

    def patient(self, patient_id: str, *, email: str | None = "ana@example.org", **changes: Any) -> Event[Any]:
        contact = ContactBlock.strict_data({
            "given_name": "Ana", "family_name": "Rivera", "birth_date": changes.pop("birth_date", date(1984, 5, 2)),
            "email": email, "email_verified_at": self.clock.now(),
        })  # fmt: skip
        subject = f"patient/{patient_id}"
        state = PatientState(
            patient_id=patient_id, version=self._next(subject), zone=changes.pop("zone", None),
            status=changes.pop("status", PatientStatus.ACTIVE),
            contact=self.ring.seal(contact, tenant=self.tenant, subject=subject), **changes,
        )  # fmt: skip
        return self._event("patient.updated", subject, patient_id, state)

    def enrolment(self, patient_id: str, outside: OutsideNetwork = OutsideNetwork.YES) -> Event[Any]:
        enrolment_id = new_id()
        subject = f"enrolment/{enrolment_id}"
        state = EnrolmentState(
            enrolment_id=enrolment_id, patient_id=patient_id, program=self.program, version=self._next(subject),
            status=EnrolmentStatus.OPEN, outside_network=outside,
        )  # fmt: skip
        return self._event("enrolment.opened", subject, patient_id, state)

    def consent(self, patient_id: str, scope: ConsentScope = ConsentScope.EMAIL_DETAILED) -> Event[Any]:
        consent_id = new_id()
        subject = f"consent/{consent_id}"
        state = ConsentState(
            consent_id=consent_id, patient_id=patient_id, scope=scope, text_version="v1", version=self._next(subject),
            decided_at=self.clock.now(), recorded_by="desk", decision=ConsentDecision.PERMIT,
        )  # fmt: skip
        return self._event("consent.granted", subject, patient_id, state)

    def preference(self, patient_id: str, **changes: Any) -> Event[Any]:
        preference_id = new_id()
        subject = f"preference/{preference_id}"
        state = PreferenceState(
            preference_id=preference_id, patient_id=patient_id, program=self.program, version=self._next(subject),
            **changes,
        )  # fmt: skip
        return self._event("preference.changed", subject, patient_id, state)

    def visit(
        self,
        patient_id: str,
        appointment_id: str,
        start: datetime,
        *,
        status: AppointmentStatus = AppointmentStatus.BOOKED,
        told: bool = False,
        visit_type: str = "consultation",
        booked_at: datetime | None = None,
        start_set_at: datetime | None = None,
        name: str = "appointment.updated",
        modality: Modality = Modality.ON_SITE,
    ) -> Event[Any]:
        subject, now = f"appointment/{appointment_id}", self.clock.now()
        care = CareBlock.strict_data({"visit_type": visit_type, "clinician": "Demo Clinician"})
        state = AppointmentState(
            appointment_id=appointment_id, patient_id=patient_id, program=self.program, version=self._next(subject),
            status=status, start=start, zone="America/Los_Angeles", modality=modality,
            care=self.ring.seal(care, tenant=self.tenant, subject=subject),
            booked_at=booked_at or now, start_set_at=start_set_at or now, changed_at=now,
            patient_told_at=now if told else None,
        )  # fmt: skip
        return self._event(name, subject, patient_id, state)

    def forms(
        self, patient_id: str, paperwork_id: str, appointment_id: str | None, forms: dict[str, ItemStatus]
    ) -> Event[Any]:
        """``forms``: status by form code; item ids are derived from request and form."""
        subject, now = f"paperwork/{paperwork_id}", self.clock.now()
        ids = {form: str(uuid.uuid5(uuid.UUID(paperwork_id), form)) for form in forms}
        block = FormsBlock(forms={ids[form]: form for form in forms})
        state = PaperworkState(
            paperwork_id=paperwork_id, patient_id=patient_id, program=self.program, version=self._next(subject),
            appointment_id=appointment_id,
            items=tuple(PaperworkItem(item_id=ids[form], status=status) for form, status in forms.items()),
            care=self.ring.seal(block, tenant=self.tenant, subject=subject), requested_at=now, changed_at=now,
        )  # fmt: skip
        return self._event("paperwork.requested", subject, patient_id, state)

    def _next(self, subject: str) -> int:
        self._versions[subject] = self._versions.get(subject, 0) + 1
        return self._versions[subject]

    def _event(self, name: str, subject: str, patient_id: str, data: Contract) -> Event[Any]:
        kind, now = EVENT_TYPES[name], self.clock.now()
        envelope = Envelope(
            id=new_id(), source=f"https://intake.example.org/programs/{self.program}/api", type=kind.wire, time=now,
            subject=subject, partitionkey=patient_id, recordedtime=now, tenant=self.tenant, origin=Origin.LIVE,
        )  # fmt: skip
        return Event(kind, envelope, data, patient_id, INTAKE_EVENTS, 0, next(self._offsets))


def clinic_settings(store: StoreSettings, smtp_port: int, connections: int = 4) -> NotifierSettings:
    """Without a broker, with keys that every process knows."""
    smtp = SmtpSettings(host="127.0.0.1", port=smtp_port, tls=Tls.NONE, connections=connections)
    return NotifierSettings.model_validate({
        "kafka": KafkaSettings(bootstrap="127.0.0.1:1", embedded=True), "store": store, "master": KEY, "contact": KEY,
        "smtp": smtp, "address_key": "x" * 32,
    })  # fmt: skip


@asynccontextmanager
async def clinic(
    store: StoreSettings, smtp_port: int, *, start: datetime = NOON, before_guard: Hook = nothing, connections: int = 4
) -> AsyncIterator[Clinic]:
    """Armed since long ago, its truth fresh; parts aren't started."""
    settings = clinic_settings(store, smtp_port, connections)
    clock = SimulatedClock(start)
    notifier = build(settings, clock, PROGRAMS, before_guard=before_guard)
    await create_all(notifier.store, metadata)
    try:
        async with notifier.store.write() as connection:
            await connection.execute(
                insert(arming), [{"tenant": CEDARS.tenant, "armed_at": datetime(2020, 1, 1, tzinfo=UTC)}]
            )
        await refresh(notifier)
        yield Clinic(notifier, clock, settings.contact.ring())
    finally:
        await notifier.sender.pool.close()
        await notifier.store.close()


async def refresh(notifier: Notifier) -> None:
    """What the consumer writes when it stands at the end of every partition."""
    fresh = {"position": 1, "caught_up_at": database_now(), "fresh_as_of": database_now()}
    positions = consumer_tables.positions
    async with notifier.store.write() as connection:
        await connection.execute(positions.delete().where(positions.c.consumer_group == GROUP))
        for partition in range(24):
            row = {"consumer_group": GROUP, "partition": partition} | fresh
            await connection.execute(insert(positions).values(row))
