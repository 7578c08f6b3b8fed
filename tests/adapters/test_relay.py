"""Nothing is lost between a committed outbox row and Kafka, and a key's order holds, whatever dies in between."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from chassis import faults
from chassis.cloudevents import read_record
from chassis.errors import Permanent
from chassis.outbox import MAX_MESSAGE_BYTES, Message, confirm, oldest
from chassis.settings import KafkaSettings, StoreSettings
from chassis.store import Store, database_now
from chassis.topics import apply
from schemas.outcomes import Heartbeat
from schemas.registry import INTAKE_EVENTS
from schemas.topics import ALL_TOPICS, Topic
from standalone.broker import EmbeddedBroker
from tests.support.eventually import eventually
from tests.support.kafka import create_topic, new_topic_name
from tests.support.proxy import proxied
from tests.support.relaying import Outbox, distinct, out_of_order, records, relaying


@pytest.fixture
async def outbox(store: Store) -> Outbox:
    return await Outbox(store).create()


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[Outbox]:
    """For tests in which only the broker matters."""
    store = Store(StoreSettings(url=f"sqlite:///{tmp_path / 'local.db'}"))
    yield await Outbox(store).create()
    await store.close()


@pytest.fixture
async def topic(kafka: KafkaSettings) -> str:
    name = new_topic_name("relay")
    await create_topic(kafka, name)
    return name


async def test_a_record_arrives_as_it_was_put_and_its_row_is_done(
    outbox: Outbox, kafka: KafkaSettings, topic: str
) -> None:
    odd = Message(topic, b"\xff key", (("ce_id", b"1"), ("kafka_dlt-x", b"\x00\xff\n"), ("null", None)), b"\x00\xfe")
    empty = Message(topic, None, (), None)
    await outbox.put(odd, empty)
    async with relaying(outbox.relay(kafka)):
        await eventually(outbox.is_empty)
    got = {(each.key, tuple(each.headers), each.value) for each in await records(kafka, topic)}
    assert got == {(odd.key, odd.headers, odd.value), (None, (), None)}
    assert outbox.metrics.registry.prometheus.get_sample_value(
        "upright_outbox_published_total", {"service": "test", "topic": topic}
    ) == len(got)


async def test_each_key_keeps_its_order_over_many_runs(outbox: Outbox, kafka: KafkaSettings, topic: str) -> None:
    await outbox.put(*(Message(topic, b"one", (), str(number).encode()) for number in range(700)))
    await outbox.put_numbered(topic, keys=40, each=20)
    async with relaying(outbox.relay(kafka)):
        await eventually(outbox.is_empty, within=20)
    got = await records(kafka, topic)
    assert out_of_order(got) == []
    assert len(got) == 1500


async def test_a_batch_that_is_full_lets_nothing_overtake_what_did_not_fit(
    local: Outbox, kafka: KafkaSettings, topic: str
) -> None:
    sizes = [300_000, 300_000, 10, 300_000, 10, 900_000, 10]
    await local.put(
        *(Message(topic, b"key", (("pad", b"x" * size),), str(each).encode()) for each, size in enumerate(sizes))
    )
    async with relaying(local.relay(kafka)):
        await eventually(local.is_empty)
    assert [each.value for each in await records(kafka, topic)] == [str(each).encode() for each in range(len(sizes))]


async def test_a_nudge_publishes_at_once(outbox: Outbox, kafka: KafkaSettings, topic: str) -> None:
    async with relaying(outbox.relay(kafka, poll_seconds=60)) as relay:
        await eventually(lambda: relay.state == "relaying")
        await outbox.put_numbered(topic, keys=1, each=1)
        relay.nudge()
        await eventually(outbox.is_empty)


async def test_without_a_nudge_a_row_of_another_process_is_found(
    outbox: Outbox, kafka: KafkaSettings, topic: str
) -> None:
    async with relaying(outbox.relay(kafka)) as relay:
        await eventually(lambda: relay.state == "relaying")
        await outbox.put_numbered(topic, keys=1, each=1)
        await eventually(outbox.is_empty)


async def test_what_was_put_before_the_stop_is_published_before_the_end(
    outbox: Outbox, kafka: KafkaSettings, topic: str
) -> None:
    async with relaying(outbox.relay(kafka, poll_seconds=60)) as relay:
        await eventually(lambda: relay.state == "relaying")
        await outbox.put_numbered(topic, keys=3, each=1)
    assert await outbox.is_empty()


async def test_one_of_two_relays_works_and_the_other_takes_over_at_once_when_it_stops(
    outbox: Outbox, kafka: KafkaSettings, topic: str
) -> None:
    first, second = outbox.relay(kafka), outbox.relay(kafka)
    async with relaying(second):
        await eventually(lambda: second.state == "relaying")
        async with relaying(first):
            await eventually(lambda: first.state == "standby")
            await outbox.put_numbered(topic, keys=1, each=3)
            await eventually(outbox.is_empty)
        async with relaying(first):
            await eventually(lambda: first.state == "standby")
    third = outbox.relay(kafka)
    async with relaying(third):
        await eventually(lambda: third.state == "relaying", within=5)


async def killed_at_its_third_run(store: StoreSettings, kafka: KafkaSettings) -> None:
    """A process that relays until it has published a third run and not yet recorded that."""
    settings = (store.model_dump_json(by_alias=True), kafka.model_dump_json())
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.relaying", *settings,
        env=os.environ | {faults.VARIABLE: f"{faults.Step.PUBLISHED}@3"},
    )  # fmt: skip
    try:
        assert await asyncio.wait_for(child.wait(), 30) == -signal.SIGKILL
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def test_a_relay_killed_in_mid_run_loses_nothing_and_the_next_one_keeps_each_keys_order(
    outbox: Outbox, kafka: KafkaSettings, topic: str
) -> None:
    await outbox.put_numbered(topic, keys=50, each=60)
    total = await outbox.unsent()
    await killed_at_its_third_run(outbox.store.settings, kafka)
    assert 0 < await outbox.unsent() < total
    await outbox.put_numbered(topic, keys=50, each=5, start=60)
    async with relaying(outbox.relay(kafka)):
        await eventually(outbox.is_empty, within=30)
    got = await records(kafka, topic)
    assert out_of_order(got) == []
    assert set(distinct(got).values()) == {65}
    assert len(got) > 50 * 65, "the run that wasn't recorded went out twice"


async def test_a_line_that_is_cut_again_and_again_loses_nothing_and_keeps_the_order(
    local: Outbox, kafka: KafkaSettings, topic: str
) -> None:
    async with proxied(kafka.bootstrap, kafka=True) as line:
        through = kafka.model_copy(update={"bootstrap": line.address})
        async with relaying(local.relay(through)) as relay:
            for cut in range(2):
                await line.mend()
                await local.put_numbered(topic, keys=20, each=20, start=cut * 20)
                relay.nudge()
                await line.cut()
                await eventually(lambda: relay.state == "unavailable", within=20)
            await line.mend()
            await eventually(local.is_empty, within=30)
    got = await records(kafka, topic)
    assert out_of_order(got) == []
    assert set(distinct(got).values()) == {40}


async def test_a_silent_line_is_given_up_before_the_lease_ends_and_tried_again(
    local: Outbox, kafka: KafkaSettings, topic: str
) -> None:
    async with proxied(kafka.bootstrap, kafka=True) as line:
        through = kafka.model_copy(update={"bootstrap": line.address})
        async with relaying(local.relay(through)) as relay:
            await local.put_numbered(topic, keys=1, each=1)
            await eventually(local.is_empty)
            line.stall()
            await local.put_numbered(topic, keys=5, each=2, start=1)
            began = time.monotonic()
            await eventually(lambda: relay.state == "unavailable", within=20)
            assert time.monotonic() - began < 15
            await line.mend()
            await eventually(local.is_empty, within=30)
    assert out_of_order([each for each in await records(kafka, topic) if each.key == b"key-0"]) == []


async def test_a_stop_during_an_outage_of_the_broker_takes_seconds(
    local: Outbox, kafka: KafkaSettings, topic: str
) -> None:
    async with proxied(kafka.bootstrap, kafka=True) as line:
        await local.put_numbered(topic, keys=5, each=1)
        relay = local.relay(kafka.model_copy(update={"bootstrap": line.address}))
        line.stall()
        async with relaying(relay):
            await eventually(lambda: relay.state == "relaying")
            began = time.monotonic()
    assert time.monotonic() - began < 10
    assert await local.unsent() == 5


async def test_a_broker_that_is_not_there_yet_is_waited_for(local: Outbox, kafka: KafkaSettings, topic: str) -> None:
    async with proxied(kafka.bootstrap, kafka=True) as line:
        await line.cut()
        async with relaying(local.relay(kafka.model_copy(update={"bootstrap": line.address}))) as relay:
            await local.put_numbered(topic, keys=5, each=1)
            await eventually(lambda: relay.state == "unavailable")
            await line.mend()
            await eventually(local.is_empty, within=30)


async def test_a_topic_that_is_missing_holds_up_only_its_own_rows(
    local: Outbox, kafka: KafkaSettings, topic: str
) -> None:
    missing = new_topic_name("missing")
    await local.put(Message(missing, b"key", (), b"0"))
    await local.put_numbered(topic, keys=3, each=2)

    async def one_is_left() -> bool:
        return await local.unsent() == 1

    async with relaying(local.relay(kafka)) as relay:
        await eventually(one_is_left, within=20)
        await eventually(lambda: relay.state == "unavailable")
        await create_topic(kafka, missing)
        await eventually(local.is_empty, within=30)


async def test_a_message_that_no_topic_would_take_is_refused_before_it_can_hold_up_the_relay(outbox: Outbox) -> None:
    with pytest.raises(Permanent, match="too_large"):
        await outbox.put(Message("t", b"", (("x", b"1" * 10),), b"1" * MAX_MESSAGE_BYTES))
    assert await outbox.is_empty()


async def test_an_id_is_never_given_out_again(outbox: Outbox) -> None:
    seen: list[int] = []
    for number in range(3):
        await outbox.put(*(Message("t", b"key", (), str(each).encode()) for each in range(number + 1)))
        async with outbox.store.write() as connection:
            rows = await oldest(connection, outbox.table, 500)
            await confirm(connection, outbox.table, [row.id for row in rows], keep=False)
        assert [row.message.value for row in rows] == [str(each).encode() for each in range(number + 1)]
        seen += [row.id for row in rows]
    assert sorted(set(seen)) == seen


def a_topic(name: str) -> Topic:
    return Topic(name, "test", ("test",), (), "key", partitions=4, heartbeats=True)


async def beats(kafka: KafkaSettings, topic: str) -> dict[int, list[Heartbeat]]:
    """The heartbeats of each partition, in their order."""
    found: dict[int, list[Heartbeat]] = {}
    for each in await records(kafka, topic):
        if each.key is None:
            envelope, data = read_record(each.headers, each.key, each.value)
            assert envelope.type == "org.upright.heartbeat.v1"
            found.setdefault(each.partition, []).append(Heartbeat.tolerant_json(data))
    return found


async def test_every_partition_gets_a_heartbeat_at_start_and_again_and_again(
    local: Outbox, kafka: KafkaSettings, topic: str
) -> None:
    async def have_two() -> bool:
        found = await beats(kafka, topic)
        return len(found) == 4 and all(len(each) >= 2 for each in found.values())

    began = datetime.now(UTC)
    async with relaying(local.relay(kafka, [a_topic(topic)], heartbeat_seconds=0.2)):
        await eventually(have_two)
    for each in (await beats(kafka, topic)).values():
        moments = [beat.fresh_as_of for beat in each]
        assert moments == sorted(set(moments))
        assert moments[0] > began - timedelta(seconds=1)


async def test_a_heartbeat_claims_no_more_than_the_oldest_unsent_row_allows_and_overtakes_none(
    local: Outbox, kafka: KafkaSettings, topic: str
) -> None:
    began = datetime.now(UTC)
    await local.put_numbered(topic, keys=20, each=40)
    async with local.store.write() as connection:
        await connection.execute(update(local.table).values(created_at=database_now(-3600)))

    async def have_a_fresh_one() -> bool:
        found = await beats(kafka, topic)
        return len(found) == 4 and all(each[-1].fresh_as_of > began for each in found.values())

    async with relaying(local.relay(kafka, [a_topic(topic)], heartbeat_seconds=0.2)):
        await eventually(local.is_empty, within=20)
        await eventually(have_a_fresh_one)
    for first, *_ in (await beats(kafka, topic)).values():
        assert first.fresh_as_of < began - timedelta(seconds=3500)
    last = {each.partition: each.key for each in await records(kafka, topic)}
    assert set(last.values()) == {None}


async def test_a_new_embedded_broker_gets_its_topics_and_every_row_again(local: Outbox, tmp_path: Path) -> None:
    async with EmbeddedBroker(tmp_path / "broker") as broker:
        kafka = KafkaSettings(bootstrap=broker.bootstrap, embedded=True)
        await apply(kafka, ALL_TOPICS.values())
        async with relaying(local.relay(kafka)) as relay:
            await local.put_numbered(INTAKE_EVENTS, keys=10, each=10)
            await eventually(local.is_empty, within=20)
            await broker.restart()
            relay.republish()
            await local.put_numbered(INTAKE_EVENTS, keys=10, each=1, start=10)

            async def all_are_there() -> bool:
                return len(distinct(await records(kafka, INTAKE_EVENTS))) == 10 and await local.is_empty()

            await eventually(all_are_there, within=30)
        got = await records(kafka, INTAKE_EVENTS)
    assert out_of_order(got) == []
    assert set(distinct(got).values()) == {11}


async def test_a_start_on_the_embedded_broker_publishes_every_kept_row_again(local: Outbox, tmp_path: Path) -> None:
    for number in range(2):
        async with EmbeddedBroker(tmp_path / f"broker{number}") as broker:
            kafka = KafkaSettings(bootstrap=broker.bootstrap, embedded=True)
            await local.put_numbered(INTAKE_EVENTS, keys=5, each=1, start=number)
            async with relaying(local.relay(kafka)):

                async def all_are_there(kafka: KafkaSettings = kafka, each: int = number + 1) -> bool:
                    return set(distinct(await records(kafka, INTAKE_EVENTS)).values()) == {each}

                await eventually(all_are_there, within=20)
            got = await records(kafka, INTAKE_EVENTS)
    assert out_of_order(got) == []


async def test_on_kafka_nothing_is_published_again(outbox: Outbox, kafka: KafkaSettings, topic: str) -> None:
    if kafka.embedded:
        pytest.skip("the embedded broker keeps nothing, so there rows are")
    await outbox.put_numbered(topic, keys=5, each=2)
    async with relaying(outbox.relay(kafka)) as relay:
        await eventually(outbox.is_empty)
        relay.republish()
        await outbox.put_numbered(topic, keys=5, each=1, start=2)
        await eventually(outbox.is_empty)
    assert len(await records(kafka, topic)) == 15


async def test_an_outage_of_the_store_stops_nothing_for_good(
    outbox: Outbox, kafka: KafkaSettings, topic: str, tmp_path: Path
) -> None:
    if outbox.store.dialect == "sqlite":
        pytest.skip("a file has no line to cut")
    settings = outbox.store.settings
    address = settings.url.rpartition("@")[2].partition("/")[0]
    async with proxied(address) as line:
        through = Store(settings.model_copy(update={"url": settings.url.replace(address, line.address)}))
        far = Outbox(through)
        async with relaying(far.relay(kafka)) as relay:
            await eventually(lambda: relay.state == "relaying")
            await line.cut()
            await eventually(lambda: relay.state == "unavailable")
            await outbox.put_numbered(topic, keys=5, each=1)
            await line.mend()
            await eventually(outbox.is_empty, within=30)
            await line.cut()
            await eventually(lambda: relay.state == "unavailable")
        await through.close()
    assert set(distinct(await records(kafka, topic)).values()) == {1}
