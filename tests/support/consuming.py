"""A small service for tests of the consumer: it keeps the highest version per key, and can be told to fail.

Its events are ``message.withdrawn``; the ``reason`` of one steers it: ``permanent``, ``bug`` and ``busy`` fail.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from sqlalchemy import Column, Integer, MetaData, String, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.batch import Apply, Batches, consumer_tables
from chassis.broker import kafka_broker
from chassis.cloudevents import to_message
from chassis.consumer import Consumer
from chassis.dead_letters import DeadLetter, LetterState, open_letters
from chassis.decoding import Event
from chassis.errors import Permanent, Transient
from chassis.metrics import Metrics, MetricsRegistry
from chassis.outbox import Message, outbox_table
from chassis.redrive import StoredLetter, list_letters
from chassis.settings import KafkaSettings
from chassis.store import Store, insert
from chassis.tracing import tracer_provider
from schemas.envelope import Envelope
from schemas.outcomes import Heartbeat, RequestWithdrawal
from schemas.registry import EVENT_TYPES

WITHDRAWN = "message.withdrawn"
EPOCH = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def a_key() -> str:
    return str(uuid.uuid4())


def withdrawn(topic: str, key: str, version: int = 1, reason: str = "fine", **envelope: Any) -> Message:
    """An event of ``key`` at ``version``."""
    data = RequestWithdrawal(request_id=key, patient_id=key, version=version, reason=reason)
    return to_message(topic, an_envelope(WITHDRAWN, key, sequence=version, **envelope), data)


def heartbeat(topic: str, fresh_as_of: datetime) -> Message:
    return to_message(topic, an_envelope("heartbeat", None), Heartbeat(fresh_as_of=fresh_as_of))


def an_envelope(name: str, key: str | None, **more: Any) -> Envelope:
    known = EVENT_TYPES.get(name)
    default = {"id": str(uuid.uuid4()), "source": "https://upright.example/test", "time": EPOCH}
    default |= {"type": known.wire, "subject": f"{known.subject}/{key}"} if known else {"type": name}
    return Envelope(**{**default, "partitionkey": key, "tenant": "cedars", **more})


@dataclass(repr=False)
class Service:
    """The state of one service and its handlers; ``gate`` closed makes ``apply`` wait in its transaction."""

    store: Store
    metadata: MetaData = field(default_factory=MetaData)
    busy: int = 0
    before_apply: Callable[[], Any] | None = None

    def __post_init__(self) -> None:
        self.outbox = outbox_table(self.metadata)
        self.tables = consumer_tables(self.metadata)
        self.states = Table(
            "states", self.metadata, Column("key", String(100), primary_key=True), Column("version", Integer)
        )
        self.applied = Table(
            "applied",
            self.metadata,
            Column("id", Integer, primary_key=True),
            Column("key", String(100)),
            Column("version", Integer),
        )
        self.held = Table("held", self.metadata, Column("key", String(100), primary_key=True))
        self.metrics = Metrics("test", MetricsRegistry())
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = asyncio.Event()

    async def create(self) -> None:
        async with self.store.write() as connection:
            await connection.run_sync(self.metadata.create_all)

    async def apply(self, connection: AsyncConnection, events: Sequence[Event[Any]]) -> int:
        self.waiting.set()
        if self.before_apply is not None:
            self.before_apply()
        await self.gate.wait()
        return sum([not await self._apply_one(connection, event) for event in events])

    async def _apply_one(self, connection: AsyncConnection, event: Event[Any]) -> bool:
        """Whether it had an effect."""
        if event.data.reason == "busy" and self.busy > 0:
            self.busy -= 1
            raise Transient("busy")
        if event.data.reason == "permanent":
            raise Permanent("refused")
        if event.data.reason == "bug":
            raise KeyError(event.key)
        row = {"key": event.key, "version": event.data.version}
        upsert = insert(connection, self.states).values(row)
        won = await connection.execute(
            upsert.on_conflict_do_update(
                index_elements=[self.states.c.key],
                set_={"version": upsert.excluded.version},
                where=self.states.c.version < upsert.excluded.version,
            ).returning(self.states.c.key)
        )
        if fresh := won.first() is not None:
            await connection.execute(self.applied.insert().values(row))
        return fresh

    async def buried(self, connection: AsyncConnection, letters: Sequence[DeadLetter]) -> None:
        for key in {letter.key for letter in letters if letter.key is not None}:
            await connection.execute(insert(connection, self.held).values(key=key).on_conflict_do_nothing())

    async def released(self, connection: AsyncConnection, letter: DeadLetter, event: Event[Any] | None) -> bool:
        if letter.key is not None and not await open_letters(connection, self.tables.dead_letters, letter.key):
            await connection.execute(self.held.delete().where(self.held.c.key == letter.key))
        if event is None:
            return False
        stored = await connection.execute(select(self.states.c.version).where(self.states.c.key == event.key))
        return int(stored.scalar_one()) > int(event.data.version)

    async def versions(self) -> dict[str, int]:
        async with self.store.read() as connection:
            return {row.key: row.version for row in await connection.execute(select(self.states))}

    async def effects(self, key: str) -> int:
        """How many times something of ``key`` had an effect."""
        async with self.store.read() as connection:
            counted = select(func.count()).where(self.applied.c.key == key)
            return int((await connection.execute(counted)).scalar_one())

    async def held_keys(self) -> set[str]:
        async with self.store.read() as connection:
            return set((await connection.execute(select(self.held.c.key))).scalars())

    async def letters(self, state: LetterState | None = LetterState.OPEN) -> Sequence[StoredLetter]:
        async with self.store.read() as connection:
            return await list_letters(connection, self.tables.dead_letters, None, state=state)

    async def outgoing(self) -> Sequence[Any]:
        async with self.store.read() as connection:
            return (await connection.execute(select(self.outbox).order_by(self.outbox.c.id))).all()

    def batches(self, group: str = "test.group", **more: Any) -> Batches:
        labels = {"topic": "topic", "group": group}
        return Batches(
            self.store, self.tables, self.outbox, group, self.apply, self.buried, self.metrics, labels, **more
        )

    def consumer(
        self, kafka: KafkaSettings, topic: str, group: str, *, tracer: TracerProvider | None = None,
        apply: Apply | None = None, **more: Any,
    ) -> Consumer:  # fmt: skip
        return Consumer(
            broker=kafka_broker(kafka, service="test", registry=MetricsRegistry().prometheus), kafka=kafka, topic=topic,
            group=group, uses={WITHDRAWN}, store=self.store, tables=self.tables, outbox=self.outbox,
            apply=apply or self.apply, buried=self.buried, metrics=self.metrics,
            tracer=tracer or tracer_provider("test"), **more,
        )  # fmt: skip

    def counted(self, name: str, **labels: str) -> float:
        """A counter's value over all topics and groups."""
        value = 0.0
        for family in self.metrics.registry.prometheus.collect():
            for sample in family.samples:
                if sample.name == f"upright_{name}" and labels.items() <= sample.labels.items():
                    value += sample.value
        return value


@asynccontextmanager
async def running(consumer: Consumer) -> AsyncIterator[Consumer]:
    """Run a part and stop it; an error of the part is an error of the test."""
    stopping = asyncio.Event()
    task = asyncio.create_task(consumer.run(stopping))
    try:
        yield consumer
    finally:
        stopping.set()
        await asyncio.wait_for(task, 15)
