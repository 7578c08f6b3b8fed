"""Intake for tests: the real application over a store, spoken to by HTTP, with synthetic people."""

import base64
import json
import secrets
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2

from chassis.api_keys import new_api_key
from chassis.clock import SimulatedClock
from chassis.migrations import migrate
from chassis.settings import HttpSettings, KafkaSettings, StoreSettings
from schemas.envelope import TYPE_PREFIX
from schemas.program_checks import sound_programs
from schemas.programs import Program
from services.intake.app import Intake, build
from services.intake.settings import IntakeSettings

NOW = datetime(2027, 2, 26, 17, 0, tzinfo=UTC)
CEDARS, KAISER = "k7q2m9", "r4w8t3"
TENANT = "cedars"
PROGRAMS: dict[str, Program] = sound_programs(demo=True)


def new_id() -> str:
    return str(uuid.uuid4())


def ring() -> dict[str, Any]:
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    return {"active": "k1", "keys": {"k1": key}}


def settings(store: StoreSettings, keys: Sequence[Any], kafka: KafkaSettings | None = None) -> IntakeSettings:
    return IntakeSettings(
        kafka=kafka or KafkaSettings(bootstrap="127.0.0.1:1"),
        store=store,
        http=HttpSettings(api_keys=tuple(keys)),
        master=ring(),
        contact=ring(),
        facts=ring(),
    )


@dataclass(frozen=True, slots=True, repr=False)
class Desk:
    """A running intake, without its parts, and whoever speaks to it."""

    intake: Intake
    clock: SimulatedClock
    http: httpx2.AsyncClient
    tokens: dict[str, str]

    async def post(self, *events: dict[str, Any], key: str | None = None, who: str = "staff") -> httpx2.Response:
        """One event in structured form, several as a batch."""
        form, body = ("cloudevents", events[0]) if len(events) == 1 else ("cloudevents-batch", list(events))
        headers = {"content-type": f"application/{form}+json", "authorization": f"Bearer {self.tokens[who]}"}
        if key is not None:
            headers["idempotency-key"] = key
        return await self.http.post("/v1/events", content=json.dumps(body), headers=headers)

    async def get(self, path: str, who: str = "staff") -> httpx2.Response:
        return await self.http.get(path, headers={"authorization": f"Bearer {self.tokens[who]}"})

    def event(self, name: str, subject_id: str, data: dict[str, Any], **attributes: Any) -> dict[str, Any]:
        """A CloudEvent as a poster writes it."""
        family = name.partition(".")[0]
        return {
            "specversion": "1.0", "id": new_id(), "source": "https://poster.example/test",
            "type": f"{TYPE_PREFIX}{name}.v1", "time": self.clock.now().isoformat(),
            "subject": f"{family}/{subject_id}", "datacontenttype": "application/json", "data": data, **attributes,
        }  # fmt: skip

    def patient(self, patient_id: str, name: str = "patient.registered", **contact: Any) -> dict[str, Any]:
        given = {"given_name": "Ana", "family_name": "Test", "birth_date": "1980-05-01", "email": "ana@example.org"}
        return self.event(name, patient_id, {"contact": given | contact, "sex": "female"})

    def enrolment(self, patient_id: str, program: str = CEDARS) -> dict[str, Any]:
        return self.event("enrolment.opened", new_id(), {"patient_id": patient_id, "program": program})

    def visit(
        self, patient_id: str, visit_id: str, name: str = "appointment.scheduled", **changes: Any
    ) -> dict[str, Any]:
        return self.event(name, visit_id, visit_data(patient_id) | changes)

    async def enrolled(self) -> str:
        """A registered patient with an open enrolment."""
        patient_id = new_id()
        answer = await self.post(self.patient(patient_id), self.enrolment(patient_id))
        assert answer.status_code == 202, answer.text
        return patient_id


def visit_data(patient_id: str) -> dict[str, Any]:
    return {
        "patient_id": patient_id, "program": CEDARS, "start": "2027-03-16T09:30:00-07:00",
        "zone": "America/Los_Angeles", "care": {"visit_type": "consultation"},
    }  # fmt: skip


def open_desk(store: StoreSettings, kafka: KafkaSettings | None = None) -> AbstractAsyncContextManager[Desk]:
    return _open(store, kafka)


@asynccontextmanager
async def _open(store: StoreSettings, kafka: KafkaSettings | None) -> AsyncIterator[Desk]:
    roles = ["publish", "staff"]
    keys = {
        "staff": new_api_key("staff", TENANT, None, roles),
        "other": new_api_key("other", "kaiser", None, roles),
        "narrow": new_api_key("narrow", TENANT, ["zzzz99"], roles),
        "idle": new_api_key("idle", TENANT, None, []),
    }
    clock = SimulatedClock(NOW)
    intake = build(settings(store, [setting for _, setting in keys.values()], kafka), clock, PROGRAMS)
    await migrate(intake.store, "services.intake")
    transport = httpx2.ASGITransport(app=intake.app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://intake") as http:
        yield Desk(intake, clock, http, {name: text for name, (text, _) in keys.items()})
    await intake.close()
