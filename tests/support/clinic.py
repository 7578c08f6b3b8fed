"""A notifier on a real store and a real SMTP server, fed with intake's events without a broker in between."""

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import insert, select

from chassis.clock import SimulatedClock
from chassis.cloudevents import to_message
from chassis.consumer import Event
from chassis.outbox import Message
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
from schemas.criteria import Eligibility
from schemas.envelope import Envelope, Origin
from schemas.outcomes import Kind, MessageRequest, RequestWithdrawal
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
from schemas.registry import EVENT_TYPES, TRIALS_CATALOG
from schemas.trials import ApprovalStatus, RecruitmentStatus, TrialState
from services.notifier.app import Notifier, build
from services.notifier.catalogue_watch import CatalogueWatch
from services.notifier.sender import Hook, nothing
from services.notifier.settings import NotifierSettings
from services.notifier.smtp import SmtpSettings
from services.notifier.smtp.settings import Tls
from services.notifier.store.moments import GROUP, REQUESTS
from services.notifier.tables import arming, deliveries, metadata
from services.notifier.tables import consumer as consumer_tables
from tests.support.eventually import eventually
from tests.support.programs import CEDARS, PROGRAMS
from tests.support.stores import create_all

KEY = {"active": "k1", "keys": {"k1": "A" * 43 + "="}}
NOON = datetime(2027, 2, 26, 17, 0, tzinfo=UTC)
"""Friday 26 February 2027, 09:00 in Los Angeles."""


def new_id() -> str:
    return str(uuid.uuid4())


@dataclass(slots=True, repr=False)
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

    def request(
        self, patient_id: str, trial_id: str, *, hours: int = 72, request_id: str | None = None, **changes: Any
    ) -> Event[Any]:
        """Trials asks for an invitation, which stands for so many hours."""
        request_id = request_id or new_id()
        subject = f"request/{request_id}"
        state = MessageRequest.strict_data({
            "request_id": request_id, "patient_id": patient_id, "version": self._next(subject),
            "kind": Kind.TRIAL_INVITATION, "program": self.program, "trial_id": trial_id, "approval_id": "DEMO-IRB-1",
            "text_version": "v1", "language": "en", "expires_at": self.clock.now() + timedelta(hours=hours), **changes,
        })  # fmt: skip
        return self._event("message.requested", subject, patient_id, state)

    def withdrawal(self, patient_id: str, request_id: str) -> Event[Any]:
        subject = f"request/{request_id}"
        state = RequestWithdrawal(
            request_id=request_id, patient_id=patient_id, version=self._next(subject), reason="match_withdrawn"
        )
        return self._event("message.withdrawn", subject, patient_id, state)

    def trial(self, trial_id: str, *, approval: Mapping[str, Any] | None = None, **changes: Any) -> Event[Any]:
        """A trial of the catalogue, recruiting, its words approved for a year; ``approval`` changes these."""
        words = {
            "approval_id": "DEMO-IRB-1", "text_version": "v1", "language": "en", "status": ApprovalStatus.ACTIVE,
            "valid_until": self.clock.now().date() + timedelta(days=365), "contact": "Demo Study Desk",
            "text": "DEMO TEXT – not approved by any review board", **(approval or {}),
        }  # fmt: skip
        subject = f"trial/{trial_id}"
        state = TrialState.strict_data({
            "trial_id": trial_id, "version": self._next(subject), "registry_id": "DEMO-1", "title": "A demo trial",
            "status": RecruitmentStatus.RECRUITING, "criteria_version": "1.0", "eligibility": Eligibility(),
            "approvals": (words,), **changes,
        })  # fmt: skip
        return self._event("trial.published", subject, trial_id, state)

    def know(self, trial: Event[Any]) -> None:
        """The catalogue as if it had been read to its end."""
        self.notifier.catalogue.ready = lambda: True
        self.notifier.catalogue.on_state(trial.data.trial_id, trial)

    def watch(self) -> CatalogueWatch:
        [found] = [each for each in self.notifier.parts if isinstance(each, CatalogueWatch)]
        return found

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Catalogue and requests are read from Kafka; the truth comes by ``hear`` alone."""
        async with self.notifier.store.write() as connection:
            mine = consumer_tables.positions.c.consumer_group == REQUESTS
            await connection.execute(consumer_tables.positions.delete().where(mine))
        names = {"catalogue watch", f"reader {TRIALS_CATALOG}", f"consumer {REQUESTS}"}
        stopping = asyncio.Event()
        tasks = [asyncio.create_task(each.run(stopping)) for each in self.notifier.parts if each.name in names]
        try:
            await eventually(self.notifier.catalogue.ready, within=20)
            yield
        finally:
            stopping.set()
            await asyncio.gather(*tasks)

    def message(self, event: Event[Any]) -> Message:
        """The event as a record of its topic."""
        return to_message(event.type.topic, event.envelope, event.data)

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
            sequence=getattr(data, "version", None),
        )  # fmt: skip
        return Event(kind, envelope, data, patient_id, kind.topic, 0, next(self._offsets))


def clinic_settings(
    store: StoreSettings, smtp_port: int, connections: int = 4, kafka: KafkaSettings | None = None
) -> NotifierSettings:
    """With keys that every process knows; without a broker unless there is one."""
    smtp = SmtpSettings(host="127.0.0.1", port=smtp_port, tls=Tls.NONE, connections=connections)
    return NotifierSettings.model_validate({
        "kafka": kafka or KafkaSettings(bootstrap="127.0.0.1:1", embedded=True), "store": store, "master": KEY,
        "contact": KEY, "smtp": smtp, "address_key": "x" * 32,
        "pages": {"public_url": "https://messages.example.com", "links": KEY},
        "console_url": "https://trials.example.com/coordinators",
    })  # fmt: skip


@asynccontextmanager
async def clinic(
    store: StoreSettings, smtp_port: int, *, start: datetime = NOON, before_guard: Hook = nothing, connections: int = 4,
    kafka: KafkaSettings | None = None,
) -> AsyncIterator[Clinic]:  # fmt: skip
    """Armed since long ago, its truth fresh; parts aren't started."""
    settings = clinic_settings(store, smtp_port, connections, kafka)
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
        await connection.execute(positions.delete())
        for group, partition in itertools.product((GROUP, REQUESTS), range(24)):
            row = {"consumer_group": group, "partition": partition} | fresh
            await connection.execute(insert(positions).values(row))
