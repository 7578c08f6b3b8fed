"""Publishes runs of outbox rows so that no attempt, wherever it breaks off, can put a key's records out of order.

A run sends at most one record batch to each partition, and a broker appends a batch whole or not at all. The next
rows of a partition go out only after its batch was confirmed. So whoever publishes whatever again, as long as it starts
at the oldest unsent row, the first copies of a key's records stand in the order of their ids.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError
from aiokafka.partitioner import DefaultPartitioner

from chassis.kafka import close_producer, open_producer
from chassis.outbox import Message, OutboxRow
from chassis.settings import KafkaSettings

PUBLISH_SECONDS = 8.0
"""For a run. aiokafka tries an idempotent batch for ever; the lease that we publish under ends."""


@dataclass(frozen=True, slots=True)
class Published:
    """The ids that the broker has confirmed, and what ended the run early, if anything."""

    ids: Sequence[int]
    failure: Exception | None


@dataclass(slots=True)
class _Batch:
    topic: str
    partition: int
    builder: Any
    ids: list[int] = field(default_factory=list)
    result: asyncio.Future[Any] | None = None

    def add(self, message: Message, row_id: int) -> None:
        """The first message that doesn't fit closes the builder, so that none behind it can overtake."""
        headers = list(message.headers)
        if self.builder.append(timestamp=None, key=message.key, value=message.value, headers=headers) is not None:
            self.ids.append(row_id)

    @property
    def confirmed(self) -> bool:
        result = self.result
        return result is not None and result.done() and not result.cancelled() and result.exception() is None


class Publisher:
    """One producer with its life; opened by the first run, closed and forgotten after a failure."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._producer: AIOKafkaProducer | None = None
        self._partitioner = DefaultPartitioner()

    async def publish(self, rows: Sequence[OutboxRow]) -> Published:
        """Send ``rows``, given in the order of their ids. What didn't fit is neither an error nor confirmed."""
        batches: dict[tuple[str, int], _Batch] = {}
        return await self._within(self._send_rows(rows, batches), batches)

    async def publish_to_all(self, message: Message) -> Published:
        """Send ``message`` to every partition of its topic."""
        batches: dict[tuple[str, int], _Batch] = {}
        return await self._within(self._send_to_all(message, batches), batches)

    async def close(self) -> None:
        """Close the producer without waiting for what is in flight."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await close_producer(producer)

    async def _within(self, sending: Any, batches: dict[tuple[str, int], _Batch]) -> Published:
        failure: Exception | None = None
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                await sending
        except (KafkaError, OSError, TimeoutError) as error:
            failure = error
        confirmed = [batch for batch in batches.values() if batch.confirmed]
        if failure is not None:
            await self.close()
        return Published([each for batch in confirmed for each in batch.ids], failure)

    async def _send_rows(self, rows: Sequence[OutboxRow], batches: dict[tuple[str, int], _Batch]) -> None:
        producer = await self._open()
        partitions, missing = await _partitions(producer, {row.message.topic for row in rows})
        for row in rows:
            if row.message.topic in partitions:
                choice = partitions[row.message.topic]
                partition = self._partitioner(row.message.key, choice, choice)
                self._batch(producer, row.message.topic, partition, batches).add(row.message, row.id)
        await _send(producer, batches)
        if missing:
            raise UnknownTopicOrPartitionError(missing)

    async def _send_to_all(self, message: Message, batches: dict[tuple[str, int], _Batch]) -> None:
        producer = await self._open()
        partitions, missing = await _partitions(producer, [message.topic])
        if missing:
            raise UnknownTopicOrPartitionError(missing)
        for partition in partitions[message.topic]:
            self._batch(producer, message.topic, partition, batches).add(message, 0)
        await _send(producer, batches)

    async def _open(self) -> AIOKafkaProducer:
        if self._producer is None:
            self._producer = await open_producer(self._kafka)
        return self._producer

    @staticmethod
    def _batch(
        producer: AIOKafkaProducer, topic: str, partition: int, batches: dict[tuple[str, int], _Batch]
    ) -> _Batch:
        place = (topic, partition)
        if place not in batches:
            batches[place] = _Batch(topic, partition, producer.create_batch())
        return batches[place]


async def _partitions(producer: AIOKafkaProducer, topics: Collection[str]) -> tuple[dict[str, list[int]], list[str]]:
    """The partitions of each topic, and which topics aren't there: those hold up only their own rows.

    ``AIOKafkaProducer.partitions_for`` asks for a topic by its name, and a broker may create what it is asked for,
    with as many partitions as it likes. Asked for no name it tells of all topics and creates none.
    """
    cluster = producer.client.cluster
    if any(cluster.partitions_for_topic(topic) is None for topic in topics):
        await producer.client.force_metadata_update()
    found = {topic: cluster.partitions_for_topic(topic) for topic in topics}
    known = {topic: sorted(partitions) for topic, partitions in found.items() if partitions}
    return known, sorted(set(topics) - known.keys())


async def _send(producer: AIOKafkaProducer, batches: dict[tuple[str, int], _Batch]) -> None:
    """Send all, wait for all, then raise what failed first."""
    for batch in batches.values():
        batch.result = await producer.send_batch(batch.builder, batch.topic, partition=batch.partition)
    results = [batch.result for batch in batches.values() if batch.result is not None]
    for ended in await asyncio.gather(*results, return_exceptions=True):
        if isinstance(ended, BaseException):
            raise ended
