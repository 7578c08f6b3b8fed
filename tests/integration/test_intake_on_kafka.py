"""Intake between HTTP and Kafka, whole: a posted event comes out of the broker, an outcome put in out of HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from chassis import topics
from chassis.cloudevents import read_record
from chassis.settings import StoreSettings
from schemas.patient import ContactBlock, PatientState, TraitsBlock
from schemas.registry import INTAKE_EVENTS
from schemas.topics import ALL_TOPICS
from services.intake.republish import Whom, republish
from services.intake.tables import outbox
from standalone.system import Outside
from tests.integration.test_intake_outcomes import deliveries, plan, view
from tests.support.eventually import eventually
from tests.support.intake import TENANT, Desk, new_id, open_desk
from tests.support.kafka import publish, running_broker
from tests.support.relaying import records, relaying
from tests.support.stage import STAGES, servers_of


@pytest.fixture(params=STAGES)
async def outside(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Outside]:
    """A broker that has the topics, and an empty store."""
    async with servers_of(request.param) as servers:
        if servers is not None:
            yield servers
            return
        async with running_broker("embedded", tmp_path) as kafka:
            await topics.apply(kafka, ALL_TOPICS.values())
            yield Outside(kafka, {"intake": StoreSettings(url=f"sqlite:///{tmp_path / 'intake.db'}")})


@pytest.fixture
async def desk(outside: Outside) -> AsyncIterator[Desk]:
    async with open_desk(outside.stores["intake"], outside.kafka) as opened:
        yield opened


async def published(desk: Desk, location: str) -> bool:
    return bool((await desk.get(location)).json()["state"] == "published")


async def test_a_posted_event_comes_out_of_the_broker_and_opens(desk: Desk, outside: Outside) -> None:
    patient_id = new_id()
    rings = desk.intake.resources.rings
    async with relaying(desk.intake.relay):
        location = (await desk.post(desk.patient(patient_id))).headers["location"]
        await eventually(lambda: published(desk, location), within=30)
        await republish(desk.intake.resources, Whom(TENANT, patient_id))
        await eventually(lambda: all_published(desk), within=30)
    found = [each for each in await records(outside.kafka, INTAKE_EVENTS) if each.key == patient_id.encode()]
    first, snapshot = [read_record(each.headers, each.key, each.value) for each in found]
    data = PatientState.strict_json(first[1])
    assert data.contact is not None
    assert data.traits is not None
    subject = f"patient/{patient_id}"
    contact = rings.contact.open(data.contact, ContactBlock, tenant=TENANT, subject=subject)
    traits = rings.facts.open(data.traits, TraitsBlock, tenant=TENANT, subject=subject)
    assert contact.email is not None
    assert contact.email.reveal() == "ana@example.org"
    assert traits.birth_date == contact.birth_date
    assert (first[0].origin, snapshot[0].origin) == ("live", "snapshot")
    assert (first[0].sequence, first[0].recordedtime) == (snapshot[0].sequence, snapshot[0].recordedtime)
    assert first[0].traceparent is not None


async def all_published(desk: Desk) -> bool:
    unsent = select(func.count()).select_from(outbox).where(outbox.c.published.is_(False))
    async with desk.intake.store.read() as connection:
        return await connection.scalar(unsent) == 0


async def test_a_published_plan_comes_out_of_the_timeline(desk: Desk, outside: Outside) -> None:
    patient_id, delivery_id = await desk.enrolled(), new_id()
    await desk.intake.supervisor.start()
    try:
        await publish(outside.kafka, [plan(patient_id, 1, view(delivery_id))])
        await eventually(lambda: deliveries(desk, patient_id), within=40)
    finally:
        await desk.intake.supervisor.stop()
    assert await deliveries(desk, patient_id) == [(delivery_id, "planned")]
    assert desk.intake.supervisor.failed.is_set() is False
