"""A compacted topic as a table in memory: read whole, without a group or commits, then followed.

After an outage of the broker, or with a new broker, everything is forgotten and read again, so nothing is known that
the topic doesn't hold, and ``ready`` says whether all of it is known as of a moment ago.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import NoReturn

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from chassis.broker import METADATA_SECONDS, METADATA_SECONDS_EMBEDDED
from chassis.errors import Unavailable
from chassis.kafka import admin_client, client_options
from chassis.metrics import Metrics
from chassis.settings import KafkaSettings
from chassis.states import OnState, States

POLL_MS = 1_000
LOOK_EVERY, LOOK_SECONDS = 5.0, 4.0
READY_SECONDS = 60.0
"""For so long a look at the end of all partitions counts: who hasn't stood there since may be acting on yesterday."""
CLOSE_SECONDS, LONGEST_PAUSE = 3.0, 5.0

log = structlog.get_logger(__name__)


def _nothing() -> None:
    pass


class CompactedTopic:
    """One reader of one topic: a ``Part``. ``uses`` are the names of the events that are states of its keys.

    ``on_change`` is called after states have changed, and only while all of them are known.
    """

    def __init__(
        self, kafka: KafkaSettings, topic: str, uses: Collection[str], on_state: OnState, metrics: Metrics,
        *, on_change: Callable[[], None] = _nothing, look_every: float = LOOK_EVERY,
    ) -> None:  # fmt: skip
        self.name = f"reader {topic}"
        self.state = "stopped"
        self._kafka, self._topic, self._on_change, self._look_every = kafka, topic, on_change, look_every
        self._states = States(uses, on_state, metrics, topic)
        self._stood: dict[TopicPartition, int] = {}
        self._at_end: float | None = None
        self._pause = 0.0

    @property
    def ready(self) -> bool:
        """Whether the whole topic is known, as of a moment ago."""
        return self._at_end is not None and time.monotonic() - self._at_end < READY_SECONDS

    def status(self) -> Mapping[str, object]:
        """For ``/status``: how much is known, nothing of any record."""
        return {"state": self.state, "ready": self.ready, "keys": len(self._states)}

    async def run(self, stopping: asyncio.Event) -> None:
        """Read and follow until ``stopping``; an outage is ridden out."""
        following = asyncio.create_task(self._follow_for_ever())
        stop = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait((following, stop), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            following.cancel()
            await asyncio.wait((following, stop))
            self.state = "stopped"
        if not following.cancelled():
            following.result()

    async def _follow_for_ever(self) -> NoReturn:
        while True:
            self.state, self._at_end = "reading", None
            self._stood.clear()
            self._states.forget_all()
            try:
                async with self._client() as client:
                    await self._follow(client)
            except (KafkaError, OSError, TimeoutError, Unavailable) as error:
                log.warning("topic can't be read", topic=self._topic, error=type(error).__name__, reason=str(error))
                await self._back_off()

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[AIOKafkaConsumer]:
        """A client that has all partitions. Some brokers make a topic that is asked for, so it isn't."""
        async with admin_client(self._kafka) as admin:
            if self._topic not in await admin.list_topics():
                raise Unavailable("topic_missing")
        age = METADATA_SECONDS_EMBEDDED if self._kafka.embedded else METADATA_SECONDS
        client = AIOKafkaConsumer(
            self._topic, **client_options(self._kafka), auto_offset_reset="earliest", enable_auto_commit=False,
            metadata_max_age_ms=age * 1000,
        )  # fmt: skip
        try:
            await client.start()
            yield client
        finally:
            closing = asyncio.create_task(client.stop())
            await asyncio.wait({closing}, timeout=CLOSE_SECONDS)
            if not closing.done():
                closing.cancel()
                await asyncio.wait({closing})

    async def _follow(self, client: AIOKafkaConsumer) -> NoReturn:
        due = 0.0
        while True:
            quiet = await self._poll(client)
            if quiet and time.monotonic() >= due:
                due = time.monotonic() + self._look_every
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._look(client)
            if self.ready and self._states.changed:
                self._states.changed = False
                self._on_change()

    async def _poll(self, client: AIOKafkaConsumer) -> bool:
        """Take what there is; whether there was nothing."""
        try:
            polled = await client.getmany(timeout_ms=POLL_MS, max_records=500)
        except UnicodeDecodeError:
            await self._pass_unreadable(client)
            return False
        for at, records in polled.items():
            for each in records:
                self._states.take(each)
            self._stood[at] = max(self._stood.get(at, 0), records[-1].offset + 1)
        return not polled

    async def _look(self, client: AIOKafkaConsumer) -> None:
        """Note that we stand at the end of every partition. ``Unavailable`` when it isn't the topic we have read."""
        ours = sorted(client.assignment())
        if not ours or len(ours) != len(client.partitions_for_topic(self._topic) or ()):
            raise Unavailable("topic_missing")
        ends = await client.end_offsets(ours)
        positions = {each: await client.position(each) for each in ours}
        # The embedded broker says nought for a topic it hasn't got, and less than the end where batches are longer.
        if any(at < self._stood.get(each, 0) or ends[each] == 0 < at for each, at in positions.items()):
            raise Unavailable("new_broker")
        self._stood = positions
        if all(positions[each] >= end for each, end in ends.items()):
            self.state, self._at_end, self._pause = "following", time.monotonic(), 0.0

    async def _pass_unreadable(self, client: AIOKafkaConsumer) -> None:
        """A header's name that isn't UTF-8 makes aiokafka fail on the record for ever (see ``chassis.rounds``)."""
        ours = sorted(client.assignment())
        for each in ours:  # what other partitions had given before it failed is gone with the error
            client.seek(each, self._stood.get(each, 0))
        for each in ours:
            try:
                polled = await client.getmany(each, timeout_ms=POLL_MS, max_records=1)
            except UnicodeDecodeError as error:
                at = await client.position(each)
                self._states.unreadable(each.partition, at, error)
                client.seek(each, at + 1)
                self._stood[each] = at + 1
                return
            for record in polled.get(each, ()):
                self._states.take(record)
                self._stood[each] = record.offset + 1

    async def _back_off(self) -> None:
        self.state = "unavailable"
        self._pause = min(LONGEST_PAUSE, max(0.1, self._pause * 2))
        await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))
