"""A trials service on a real store, fed with intake's events without a broker in between."""

import itertools
import json
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from importlib.resources import files
from typing import Any

from sqlalchemy import select

from chassis.clock import SimulatedClock
from chassis.decoding import Event
from chassis.sealing import Keyring
from chassis.settings import KafkaSettings, StoreSettings
from schemas.appointment import AppointmentState, AppointmentStatus, CareBlock, Modality, VisitBlock
from schemas.base import Contract
from schemas.criteria import Eligibility
from schemas.envelope import Envelope, Origin
from schemas.patient import (
    ConsentDecision,
    ConsentScope,
    ConsentState,
    EnrolmentState,
    EnrolmentStatus,
    FactsBlock,
    FactsState,
    PatientState,
    PatientStatus,
    TraitsBlock,
)
from schemas.registry import EVENT_TYPES, INTAKE_EVENTS
from schemas.trial_files import load_trial_files
from schemas.trials import Approval, ApprovalStatus, RecruitmentStatus, TrialState
from schemas.vocabulary_files import load_vocabularies
from services.trials.app import Trials, build
from services.trials.desk import Desk, trial_id
from services.trials.domain import Offer, Offers
from services.trials.registry.trial import RegistryTrial
from services.trials.settings import TrialsSettings
from services.trials.tables import invitations, matches, metadata, outbox
from tests.support.programs import CEDARS, PROGRAMS
from tests.support.stores import create_all

KEY = {"active": "k1", "keys": {"k1": "A" * 43 + "="}}
CARE_RING = Keyring({"k1": bytes(range(32))}, "k1")
"""Not trials': with the same name, another key."""

NOON = datetime(2027, 2, 26, 17, 0, tzinfo=UTC)
"""Friday 26 February 2027, 09:00 in Los Angeles."""

VOCABULARIES = load_vocabularies(files("programs"), demo=True)
OFFERS = {code: Offer(each, VOCABULARIES[code]) for code, each in PROGRAMS.items()}
APPROVAL = Approval(
    approval_id="IRB-1", text_version="1", language="en", status=ApprovalStatus.ACTIVE, valid_until=date(2027, 12, 31),
    text="DEMO TEXT – not approved by any review board", contact="Demo Study Team, (408) 555-0150",
)  # fmt: skip


def new_id() -> str:
    return str(uuid.uuid4())


@dataclass(slots=True, repr=False)
class Research:
    """Makes events with rising versions and has trials apply them at the clock's time."""

    trials: Trials
    clock: SimulatedClock
    ring: Keyring
    tenant: str = CEDARS.tenant
    program: str = CEDARS.public_code
    _versions: dict[str, int] = field(default_factory=dict)
    _offsets: "itertools.count[int]" = field(default_factory=itertools.count)

    # what trials hear

    async def hear(self, *events: Event[Any]) -> None:
        """One batch of the consumer."""
        async with self.trials.store.write() as connection:
            await self.trials.handlers.apply(connection, events)

    async def admit(self, *, consents: bool = True, **facts: Any) -> str:
        """A patient of 40 in the program, with consent for trial contact unless it is left out; the id."""
        patient_id = new_id()
        events = [self.patient(patient_id), self.enrolment(patient_id)]
        if consents:
            events.append(self.consent(patient_id))
        await self.hear(*events, self.facts(patient_id, **facts))
        return patient_id

    def patient(self, patient_id: str, born: date = date(1986, 5, 2), **changes: Any) -> Event[Any]:
        subject = f"patient/{patient_id}"
        traits = TraitsBlock.strict_data({"birth_date": born, "sex": changes.pop("sex", "female")})
        state = PatientState(
            patient_id=patient_id, version=self._next(subject), status=changes.pop("status", PatientStatus.ACTIVE),
            traits=self.ring.seal(traits, tenant=self.tenant, subject=subject), **changes,
        )  # fmt: skip
        return self._event("patient.updated", subject, patient_id, state)

    def enrolment(self, patient_id: str, status: EnrolmentStatus = EnrolmentStatus.OPEN) -> Event[Any]:
        enrolment_id = str(uuid.uuid5(uuid.UUID(patient_id), self.program))
        subject = f"enrolment/{enrolment_id}"
        state = EnrolmentState(
            enrolment_id=enrolment_id, patient_id=patient_id, program=self.program, version=self._next(subject),
            status=status,
        )  # fmt: skip
        return self._event("enrolment.opened", subject, patient_id, state)

    def consent(self, patient_id: str, decision: ConsentDecision = ConsentDecision.PERMIT) -> Event[Any]:
        consent_id = str(uuid.uuid5(uuid.UUID(patient_id), "trial-contact"))
        subject = f"consent/{consent_id}"
        state = ConsentState(
            consent_id=consent_id, patient_id=patient_id, scope=ConsentScope.TRIAL_CONTACT, text_version="v1",
            version=self._next(subject), decided_at=self.clock.now(), recorded_by="desk", decision=decision,
        )  # fmt: skip
        return self._event("consent.granted", subject, patient_id, state)

    def facts(self, patient_id: str, record: str = "chart", **facts: Any) -> Event[Any]:
        """All facts of one record. Names with underscores; a pair is a value and its unit."""
        facts_id = str(uuid.uuid5(uuid.UUID(patient_id), record))
        subject = f"facts/{facts_id}"
        told = []
        for name, said in facts.items():
            value, unit = said if isinstance(said, tuple) else (said, None)
            told.append({
                "name": name.replace("_", "-"), "value": value, "unit": unit, "source": record,
                "observed_at": self.clock.now().isoformat(),
            })  # fmt: skip
        block = FactsBlock.strict_json(json.dumps({"facts": told}))
        state = FactsState(
            facts_id=facts_id, patient_id=patient_id, version=self._next(subject),
            block=self.ring.seal(block, tenant=self.tenant, subject=subject),
        )  # fmt: skip
        return self._event("facts.recorded", subject, patient_id, state)

    def visit(
        self, patient_id: str, start: datetime, status: AppointmentStatus = AppointmentStatus.FULFILLED,
        name: str = "appointment.completed", *, visit_id: str = "", program: str = "",
        visit_type: str | None = "follow-up",
    ) -> Event[Any]:  # fmt: skip
        """The patient's one appointment, unless ``visit_id`` names another; no visit type: sealed for care alone."""
        appointment_id = visit_id or str(uuid.uuid5(uuid.UUID(patient_id), "visit"))
        subject, now = f"appointment/{appointment_id}", self.clock.now()
        told = VisitBlock(visit_type=visit_type) if visit_type else None
        state = AppointmentState(
            appointment_id=appointment_id, patient_id=patient_id, program=program or self.program,
            version=self._next(subject), status=status, start=start, zone="America/Los_Angeles",
            modality=Modality.ON_SITE, booked_at=now, start_set_at=now, changed_at=now,
            care=CARE_RING.seal(CareBlock(visit_type="sealed-for-care"), tenant=self.tenant, subject=subject),
            visit=self.ring.seal(told, tenant=self.tenant, subject=subject) if told else None,
        )  # fmt: skip
        return self._event(name, subject, patient_id, state)

    # what coordinators do

    async def publish(self, registry_id: str, eligibility: Eligibility | None = None, **changes: Any) -> TrialState:
        """A trial, recruiting and approved; the criteria of the shipped example unless others are given."""
        found = eligibility or load_trial_files()[registry_id].eligibility()
        desk, now = Desk(self.trials.resources.publisher), self.clock.now()
        record = RegistryTrial(
            registry_id=registry_id, brief_title=registry_id, overall_status=RecruitmentStatus.RECRUITING,
            criteria=found.criteria,
        )  # fmt: skip
        async with self.trials.store.write() as connection:
            await desk.take(connection, self.tenant, [record], now)
            draft = TrialState(
                trial_id=trial_id(self.tenant, registry_id), version=1, registry_id=registry_id, title=registry_id,
                status=changes.pop("status", RecruitmentStatus.RECRUITING), criteria_version="1.0", eligibility=found,
                approvals=changes.pop("approvals", (APPROVAL,)), **changes,
            )  # fmt: skip
            await desk.save(connection, self.tenant, draft)
            return await desk.publish(connection, self.tenant, registry_id, "publisher", now)

    async def release(self, registry_id: str, by: str = "second") -> None:
        async with self.trials.store.write() as connection:
            await Desk(self.trials.resources.publisher).release(
                connection, self.tenant, registry_id, by, self.clock.now()
            )

    async def work(self) -> None:
        """What changed trials, time and invitations call for, until there is no more of it."""
        for timer in (self.trials.drain, self.trials.ageing, self.trials.inviter):
            while await timer.wave():
                pass

    # what came of it

    async def pairs(self, patient_id: str) -> dict[str, str]:
        """Verdicts by registry id; of a withdrawn pair the reason, in brackets."""
        found = {}
        async with self.trials.store.read() as connection:
            for row in await connection.execute(select(matches).where(matches.c.patient_id == patient_id)):
                trial = self.trials.resources.catalogue.get(row.tenant, row.trial_id)
                assert trial is not None
                found[trial.registry_id] = f"({row.withdrawn})" if row.withdrawn else row.verdict
        return found

    async def invited(self, patient_id: str) -> list[str]:
        """States of the patient's invitations."""
        async with self.trials.store.read() as connection:
            mine = invitations.c.patient_id == patient_id
            return [row.state for row in await connection.execute(select(invitations).where(mine))]

    async def told(self, *names: str) -> list[tuple[str, dict[str, Any]]]:
        """What stands in the outbox, in order: short event names and data; only those named, where any are."""
        async with self.trials.store.read() as connection:
            rows = list(await connection.execute(select(outbox).order_by(outbox.c.id)))
        found = [(_short(row.headers), json.loads(row.value)) for row in rows]
        return [each for each in found if not names or each[0] in names]

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


def _short(headers: Iterable[tuple[str, bytes | None]]) -> str:
    wire = next((value or b"").decode() for name, value in headers if name == "ce_type")
    return wire.removeprefix("org.upright.").rpartition(".v")[0]


def research_settings(store: StoreSettings, **changes: Any) -> TrialsSettings:
    """Without a broker, with keys that every process knows."""
    return TrialsSettings.model_validate({
        "kafka": KafkaSettings(bootstrap="127.0.0.1:1", embedded=True), "store": store, "master": KEY, "facts": KEY,
        **changes,
    })  # fmt: skip


@asynccontextmanager
async def research(store: StoreSettings, *, start: datetime = NOON, **changes: Any) -> AsyncIterator[Research]:
    """Parts aren't started."""
    async with beside(store, start=start, **changes) as made:
        await create_all(made.trials.store, metadata)
        yield made


@asynccontextmanager
async def beside(
    store: StoreSettings, *, start: datetime = NOON, offers: Offers = OFFERS, **changes: Any
) -> AsyncIterator[Research]:
    """Over a store that somebody else has migrated, such as a running service."""
    settings = research_settings(store, **changes)
    clock = SimulatedClock(start)
    trials = build(settings, clock, offers)
    try:
        yield Research(trials, clock, settings.facts.ring())
    finally:
        await trials.close()
