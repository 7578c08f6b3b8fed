"""Every row of the table of what a consumer does with a record, on a real broker and a real store.

One consumer runs for all tests of what a record can be; joining a group takes seconds.
"""

import asyncio
import json
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chassis.consumer import Consumer
from chassis.freshness import Freshness, freshness, partition_of
from chassis.outbox import Message
from chassis.settings import KafkaSettings, StoreSettings
from chassis.store import Store
from tests.support.consuming import EPOCH, Service, a_key, heartbeat, running, withdrawn
from tests.support.eventually import eventually
from tests.support.kafka import (
    APACHE,
    PARTITIONS,
    committed,
    create_topic,
    new_topic_name,
    publish,
    publish_unreadable,
    running_broker,
)
from tests.support.stores import postgresql_schema

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAIRS = ["embedded", *(APACHE if "TEST_POSTGRES" in os.environ else [])]


@dataclass
class World:
    """The embedded broker with SQLite, or Apache Kafka with PostgreSQL, and one consumer between them."""

    kafka: KafkaSettings
    service: Service
    topic: str
    group: str
    consumer: Consumer
    spans: InMemorySpanExporter

    async def publish(self, *messages: Message, partition: int | None = None) -> None:
        """Publish, and wait until it is committed."""
        await self.handled(await publish(self.kafka, messages, partition))

    async def handled(self, ends: dict[int, int]) -> None:
        async def all_committed() -> bool:
            return ends.items() <= (await committed(self.kafka, self.group, self.topic)).items()

        await eventually(all_committed)

    async def fresh(self, key: str) -> Freshness:
        async with self.service.store.read() as connection:
            found = await freshness(connection, self.service.tables.positions, self.group, [key], PARTITIONS)
            return found[key]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=PAIRS)
async def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("world")
    async with running_broker(request.param, folder) as kafka, a_store(request.param, folder) as store:
        topic, service, spans = new_topic_name(), Service(store), InMemorySpanExporter()
        await service.create()
        await create_topic(kafka, topic)
        tracer = TracerProvider(shutdown_on_exit=False)
        tracer.add_span_processor(SimpleSpanProcessor(spans))
        consumer = service.consumer(kafka, topic, f"{topic}.group", tracer=tracer)
        async with running(consumer):
            await eventually(lambda: consumer.ready)
            yield World(kafka, service, topic, f"{topic}.group", consumer, spans)


@asynccontextmanager
async def a_store(kind: str, folder: Path) -> AsyncIterator[Store]:
    if kind == "apache":
        async with postgresql_schema() as settings, opened(settings) as store:
            yield store
    else:
        async with opened(StoreSettings(url=f"sqlite:///{folder / 'store.db'}")) as store:
            yield store


@asynccontextmanager
async def opened(settings: StoreSettings) -> AsyncIterator[Store]:
    store = Store(settings)
    try:
        yield store
    finally:
        await store.close()


async def test_a_valid_event_is_applied_once_and_committed(world: World) -> None:
    key = a_key()
    before = world.service.counted("events_consumed_total")
    await world.publish(withdrawn(world.topic, key, 1), withdrawn(world.topic, key, 2))
    assert (await world.service.versions())[key] == 2
    assert await world.service.effects(key) == 2
    assert world.service.counted("events_consumed_total") - before == 2


async def test_the_offset_is_committed_only_after_the_store_has_it(world: World) -> None:
    key = a_key()
    before = await committed(world.kafka, world.group, world.topic)
    world.service.gate.clear()
    world.service.waiting.clear()
    ends = await publish(world.kafka, [withdrawn(world.topic, key)])
    await asyncio.wait_for(world.service.waiting.wait(), 10)
    assert await committed(world.kafka, world.group, world.topic) == before
    world.service.gate.set()
    await world.handled(ends)
    assert (await world.service.versions())[key] == 1


async def test_an_older_version_has_no_effect_and_is_committed(world: World) -> None:
    stale = world.service.counted("events_stale_total")
    key = a_key()
    await world.publish(*(withdrawn(world.topic, key, version) for version in (2, 1, 2)))
    assert ((await world.service.versions())[key], await world.service.effects(key)) == (2, 1)
    assert world.service.counted("events_stale_total") > stale


async def test_an_event_this_service_does_not_use_is_ignored(world: World) -> None:
    before = world.service.counted("events_ignored_total")
    letters = len(await world.service.letters())
    unused = retyped(withdrawn(world.topic, a_key()), "org.upright.message.requested.v1")
    foreign = retyped(withdrawn(world.topic, a_key()), "com.example.something.else.v7")
    await world.publish(unused, foreign)
    assert world.service.counted("events_ignored_total") - before == 2
    assert len(await world.service.letters()) == letters


async def test_structured_mode_is_read_too(world: World) -> None:
    key = a_key()
    await world.publish(structured(withdrawn(world.topic, key, 5)))
    assert (await world.service.versions())[key] == 5


def retyped(message: Message, wire: str) -> Message:
    return with_header(message, "ce_type", wire.encode())


def with_header(message: Message, name: str, value: bytes | None) -> Message:
    headers = tuple((each, value if each == name else old) for each, old in message.headers)
    return Message(message.topic, message.key, headers, message.value)


def with_value(message: Message, value: bytes | None) -> Message:
    return Message(message.topic, message.key, message.headers, value)


def without_header(message: Message, name: str) -> Message:
    return Message(
        message.topic, message.key, tuple(each for each in message.headers if each[0] != name), message.value
    )


def structured(message: Message) -> Message:
    attributes = {name[3:]: (value or b"").decode() for name, value in message.headers if name.startswith("ce_")}
    whole = {**attributes, "datacontenttype": "application/json", "data": json.loads(message.value or b"")}
    content_type = ("content-type", b"application/cloudevents+json")
    return Message(message.topic, message.key, (content_type,), json.dumps(whole).encode())


BAD: dict[str, tuple[str, Callable[[Message], Message]]] = {
    "not json": ("bad_payload", lambda good: with_value(good, b"{nonsense")),
    "another shape": ("bad_payload", lambda good: with_value(good, b'{"request_id": 7}')),
    "deep": ("bad_payload", lambda good: with_value(good, b"[" * 20_000)),
    "no value": ("no_data", lambda good: with_value(good, None)),
    "oversized": ("too_large", lambda good: with_value(good, b'"' + b"x" * 200_000 + b'"')),
    "header not utf-8": ("bad_header", lambda good: with_header(good, "ce_source", b"\xff\xfe")),
    "null header": ("bad_header", lambda good: with_header(good, "ce_id", None)),
    "no envelope": ("bad_envelope", lambda good: Message(good.topic, good.key, (), good.value)),
    "a bad attribute": ("bad_envelope", lambda good: with_header(good, "ce_time", b"yesterday")),
    "another content": ("bad_content_type", lambda good: with_header(good, "content-type", b"text/html")),
    "unknown major": ("unknown_major", lambda good: retyped(good, "org.upright.message.withdrawn.v2")),
    "nobody's": ("no_tenant", lambda good: without_header(good, "ce_tenant")),
    "about nothing": ("bad_subject", lambda good: without_header(good, "ce_subject")),
    "about another family": ("bad_subject", lambda good: with_header(good, "ce_subject", b"consent/1")),
    "about a family": ("bad_subject", lambda good: with_header(good, "ce_subject", b"request/")),
    "another key": ("key_mismatch", lambda good: Message(good.topic, b"other", good.headers, good.value)),
    "structured, cut off": ("bad_envelope", lambda good: with_value(structured(good), b'{"specversion": "1.0"')),
}


@pytest.mark.parametrize("case", BAD)
async def test_a_malformed_record_in_the_middle_of_a_batch_becomes_a_dead_letter_alone(world: World, case: str) -> None:
    reason, spoil = BAD[case]
    before, key, after = a_key(), a_key(), a_key()
    spoilt = spoil(withdrawn(world.topic, key))
    counted = world.service.counted("dead_letters_total", reason=reason)
    await world.publish(withdrawn(world.topic, before), spoilt, withdrawn(world.topic, after), partition=0)
    versions = await world.service.versions()
    assert (versions[before], versions.get(key), versions[after]) == (1, None, 1)
    letter = (await world.service.letters())[0].letter
    assert (letter.reason, letter.key) == (reason, (spoilt.key or b"").decode())
    held = await world.service.held_keys()
    assert letter.key in held
    assert not {before, after} & held
    assert world.service.counted("dead_letters_total", reason=reason) - counted == 1
    copy = (await world.service.outgoing())[-1]
    assert (copy.topic, copy.key, copy.value) == (f"{world.topic}.{world.group}.dlq", spoilt.key, spoilt.value)
    assert copy.headers[: len(spoilt.headers)] == spoilt.headers


@pytest.mark.parametrize("key", [None, b"", b"\xff\xfe"])
async def test_a_record_whose_key_cannot_be_read_is_buried_and_holds_nobody(world: World, key: bytes | None) -> None:
    held = await world.service.held_keys()
    good = withdrawn(world.topic, a_key())
    await world.publish(Message(good.topic, key, good.headers, good.value))
    letter = (await world.service.letters())[0].letter
    assert (letter.key, letter.tenant) == (None, "cedars")
    assert await world.service.held_keys() == held


async def test_a_record_the_client_itself_cannot_read_is_passed_and_leaves_a_letter(world: World) -> None:
    before, after = a_key(), a_key()
    await publish(world.kafka, [withdrawn(world.topic, before)], partition=1)
    bad = await publish_unreadable(world.kafka, world.topic, partition=1)
    await world.publish(withdrawn(world.topic, after), partition=1)
    assert {before, after} <= (await world.service.versions()).keys()
    record = (await world.service.letters())[0].letter.record
    assert (record.partition, record.offset + 1) == (1, bad[1])


@pytest.mark.parametrize(("steer", "reason"), [("permanent", "refused"), ("bug", "unexpected")])
async def test_an_event_its_handler_fails_on_costs_its_neighbours_nothing(
    world: World, steer: str, reason: str
) -> None:
    keys = [a_key() for _ in range(20)]
    await world.publish(*(withdrawn(world.topic, key, 1, steer if key == keys[9] else "fine") for key in keys))
    versions = await world.service.versions()
    assert [key for key in keys if key not in versions] == [keys[9]]
    assert (await world.service.letters())[0].letter.reason == reason
    assert set(keys) & await world.service.held_keys() == {keys[9]}


async def test_a_heartbeat_moves_the_freshness_of_its_partition_and_is_not_applied(world: World) -> None:
    key, letters = a_key(), len(await world.service.letters())
    partition = partition_of(key, PARTITIONS)
    await world.publish(heartbeat(world.topic, EPOCH + timedelta(minutes=5)), partition=partition)
    assert (await world.fresh(key)).fresh_as_of == EPOCH + timedelta(minutes=5)
    await world.publish(heartbeat(world.topic, EPOCH), partition=partition)
    assert (await world.fresh(key)).fresh_as_of == EPOCH + timedelta(minutes=5), "an older one moves nothing back"
    assert len(await world.service.letters()) == letters


async def test_an_idle_partition_counts_as_caught_up_again_and_again(world: World) -> None:
    first = await eventually(lambda: caught_up(world, "any"))
    again = await eventually(lambda: caught_up(world, "any", later_than=first))
    assert again.database_now - again.caught_up_at < timedelta(seconds=10)


async def caught_up(world: World, key: str, later_than: Freshness | None = None) -> Freshness | None:
    fresh = await world.fresh(key)
    if fresh.caught_up_at is None:
        return None
    since = later_than.caught_up_at if later_than is not None else None
    return fresh if since is None or fresh.caught_up_at > since else None


async def test_a_batch_is_one_span_linked_to_the_trace_of_each_record(world: World) -> None:
    traces = [f"00-{uuid.uuid4().hex}-00f067aa0ba902b7-01" for _ in range(2)]
    await world.publish(*(withdrawn(world.topic, a_key(), traceparent=trace) for trace in traces))
    linked = {f"{link.context.trace_id:032x}" for span in world.spans.get_finished_spans() for link in span.links}
    assert {trace.split("-")[1] for trace in traces} <= linked


async def test_the_status_says_where_it_stands(world: World) -> None:
    def as_it_stands() -> bool:  # partitions and lag are those of the last look
        status = world.consumer.status()
        return (status["state"], status["partitions"], status["lag"]) == ("consuming", list(range(PARTITIONS)), 0)

    await eventually(as_it_stands)


async def test_operators_see_per_partition_when_we_stood_at_its_end_how_fresh_it_is_and_what_waits_for_a_person(
    world: World,
) -> None:
    key = a_key()
    place = {"group": world.group, "partition": str(partition_of(key, PARTITIONS))}
    before = len(await world.service.letters())
    await world.publish(withdrawn(world.topic, key, 1, reason="permanent"))
    await world.publish(heartbeat(world.topic, EPOCH + timedelta(days=1)), partition=partition_of(key, PARTITIONS))
    counted = world.service.counted
    assert counted("consumer_fresh_timestamp_seconds", **place) == (EPOCH + timedelta(days=1)).timestamp()
    now = time.time()
    await eventually(lambda: counted("consumer_caught_up_timestamp_seconds", **place) > now)
    assert counted("dead_letters_open", group=world.group) == before + 1
