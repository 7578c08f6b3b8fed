"""A compacted topic as a table in memory, on the embedded broker and on Apache Kafka."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from dataclasses import replace as altered
from pathlib import Path
from typing import Any

import pytest

from chassis.compacted import CompactedTopic
from chassis.decoding import Event
from chassis.metrics import Metrics, MetricsRegistry
from chassis.outbox import Message
from chassis.settings import KafkaSettings
from standalone.broker import EmbeddedBroker
from tests.support.consuming import WITHDRAWN, a_key, withdrawn
from tests.support.eventually import eventually
from tests.support.kafka import create_topic, kafka, new_topic_name, publish, publish_unreadable
from tests.support.proxy import proxied

__all__ = ["kafka"]


@dataclass
class Table:
    """What a service would know: the version of each key. ``told`` counts the calls after a change."""

    topic: str
    known: dict[str, int] = field(default_factory=dict)
    told: int = 0
    metrics: Metrics = field(default_factory=lambda: Metrics("test", MetricsRegistry()))

    def on_state(self, key: str, event: Event[Any] | None) -> None:
        if event is None:
            self.known.pop(key, None)
        else:
            self.known[key] = event.data.version

    def on_change(self) -> None:
        self.told += 1

    def unreadable(self) -> float:
        collector = self.metrics.registry.collector("states_unreadable_total")
        return sum(s.value for f in collector.collect() for s in f.samples if s.name.endswith("_total"))


@asynccontextmanager
async def reading(kafka: KafkaSettings, table: Table) -> AsyncIterator[CompactedTopic]:
    reader = CompactedTopic(
        kafka, table.topic, {WITHDRAWN}, table.on_state, table.metrics, on_change=table.on_change, look_every=0.2
    )
    stopping = asyncio.Event()
    task = asyncio.create_task(reader.run(stopping))
    try:
        yield reader
    finally:
        stopping.set()
        await asyncio.wait_for(task, 15)


@pytest.fixture
async def table(kafka: KafkaSettings) -> Table:
    made = Table(new_topic_name())
    await create_topic(kafka, made.topic)
    return made


async def test_it_is_ready_once_all_is_read_and_then_follows(kafka: KafkaSettings, table: Table) -> None:
    one, two, three = a_key(), a_key(), a_key()
    states = [withdrawn(table.topic, one), withdrawn(table.topic, two), withdrawn(table.topic, one, 2)]
    await publish(kafka, states)
    async with reading(kafka, table) as reader:
        assert not reader.ready
        await eventually(lambda: reader.ready)
        assert table.known == {one: 2, two: 1}
        assert reader.status() == {"state": "following", "ready": True, "keys": 2}
        await eventually(lambda: table.told == 1)
        await publish(kafka, [withdrawn(table.topic, three), Message(table.topic, two.encode(), (), None)])
        await eventually(lambda: table.known == {one: 2, three: 1})
        await eventually(lambda: table.told > 1)
    assert reader.state == "stopped"


async def test_an_older_version_changes_nothing(kafka: KafkaSettings, table: Table) -> None:
    one, end = a_key(), a_key()
    await publish(kafka, [withdrawn(table.topic, one, 3), withdrawn(table.topic, one, 2)], partition=0)
    await publish(kafka, [withdrawn(table.topic, end)], partition=0)
    async with reading(kafka, table):
        await eventually(lambda: table.known == {one: 3, end: 1})


async def test_a_state_that_cant_be_read_leaves_its_key_unknown_until_a_newer_one_comes(
    kafka: KafkaSettings, table: Table
) -> None:
    one, two = a_key(), a_key()
    good = withdrawn(table.topic, one, 1)
    bad = altered(withdrawn(table.topic, one, 2), value=b'{"request_id": 5}')
    await publish(kafka, [good, withdrawn(table.topic, two), bad, good])
    async with reading(kafka, table) as reader:
        await eventually(lambda: reader.ready)
        assert (table.known, table.unreadable()) == ({two: 1}, 1.0)
        await publish(kafka, [withdrawn(table.topic, one, 2)])
        await eventually(lambda: table.known == {one: 2, two: 1})


async def test_a_record_that_the_client_cant_read_leaves_its_partition_unknown(
    kafka: KafkaSettings, table: Table
) -> None:
    one, two = a_key(), a_key()
    await publish(kafka, [withdrawn(table.topic, one)], partition=1)
    await publish(kafka, [withdrawn(table.topic, two)], partition=2)
    await publish_unreadable(kafka, table.topic, 1)
    async with reading(kafka, table) as reader:
        await eventually(lambda: reader.ready)
        assert (table.known, table.unreadable()) == ({two: 1}, 1.0)
        await publish(kafka, [withdrawn(table.topic, one, 2)], partition=1)
        await eventually(lambda: table.known == {one: 2, two: 1})


async def test_while_the_broker_is_away_nothing_is_known_and_afterwards_all_is_again(
    kafka: KafkaSettings, table: Table
) -> None:
    one = a_key()
    await publish(kafka, [withdrawn(table.topic, one)])
    async with proxied(kafka.bootstrap, kafka=True) as line:
        through = kafka.model_copy(update={"bootstrap": line.address})
        async with reading(through, table) as reader:
            await eventually(lambda: reader.ready)
            await line.cut()
            await eventually(lambda: not reader.ready, within=20)
            assert table.known == {}
            await publish(kafka, [withdrawn(table.topic, one, 2)])
            await line.mend()
            await eventually(lambda: reader.ready, within=20)
            assert table.known == {one: 2}


async def test_a_new_broker_is_read_from_the_beginning(tmp_path: Path) -> None:
    one, two = a_key(), a_key()
    async with EmbeddedBroker(tmp_path) as broker:
        kafka = KafkaSettings(bootstrap=broker.bootstrap, embedded=True)
        table = Table(new_topic_name())
        await create_topic(kafka, table.topic)
        await publish(kafka, [withdrawn(table.topic, one, 2), withdrawn(table.topic, two)])
        async with reading(kafka, table) as reader:
            await eventually(lambda: reader.ready)
            await broker.restart()
            await eventually(lambda: not reader.ready, within=20)
            await create_topic(kafka, table.topic)
            await publish(kafka, [withdrawn(table.topic, one, 1)])
            await eventually(lambda: reader.ready and table.known == {one: 1}, within=20)


async def test_a_topic_that_isnt_there_is_waited_for(kafka: KafkaSettings) -> None:
    table, one = Table(new_topic_name()), a_key()
    async with reading(kafka, table) as reader:
        await eventually(lambda: reader.state == "unavailable")
        await create_topic(kafka, table.topic)
        await publish(kafka, [withdrawn(table.topic, one)])
        await eventually(lambda: reader.ready and table.known == {one: 1}, within=20)
