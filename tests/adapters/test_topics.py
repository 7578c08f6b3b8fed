"""Topics are created as declared; what differs is reported, and nothing that exists is touched."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from chassis.errors import Unavailable
from chassis.outbox import MAX_MESSAGE_BYTES, Message
from chassis.settings import KafkaSettings
from chassis.store import Store
from chassis.topics import DEAD_LETTER_BYTES, Difference, apply, check
from schemas.topics import DAY_MS, Topic, dead_letter_topic
from tests.support.eventually import eventually
from tests.support.kafka import new_topic_name
from tests.support.relaying import Outbox, records, relaying


def a_topic(partitions: int = 24) -> Topic:
    return Topic(new_topic_name("topics"), "test", ("test",), (), "key", partitions=partitions)


async def until_visible(kafka: KafkaSettings, topic: Topic) -> None:
    """A broker answers before its own metadata knows."""

    async def is_there() -> bool:
        return topic.name not in (await check(kafka, [topic])).missing

    await eventually(is_there)


async def test_what_is_missing_is_created_once_and_then_nothing_differs(kafka: KafkaSettings) -> None:
    first, second = a_topic(), a_topic(partitions=3)
    report = await apply(kafka, [first, second])
    assert sorted(report.created) == sorted([first.name, second.name])
    assert report.usable
    await until_visible(kafka, second)
    again = await apply(kafka, [first, second])
    assert (again.created, again.missing, again.differs, again.refused) == ([], [], [], [])


async def test_a_check_reports_what_is_missing_and_creates_nothing(kafka: KafkaSettings) -> None:
    topic = a_topic()
    for _ in range(2):
        report = await check(kafka, [topic])
        assert report.missing == [topic.name]
        assert not report.usable


async def test_another_number_of_partitions_is_refused(kafka: KafkaSettings) -> None:
    if kafka.embedded:
        pytest.skip("there the topic is made anew")
    topic = a_topic(partitions=3)
    await apply(kafka, [topic])
    await until_visible(kafka, topic)
    report = await apply(kafka, [replace(topic, partitions=24)])
    assert report.refused == [Difference(topic.name, "partitions", "24", "3")]
    assert not report.usable
    assert not (await check(kafka, [topic])).refused


async def test_a_topic_that_the_embedded_broker_made_by_itself_is_made_anew(kafka: KafkaSettings) -> None:
    if not kafka.embedded:
        pytest.skip("only the embedded broker creates what it is asked for")
    topic = a_topic()
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as curious:
        assert len(await curious.partitions_for(topic.name)) != 24
    assert not (await check(kafka, [topic])).usable
    assert (await apply(kafka, [topic])).created == [topic.name]
    assert (await check(kafka, [topic])).usable


async def test_a_topic_that_is_asked_for_while_it_is_being_made_is_made_anew(
    kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records for the partitions that it lacks would be confirmed, and lost."""
    if not kafka.embedded:
        pytest.skip("only the embedded broker creates what it is asked for")
    topic, create = a_topic(), AIOKafkaAdminClient.create_topics

    async def a_little_late(admin: AIOKafkaAdminClient, new: list[NewTopic]) -> Any:
        monkeypatch.undo()
        async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as curious:
            await curious.partitions_for(topic.name)
        return await create(admin, new)

    monkeypatch.setattr(AIOKafkaAdminClient, "create_topics", a_little_late)
    assert (await apply(kafka, [topic])).created == [topic.name]
    assert (await check(kafka, [topic])).usable


async def test_other_settings_are_reported_and_not_altered(kafka: KafkaSettings) -> None:
    if kafka.embedded:
        pytest.skip("the embedded broker keeps nothing, whatever its settings say")
    topic = a_topic()
    await apply(kafka, [topic])
    await until_visible(kafka, topic)
    wanted = replace(topic, retention_ms=DAY_MS, compacted=True)
    differs = [
        Difference(topic.name, "cleanup.policy", "compact", "delete"),
        Difference(topic.name, "retention.ms", str(DAY_MS), str(14 * DAY_MS)),
    ]
    for _ in range(2):
        report = await apply(kafka, [wanted])
        assert report.differs == differs
        assert report.usable
    assert (await check(kafka.model_copy(update={"replication": 3}), [topic])).differs == [
        Difference(topic.name, "replication", "3", "1"),
        Difference(topic.name, "min.insync.replicas", "2", "1"),
    ]


async def test_a_topic_that_the_broker_will_not_create_is_refused_with_its_reason(kafka: KafkaSettings) -> None:
    if kafka.embedded:
        pytest.skip("the embedded broker takes any number of replicas")
    topic = a_topic()
    report = await apply(kafka.model_copy(update={"replication": 3}), [topic])
    assert report.refused == [Difference(topic.name, "error", "created", "InvalidReplicationFactorError")]
    assert report.created == []


async def test_several_may_apply_at_once(kafka: KafkaSettings) -> None:
    topic = a_topic()
    reports = await asyncio.gather(*(apply(kafka, [topic]) for _ in range(3)))
    assert all(report.usable for report in reports)


async def test_a_dead_letter_topic_takes_the_longest_message_that_an_outbox_takes(
    kafka: KafkaSettings, store: Store
) -> None:
    name = dead_letter_topic(new_topic_name("topics"), "test.group")
    topic = replace(a_topic(partitions=1), name=name)
    assert DEAD_LETTER_BYTES > MAX_MESSAGE_BYTES
    await apply(kafka, [topic])
    await until_visible(kafka, topic)
    outbox = await Outbox(store).create()
    await outbox.put(Message(name, None, (), b"x" * MAX_MESSAGE_BYTES))
    async with relaying(outbox.relay(kafka)):
        await eventually(outbox.is_empty, within=20)
    (record,) = await records(kafka, name)
    assert len(record.value) == MAX_MESSAGE_BYTES


async def test_a_broker_that_is_away_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="kafka"):
        await check(KafkaSettings(bootstrap="127.0.0.1:9"), [a_topic()])
