"""A coordinator's own topic: made when they subscribe, filled through the relay, and read by a client of theirs."""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from aiokafka import ConsumerRecord
from sqlalchemy import delete

from chassis import topics
from chassis.cloudevents import read_record, to_message
from chassis.settings import KafkaSettings, StoreSettings
from schemas.registry import INTAKE_EVENTS, TRIALS_SUBSCRIPTION
from schemas.topics import ALL_TOPICS, subscription_topic
from schemas.trials import MatchReport
from services.trials.tables import outbox
from tests.support.coordinating import CVF, FISTULA, coordinators
from tests.support.eventually import eventually
from tests.support.kafka import publish, running_broker
from tests.support.relaying import records, relaying
from tests.support.research import Research, new_id, research
from tests.support.subscribing import follow, subscribe, told


@pytest.fixture
async def desk(kafka: KafkaSettings, tmp_path: Path) -> AsyncIterator[Research]:
    """On a broker of each kind."""
    async with research(StoreSettings(url=f"sqlite:///{tmp_path / 'trials.db'}"), kafka=kafka) as one:
        yield one


def read(found: Sequence[ConsumerRecord]) -> list[tuple[str, str, MatchReport]]:
    """Type, key and data of each record, as any CloudEvents client has them."""
    events = [(read_record(each.headers, each.key, each.value), each.key.decode()) for each in found]
    return [
        (envelope.type.removeprefix("org.upright."), key, MatchReport.strict_json(data))
        for (envelope, data), key in events
    ]


async def is_usable(kafka: KafkaSettings, subscription_id: str) -> bool:
    """A broker may take a moment until it tells of a topic that it has confirmed."""
    return (await topics.check(kafka, [subscription_topic(subscription_id)])).usable


async def test_reports_come_out_of_the_subscriptions_own_topic_in_order(desk: Research, kafka: KafkaSettings) -> None:
    await desk.publish(CVF)
    async with coordinators(desk) as room:
        mine = await subscribe(room, "kafka")
        await eventually(lambda: is_usable(kafka, mine["subscription_id"]))
        canary = await desk.admit(**{name: value for name, value in FISTULA.items() if name != "pregnant"})
        await desk.hear(desk.facts(canary, "visit", pregnant=False))
        await follow(desk)
        await room.post(f"/v1/subscriptions/{mine['subscription_id']}/test")
        log = await told(room, mine["subscription_id"])
    async with desk.trials.store.write() as connection:  # the shared broker's other topics are nobody's business
        await connection.execute(delete(outbox).where(outbox.c.topic != mine["topic"]))
    async with relaying(desk.trials.relay):
        found = await eventually(lambda: three(kafka, mine["topic"]), within=30)
    carried = read(found)
    assert [name for name, _, _ in carried] == ["report.found.v1", "report.changed.v1", "report.test.v1"]
    assert [each.sequence for _, _, each in carried] == [1, 2, 3]
    assert [key for _, key, _ in carried] == [log[0]["pseudonym"], log[0]["pseudonym"], mine["subscription_id"]]
    raw = b"".join((each.key or b"") + (each.value or b"") + repr(each.headers).encode() for each in found)
    for secret in (canary, canary.replace("-", ""), "1986", "2025-11-20", "type-3"):
        assert secret.encode() not in raw


async def three(kafka: KafkaSettings, topic: str) -> Sequence[ConsumerRecord]:
    found: Sequence[ConsumerRecord] = await records(kafka, topic)
    return found if len(found) >= 3 else ()


async def test_from_a_fact_on_kafka_to_a_report_on_the_coordinators_topic(tmp_path: Path) -> None:
    async with running_broker("embedded", tmp_path) as kafka:
        await topics.apply(kafka, ALL_TOPICS.values())
        store = StoreSettings(url=f"sqlite:///{tmp_path / 'trials.db'}")
        async with research(store, kafka=kafka) as desk, coordinators(desk) as room:
            await desk.publish(CVF)
            mine = await subscribe(room, "kafka")
            await desk.trials.supervisor.start()
            try:
                patient_id = new_id()
                events = [
                    desk.patient(patient_id), desk.enrolment(patient_id), desk.consent(patient_id),
                    desk.facts(patient_id, **FISTULA),
                ]  # fmt: skip
                await publish(kafka, [to_message(INTAKE_EVENTS, each.envelope, each.data) for each in events])
                (found,) = await eventually(lambda: records(kafka, mine["topic"]), within=60)
            finally:
                await desk.trials.supervisor.stop()
    name, _, report = read([found])[0]
    assert (name, report.registry_id, report.verdict) == ("report.found.v1", CVF, "eligible")
    assert json.loads(found.value)["subscription_id"] == mine["subscription_id"]
    assert mine["topic"] == TRIALS_SUBSCRIPTION.replace("<id>", mine["subscription_id"])
