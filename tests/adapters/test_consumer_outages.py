"""Store, broker or group go away and come back: nothing is lost, nothing is buried, and a stop takes seconds."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from sqlalchemy import make_url

from chassis.consumer import Consumer
from chassis.metrics import Metrics
from chassis.settings import KafkaSettings, StoreSettings
from chassis.store import Store
from chassis.watermarks import Watermarks
from standalone.broker import EmbeddedBroker
from tests.support.consuming import EPOCH, Service, a_key, heartbeat, running, withdrawn
from tests.support.eventually import eventually
from tests.support.kafka import committed, create_topic, new_topic_name, publish, running_broker
from tests.support.proxy import Proxy, proxied
from tests.support.stores import postgresql_schema

needs_kafka = pytest.mark.skipif("TEST_KAFKA" not in os.environ, reason="needs TEST_KAFKA")
needs_postgres = pytest.mark.skipif("TEST_POSTGRES" not in os.environ, reason="needs TEST_POSTGRES")


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    store = Store(StoreSettings(url=f"sqlite:///{tmp_path / 'store.db'}"))
    made = Service(store)
    await made.create()
    yield made
    await store.close()


@pytest.fixture
async def kafka(tmp_path: Path) -> AsyncIterator[KafkaSettings]:
    """The best broker there is: what these tests are about doesn't differ, and each costs seconds."""
    async with running_broker("apache" if "TEST_KAFKA" in os.environ else "embedded", tmp_path) as settings:
        yield settings


@pytest.fixture
async def topic(kafka: KafkaSettings) -> str:
    name = new_topic_name()
    await create_topic(kafka, name)
    return name


@asynccontextmanager
async def store_on_a_line(settings: StoreSettings) -> AsyncIterator[tuple[Store, Proxy]]:
    url = make_url(settings.url)
    async with proxied(f"{url.host}:{url.port}") as line:
        through = url.set(host=line.host, port=line.port).render_as_string(hide_password=False)
        store = Store(StoreSettings(url=through, schema=settings.schema_name))
        try:
            yield store, line
        finally:
            await store.close()


def ready(consumer: Consumer) -> Callable[[], bool]:
    return lambda: consumer.ready


async def has(service: Service, *keys: str) -> bool:
    return set(keys) <= (await service.versions()).keys()


async def test_a_rebalance_in_the_middle_of_a_slow_batch_loses_nothing_and_repeats_nothing(
    kafka: KafkaSettings, service: Service, topic: str
) -> None:
    keys = [a_key() for _ in range(40)]
    first, second = (service.consumer(kafka, topic, f"{topic}.group") for _ in range(2))
    calls: list[int] = []
    service.before_apply = lambda: calls.append(1)
    service.gate.clear()
    async with running(first):
        await publish(kafka, [withdrawn(topic, key) for key in keys[:20]])
        await asyncio.wait_for(service.waiting.wait(), 15)
        async with running(second):
            await eventually(lambda: first.status()["rebalancing"], within=20)
            assert len(calls) == 1
            assert second.status()["partitions"] == []
            service.gate.set()
            await eventually(lambda: second.status()["partitions"], within=30)
            ends = await publish(kafka, [withdrawn(topic, key) for key in keys[20:]])
            await eventually(lambda: has(service, *keys), within=20)
            await eventually(lambda: reached(kafka, topic, ends), within=20)
            assert first.status()["partitions"]
    assert [await service.effects(key) for key in keys] == [1] * 40
    assert handled_once(service, 40), "a batch was handled again after the rebalance"


async def test_a_look_that_a_rebalance_overtakes_is_left_to_the_next_owner(
    kafka: KafkaSettings, service: Service, topic: str
) -> None:
    told = list[None]()
    tables, metrics = service.tables, Metrics("a")
    watermarks = Watermarks(
        service.store, tables.positions, tables.dead_letters, "a", topic, lambda: told.append(None), metrics
    )
    async with AIOKafkaConsumer(topic, bootstrap_servers=kafka.bootstrap, group_id=f"{topic}.group") as client:
        await eventually(client.assignment, within=30)
        ask = client.end_offsets

        async def overtaken(partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
            ends: dict[TopicPartition, int] = await ask(partitions)
            client.unsubscribe()
            return ends

        client.end_offsets = overtaken
        assert await watermarks.look(client)
    assert watermarks.lag is None
    assert not told


def handled_once(service: Service, events: int) -> bool:
    return service.counted("events_consumed_total") == events


async def reached(kafka: KafkaSettings, topic: str, ends: dict[int, int]) -> bool:
    return ends.items() <= (await committed(kafka, f"{topic}.group", topic)).items()


async def test_it_stops_within_seconds_while_the_broker_is_away(service: Service, tmp_path: Path) -> None:
    async with EmbeddedBroker(tmp_path) as broker:
        kafka, topic = KafkaSettings(bootstrap=broker.bootstrap, embedded=True), new_topic_name()
        await create_topic(kafka, topic)
        consumer = service.consumer(kafka, topic, "test.group")
        async with running(consumer):
            await eventually(ready(consumer))
            await broker.kill()
            await eventually(lambda: not consumer.ready, within=15)
            started = time.monotonic()
        assert time.monotonic() - started < 8


@needs_kafka
async def test_it_stops_within_seconds_while_the_broker_does_not_answer(service: Service) -> None:
    async with proxied(os.environ["TEST_KAFKA"], kafka=True) as line:
        kafka, topic = KafkaSettings(bootstrap=line.address), new_topic_name()
        await create_topic(kafka, topic)
        consumer = service.consumer(kafka, topic, f"{topic}.group")
        async with running(consumer):
            await eventually(ready(consumer))
            line.stall()
            await eventually(lambda: not consumer.ready, within=15)
            started = time.monotonic()
        assert time.monotonic() - started < 8


@needs_kafka
async def test_after_the_line_to_the_broker_is_mended_it_goes_on(service: Service) -> None:
    async with proxied(os.environ["TEST_KAFKA"], kafka=True) as line:
        kafka, topic, key = KafkaSettings(bootstrap=line.address), new_topic_name(), a_key()
        await create_topic(kafka, topic)
        consumer = service.consumer(kafka, topic, f"{topic}.group")
        async with running(consumer):
            await eventually(ready(consumer))
            await line.cut()
            await publish(KafkaSettings(bootstrap=os.environ["TEST_KAFKA"]), [withdrawn(topic, key)])
            await eventually(lambda: not consumer.ready, within=15)
            await line.mend()
            await eventually(lambda: has(service, key), within=20)
            await eventually(ready(consumer))
    assert await service.letters() == []


async def test_it_waits_for_a_broker_and_a_topic_that_are_not_there_yet(service: Service, tmp_path: Path) -> None:
    broker, topic, key = EmbeddedBroker(tmp_path), new_topic_name(), a_key()
    async with broker:
        await broker.kill()
        kafka = KafkaSettings(bootstrap=broker.bootstrap, embedded=True)
        consumer = service.consumer(kafka, topic, "test.group")
        async with running(consumer):
            await eventually(lambda: consumer.state == "unavailable")
            assert consumer.status()["lag"] is None
            await broker.restart()
            await create_topic(kafka, topic)
            await publish(kafka, [withdrawn(topic, key)])
            await eventually(lambda: has(service, key), within=30)
            await eventually(lambda: consumer.status()["lag"] == 0)


async def test_a_new_broker_is_read_from_the_start_and_told_of(service: Service, tmp_path: Path) -> None:
    told: list[str] = []
    async with EmbeddedBroker(tmp_path) as broker:
        kafka, topic, key = KafkaSettings(bootstrap=broker.bootstrap, embedded=True), new_topic_name(), a_key()
        await create_topic(kafka, topic)
        consumer = service.consumer(kafka, topic, "test.group", on_new_broker=lambda: told.append("new"))
        async with running(consumer):
            first = [withdrawn(topic, key, version) for version in (1, 2, 3)]
            await publish(kafka, [heartbeat(topic, EPOCH), *first], partition=0)
            await eventually(lambda: has(service, key), within=30)
            await eventually(lambda: caught_up(service))
            assert told == []
            await broker.kill()
            await broker.restart()
            await create_topic(kafka, topic)
            await eventually(lambda: told, within=30)
            assert not await caught_up(service)
            await publish(kafka, [withdrawn(topic, key, 4)], partition=0)
            await eventually(lambda: version(service, key, 4), within=30)
            await eventually(lambda: caught_up(service), within=15)


async def version(service: Service, key: str, wanted: int) -> bool:
    return (await service.versions()).get(key) == wanted


async def caught_up(service: Service) -> bool:
    async with service.store.read() as connection:
        rows = (await connection.execute(service.tables.positions.select())).all()
    return any(row.caught_up_at is not None for row in rows)


async def test_too_many_dead_letters_in_a_row_halt_it_uncommitted_until_it_is_stopped(
    kafka: KafkaSettings, service: Service, topic: str
) -> None:
    consumer = service.consumer(kafka, topic, f"{topic}.group")
    async with running(consumer):
        await publish(kafka, [withdrawn(topic, a_key(), 1, "bug") for _ in range(30)], partition=0)
        await eventually(lambda: consumer.state == "halted", within=20)
        assert not consumer.ready
        assert len(await service.letters()) < 20
        assert await committed(kafka, f"{topic}.group", topic) == {}
        assert service.counted("consumer_stopped") == 1


@needs_kafka
async def test_a_static_member_that_restarts_has_its_partitions_back_at_once(service: Service) -> None:
    kafka, topic, keys = KafkaSettings(bootstrap=os.environ["TEST_KAFKA"], instance="a"), new_topic_name(), []
    await create_topic(kafka, topic)
    for _ in range(2):
        keys.append(a_key())
        await publish(kafka, [withdrawn(topic, keys[-1])])
        async with running(service.consumer(kafka, topic, f"{topic}.group")):
            await eventually(lambda: has(service, *keys), within=6)
    assert handled_once(service, 2)


@needs_kafka
@needs_postgres
async def test_an_outage_of_the_store_buries_nothing_and_is_ridden_out() -> None:
    kafka, topic = KafkaSettings(bootstrap=os.environ["TEST_KAFKA"]), new_topic_name()
    await create_topic(kafka, topic)
    keys = [a_key() for _ in range(30)]
    async with postgresql_schema() as settings, store_on_a_line(settings) as (store, line):
        service = Service(store)
        await service.create()
        consumer = service.consumer(kafka, topic, f"{topic}.group")
        async with running(consumer):
            await publish(kafka, [withdrawn(topic, key) for key in keys[:10]])
            await eventually(lambda: has(service, *keys[:10]), within=15)
            await line.cut()
            await publish(kafka, [withdrawn(topic, key) for key in keys[10:]])
            await eventually(lambda: service.counted("consumer_outages_total") > 2, within=15)
            assert not consumer.ready
            await line.mend()
            await eventually(lambda: has(service, *keys), within=40)
            await eventually(ready(consumer))
        assert await service.letters(None) == []
        assert [await service.effects(key) for key in keys] == [1] * 30


async def test_a_batch_that_takes_too_long_is_rolled_back_and_tried_in_smaller_parts(
    kafka: KafkaSettings, service: Service, topic: str
) -> None:
    keys = [a_key() for _ in range(8)]
    await publish(kafka, [withdrawn(topic, key) for key in keys], partition=0)
    service.gate.clear()
    async with running(service.consumer(kafka, topic, f"{topic}.group", batch_seconds=0.2)):
        await eventually(lambda: service.counted("consumer_outages_total") > 1, within=20)
        assert await service.versions() == {}
        service.gate.set()
        await eventually(lambda: has(service, *keys), within=20)
    assert await service.letters(None) == []
    assert [await service.effects(key) for key in keys] == [1] * 8


@needs_kafka
@needs_postgres
async def test_it_stops_within_seconds_while_the_store_does_not_answer() -> None:
    kafka, topic = KafkaSettings(bootstrap=os.environ["TEST_KAFKA"]), new_topic_name()
    await create_topic(kafka, topic)
    async with postgresql_schema() as settings, store_on_a_line(settings) as (store, line):
        service = Service(store)
        await service.create()
        consumer = service.consumer(kafka, topic, f"{topic}.group")
        async with running(consumer):
            await eventually(ready(consumer))
            service.gate.clear()
            await publish(kafka, [withdrawn(topic, a_key())])
            await asyncio.wait_for(service.waiting.wait(), 10)
            line.stall()
            service.gate.set()
            started = time.monotonic()
        assert time.monotonic() - started < 10
        assert await committed(kafka, f"{topic}.group", topic) == {}
        await line.mend()
