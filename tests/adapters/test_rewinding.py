"""A consumer group set back: its service reads again, and what it knows stays as it is.

On Apache Kafka alone: the embedded broker keeps nothing that could be read again, and knows no times.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chassis.settings import KafkaSettings, StoreSettings
from chassis.store import Store
from schemas.registry import INTAKE_EVENTS
from schemas.topics import TOPICS, Topic
from standalone.commands.errors import Failure
from standalone.rewinding import rewind
from tests.support.consuming import Service, a_key, running, withdrawn
from tests.support.eventually import eventually
from tests.support.kafka import APACHE, PARTITIONS, committed, create_topic, new_topic_name, publish, running_broker


@pytest.fixture(params=APACHE)
async def kafka(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[KafkaSettings]:
    async with running_broker(request.param, tmp_path) as settings:
        yield settings


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    store = Store(StoreSettings(url=f"sqlite:///{tmp_path / 'store.db'}"))
    made = Service(store)
    await made.create()
    yield made
    await store.close()


async def test_a_group_is_set_back_reads_again_and_changes_nothing(kafka: KafkaSettings, service: Service) -> None:
    topic: Topic = replace(TOPICS[INTAKE_EVENTS], name=new_topic_name(), partitions=PARTITIONS)
    group, keys = f"{topic.name}.group", [a_key() for _ in range(6)]
    await create_topic(kafka, topic.name)
    ends = await publish(kafka, [withdrawn(topic.name, key) for key in keys])

    async def all_read() -> bool:
        return ends.items() <= (await committed(kafka, group, topic.name)).items()

    consumer = service.consumer(kafka, topic.name, group)
    async with running(consumer):
        await eventually(all_read, within=30)
        with pytest.raises(Failure, match="stop every instance"):
            await rewind(kafka, topic, group, None)
        assert await all_read()

    later, known = datetime.now(UTC) + timedelta(hours=1), await service.versions()
    assert await rewind(kafka, topic, group, later) == 0, "never forward, nor back to what isn't there yet"
    before = datetime.now(UTC) - timedelta(hours=1)
    back = await eventually(lambda: set_back(kafka, topic, group, before), within=30)
    assert back == 6
    assert set((await committed(kafka, group, topic.name)).values()) == {0}
    assert await rewind(kafka, topic, group, None) == 0

    async with running(service.consumer(kafka, topic.name, group)):
        await eventually(lambda: service.counted("events_stale_total") == 6, within=30)
    assert await service.versions() == known


async def set_back(kafka: KafkaSettings, topic: Topic, group: str, to: datetime) -> int:
    """Nought while the broker hasn't seen yet that the consumer is gone."""
    try:
        return await asyncio.wait_for(rewind(kafka, topic, group, to), 20)
    except Failure:
        return 0
