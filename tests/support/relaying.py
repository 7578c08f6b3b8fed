"""Outboxes, relays and readers for tests. As a program it relays until it is killed."""

import asyncio
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer
from sqlalchemy import MetaData, Table, func, select

from chassis.leases import leases_table
from chassis.metrics import Metrics
from chassis.outbox import Message, outbox_table, put
from chassis.relay import Relay
from chassis.settings import KafkaSettings, StoreSettings
from chassis.store import Store
from schemas.topics import Topic
from tests.support.stores import create_all

EPOCH = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SOURCE = "https://upright.example/test"


def tables() -> tuple[MetaData, Table, Table]:
    metadata = MetaData()
    return metadata, outbox_table(metadata), leases_table(metadata)


class Outbox:
    """One store with an outbox and its leases."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.metadata, self.table, self.leases = tables()
        self.metrics = Metrics("test")

    async def create(self) -> "Outbox":
        await create_all(self.store, self.metadata)
        return self

    async def put(self, *messages: Message) -> None:
        async with self.store.write() as connection:
            await put(connection, self.table, messages)

    async def put_numbered(self, topic: str, keys: int, each: int, start: int = 0) -> None:
        """``each`` messages for each key; the value is the key's own count."""
        for number in range(start, start + each):
            await self.put(*(message(topic, f"key-{key}", number) for key in range(keys)))

    async def unsent(self) -> int:
        async with self.store.read() as connection:
            waiting = select(func.count()).where(self.table.c.published.is_(False))
            return int((await connection.execute(waiting)).scalar_one())

    async def is_empty(self) -> bool:
        return await self.unsent() == 0

    def relay(self, kafka: KafkaSettings, heartbeats: Sequence[Topic] = (), **more: Any) -> Relay:
        return Relay(self.store, self.table, self.leases, kafka, heartbeats, SOURCE, self.metrics, **more)


def message(topic: str, key: str, number: int) -> Message:
    return Message(topic, key.encode(), (("ce_id", f"{key}/{number}".encode()),), str(number).encode())


@asynccontextmanager
async def relaying(relay: Relay) -> AsyncIterator[Relay]:
    """Run a relay and stop it; an error of the relay is an error of the test."""
    stopping = asyncio.Event()
    task = asyncio.create_task(relay.run(stopping))
    try:
        yield relay
    finally:
        stopping.set()
        await asyncio.wait_for(task, 15)


async def records(kafka: KafkaSettings, topic: str) -> list[Any]:
    """Everything on the topic now: each partition's records in their order."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        ends = await consumer.end_offsets(sorted(consumer.assignment()))
        got: list[Any] = []
        while any([await consumer.position(each) < end for each, end in ends.items()]):
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                got += batch
        return got
    finally:
        await consumer.stop()


def out_of_order(got: Sequence[Any]) -> list[str]:
    """Keys whose numbers, each at its first appearance, don't count from 0."""
    seen: dict[str, list[int]] = defaultdict(list)
    for record in got:
        number = int(record.value)
        if number not in seen[record.key]:
            seen[record.key].append(number)
    return [key for key, numbers in seen.items() if numbers != list(range(len(numbers)))]


def distinct(got: Sequence[Any]) -> Counter[bytes]:
    """How many different records each key has."""
    return Counter(key for key, _ in {(record.key, record.value) for record in got})


async def _relay_until_killed(store: str, kafka: str) -> None:
    outbox = Outbox(Store(StoreSettings.model_validate_json(store)))
    relay = outbox.relay(KafkaSettings.model_validate_json(kafka), lease_seconds=2)
    await relay.run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(_relay_until_killed(*sys.argv[1:]))
