"""Looks every few seconds at the ends of our partitions: that we stand there is what makes our picture fresh.

It also notices a new broker: the topic is missing, or is read from before where this group stood. Then nothing counts
as caught up any more, and the service is told, so that its relay publishes again what it kept. Reading starts at the
beginning by itself: the new broker knows no committed offset, and an offset past its end is reset to the earliest.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from sqlalchemy import Table

from chassis.clock import SystemClock
from chassis.dead_letters import count_open
from chassis.errors import Unavailable
from chassis.freshness import Progress, forget_caught_up, record_progress, stored_positions
from chassis.metrics import MetricName, Metrics
from chassis.reading import highwater
from chassis.store import Store, is_outage

EVERY_SECONDS = 5.0
LOOK_SECONDS = 4.0
_OF_PARTITIONS: tuple[MetricName, ...] = (
    "consumer_lag",
    "consumer_caught_up_timestamp_seconds",
    "consumer_fresh_timestamp_seconds",
)

log = structlog.get_logger(__name__)


class Watermarks:
    """For one group; ``lag`` is how many records all our partitions together are behind, as last seen; None before."""

    def __init__(
        self,
        store: Store,
        positions: Table,
        letters: Table,
        group: str,
        topic: str,
        on_new_broker: Callable[[], None],
        metrics: Metrics,
        *,
        embedded: bool = False,
    ) -> None:
        self.lag: int | None = None
        self._embedded = embedded
        self._share = 0
        self._store = store
        self._positions, self._letters = positions, letters
        self._group = group
        self._topic = topic
        self._on_new_broker = on_new_broker
        self._metrics = metrics
        self._due = 0.0
        self._well = True
        self._stood: dict[int, int] = {}
        self._partitions = 0
        self._measured: set[TopicPartition] = set()

    async def joined(self) -> None:
        """Recall where the group stood, and look with the next ``look``. Raises ``Unavailable``."""
        try:
            async with self._store.read() as connection:
                self._stood = await stored_positions(connection, self._positions, self._group)
        except Exception as error:
            raise (Unavailable("store") if is_outage(error) else error) from error
        self._due, self._partitions, self.lag = 0.0, 0, None

    async def reading_from(self, positions: Mapping[TopicPartition, int]) -> bool:
        """Before records are stored: False if they are a new broker's, or read again. Raises what the store does."""
        if all(at >= self._stood.get(each.partition, 0) for each, at in positions.items()):
            return True
        log.warning("read from before where the store stands: nothing counts as caught up", group=self._group)
        async with self._store.write() as connection:
            await forget_caught_up(connection, self._positions, self._group)
        self._stood = {}
        self._on_new_broker()
        return False

    def read_to(self, positions: Mapping[TopicPartition, int]) -> None:
        """Everything below ``positions`` is stored."""
        self._stood |= {each.partition: at for each, at in positions.items()}

    async def look(self, client: AIOKafkaConsumer) -> bool:
        """Look if it is time; whether broker and store answered the last time.

        Raises ``Unavailable`` when the topic is missing, or has another number of partitions: join again.
        """
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + EVERY_SECONDS
            self._well = await self._answered(client)
        return self._well

    async def _answered(self, client: AIOKafkaConsumer) -> bool:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._look(client)
        except Unavailable:
            raise
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
        self._let_go(ours)
        if not ours:
            if client.partitions_for_topic(self._topic) is None:
                await self._topic_is_missing()
            return
        ends = await client.end_offsets(ours)
        # The embedded broker forgets all but the first record of the last produced batch; a fetch knows better.
        ends = {each: max(end, highwater(client, each) or 0) for each, end in ends.items()}
        positions = {each: await client.position(each) for each in ours}
        if await self.reading_from(positions):
            await self._record(ends, positions)
            self.read_to(positions)
        self._count(client, len(ours))

    def _count(self, client: AIOKafkaConsumer, share: int) -> None:
        """A member of a group on the embedded broker keeps its partitions, however many the topic has got since."""
        partitions = len(client.partitions_for_topic(self._topic) or ())
        changed = self._partitions and partitions and partitions != self._partitions
        if changed or self._may_have_grown(share, partitions):
            raise Unavailable("partitions_changed")
        self._partitions = partitions or self._partitions

    def _may_have_grown(self, share: int, partitions: int) -> bool:
        """Whether the topic may have grown while the embedded broker divided it. The same share again is a share."""
        before, self._share = self._share, share if share < partitions else 0
        return self._embedded and self._share not in (0, before)

    async def _record(self, ends: Mapping[TopicPartition, int], positions: Mapping[TopicPartition, int]) -> None:
        progress = [Progress(each.partition, at, at >= ends[each]) for each, at in positions.items()]
        async with self._store.write() as connection:
            await record_progress(connection, self._positions, self._group, progress)
            letters = await count_open(connection, self._letters, self._group)
        self._metrics.gauge("dead_letters_open", letters, topic=self._topic, group=self._group)
        behind = {each: max(0, ends[each] - at) for each, at in positions.items()}
        self.lag = sum(behind.values())
        for each, records in behind.items():
            labels = self._labels(each)
            self._metrics.gauge("consumer_lag", records, **labels)
            if not records:
                self._metrics.gauge("consumer_caught_up_timestamp_seconds", SystemClock().now().timestamp(), **labels)

    def _labels(self, partition: TopicPartition) -> dict[str, str]:
        return {"topic": partition.topic, "group": self._group, "partition": str(partition.partition)}

    def _let_go(self, ours: Sequence[TopicPartition]) -> None:
        """What another member reads now is its own to measure."""
        for each in self._measured - set(ours):
            for name in _OF_PARTITIONS:
                self._metrics.forget(name, **self._labels(each))
        self._measured = set(ours)

    async def _topic_is_missing(self) -> None:
        log.warning("the topic is missing: nothing counts as caught up", group=self._group)
        try:
            async with self._store.write() as connection:
                await forget_caught_up(connection, self._positions, self._group)
        except Exception as error:
            if not is_outage(error):
                raise
            # then what is stored grows old by itself
        self._on_new_broker()
        raise Unavailable("topic_missing")
