"""Looks every few seconds at the ends of our partitions: that we stand there is what makes our picture fresh.

It also notices a new broker, whose topic is missing or ends below what we have read. Then nothing counts as caught up
any more, reading starts at the beginning, and the service is told, so that its relay publishes again what it kept.
"""

import asyncio
import time
from collections.abc import Callable, Mapping

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from sqlalchemy import Table

from chassis.errors import Unavailable
from chassis.freshness import Progress, forget_caught_up, record_progress
from chassis.metrics import Metrics
from chassis.store import Store, is_outage

EVERY_SECONDS = 5.0
LOOK_SECONDS = 4.0

log = structlog.get_logger(__name__)


class Watermarks:
    """For one group; ``lag`` is how many records all our partitions together are behind, as last seen."""

    def __init__(
        self,
        store: Store,
        positions: Table,
        group: str,
        topic: str,
        on_new_broker: Callable[[], None],
        metrics: Metrics,
    ) -> None:
        self.lag = 0
        self._store = store
        self._positions = positions
        self._group = group
        self._topic = topic
        self._on_new_broker = on_new_broker
        self._metrics = metrics
        self._due = 0.0
        self._well = True

    def look_soon(self) -> None:
        """With the next call of ``look``: after joining, nobody should wait for the first word that all is read."""
        self._due = 0.0

    async def look(self, client: AIOKafkaConsumer) -> bool:
        """Look if it is time; whether broker and store answered the last time.

        Raises ``Unavailable`` when the topic is missing: join again, once it is there.
        """
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + EVERY_SECONDS
            self._well = await self._answered(client)
        return self._well

    async def _answered(self, client: AIOKafkaConsumer) -> bool:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._look(client)
        except IllegalStateError:  # revoked meanwhile: the next owner looks
            return True
        except Exception as error:
            if not isinstance(error, KafkaError) and not is_outage(error):
                raise
            log.warning("broker or store is away", group=self._group, error=type(error).__name__)
            if client.partitions_for_topic(self._topic) is None:
                await self._topic_is_missing()
            return False
        return True

    async def _look(self, client: AIOKafkaConsumer) -> None:
        ours = sorted(client.assignment())
        if not ours:
            return
        ends = await client.end_offsets(ours)
        positions = {each: await client.position(each) for each in ours}
        if lost := [each for each in ours if ends[each] < positions[each]]:
            log.warning("new broker: the topic ends before what was read", group=self._group, partitions=len(lost))
            await client.seek_to_beginning(*lost)
            positions |= dict.fromkeys(lost, 0)
            self._on_new_broker()
        await self._record(ends, positions)

    async def _record(self, ends: Mapping[TopicPartition, int], positions: Mapping[TopicPartition, int]) -> None:
        progress = [Progress(each.partition, at, at >= ends[each]) for each, at in positions.items()]
        async with self._store.write() as connection:
            await record_progress(connection, self._positions, self._group, progress)
        self.lag = sum(max(0, ends[each] - at) for each, at in positions.items())
        for each, at in positions.items():
            labels = {"topic": each.topic, "group": self._group, "partition": str(each.partition)}
            self._metrics.gauge("consumer_lag", max(0, ends[each] - at), **labels)

    async def _topic_is_missing(self) -> None:
        log.warning("new broker: the topic is missing", group=self._group)
        try:
            async with self._store.write() as connection:
                await forget_caught_up(connection, self._positions, self._group)
        except Exception as error:
            if not is_outage(error):
                raise
            # then what is stored grows old by itself
        self._on_new_broker()
        raise Unavailable("topic_missing")
