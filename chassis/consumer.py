"""The only place that polls Kafka and commits.

A batch is one transaction, then one commit of explicit offsets, both under a lock that a revocation waits for. An
offset is committed only after the store has everything below it, as state or as a dead letter. While the store or the
broker is away nothing is committed, nothing is buried, and the same records are tried for ever.
"""

import asyncio
import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NoReturn

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from faststream.kafka import KafkaBroker
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind
from sqlalchemy import Table

from chassis.batch import Apply, Batches, Buried, ConsumerTables, TooManyDeadLettersError, consumer_tables
from chassis.dead_letters import DeadLetter
from chassis.decoding import Event
from chassis.errors import Unavailable
from chassis.membership import Membership
from chassis.metrics import Metrics
from chassis.reading import Reading, unreadable
from chassis.settings import KafkaSettings
from chassis.store import Store, is_outage
from chassis.tracing import span
from chassis.watermarks import Watermarks

__all__ = ["Apply", "Buried", "Consumer", "ConsumerTables", "DeadLetter", "Event", "consumer_tables"]

POLL_MS = 1_000
MAX_RECORDS = 500
BATCH_SECONDS = 25.0
"""For one batch under the lock: with its commit well below the rebalance time-out, or the group goes on without us."""

COMMIT_SECONDS = 5.0
STOP_SECONDS = 5.0
LONGEST_PAUSE = 5.0

Polled = Mapping[TopicPartition, Sequence[ConsumerRecord[Any, Any]]]

log = structlog.get_logger(__name__)


def _nothing() -> None:
    pass


class Consumer:
    """One subscriber of one topic in one group: a ``Part``.

    ``uses`` are the names of the events that ``apply`` gets; others are ignored. ``on_new_broker`` is called when the
    topic has lost what this group had already read, so that the service's relay publishes again what it kept;
    ``on_applied`` after a batch is stored, so that nobody waits for the next poll.
    """

    def __init__(
        self, *, broker: KafkaBroker, kafka: KafkaSettings, topic: str, group: str, uses: Collection[str], store: Store,
        tables: ConsumerTables, outbox: Table, apply: Apply, buried: Buried, metrics: Metrics, tracer: TracerProvider,
        on_new_broker: Callable[[], None] = _nothing, on_applied: Callable[[], None] = _nothing,
        batch_seconds: float = BATCH_SECONDS,
    ) -> None:  # fmt: skip
        self.name = f"consumer {group}"
        self.state = "stopped"
        self._group = group
        self._metrics = metrics
        self._tracer = tracer
        self._labels = {"topic": topic, "group": group}
        self._lock = asyncio.Lock()
        self._membership = Membership(broker, kafka, topic, group, self._lock)
        self._reading = Reading(frozenset(uses), metrics, self._labels)
        self._batches = Batches(store, tables, outbox, group, apply, buried, metrics, self._labels)
        self._watermarks = Watermarks(store, tables.positions, group, topic, on_new_broker, metrics)
        self._pause = 0.0
        self._size = MAX_RECORDS
        self._batch_seconds = batch_seconds
        self._on_applied = on_applied
        self._assigned: list[int] = []
        self._last: dict[str, float] = {}

    @property
    def ready(self) -> bool:
        """Whether records are being handled, or would be if there were any."""
        return self.state == "consuming"

    def status(self) -> Mapping[str, object]:
        """For ``/status``: partitions and seconds, nothing of any record. No partition at all is legal for a spare."""
        now = time.monotonic()
        ages = {f"seconds_since_{what}": round(now - at, 1) for what, at in self._last.items()}
        return {
            "state": self.state,
            "rebalancing": self._membership.rebalancing,
            "partitions": self._assigned,
            "lag": self._watermarks.lag,
            **ages,
        }

    async def run(self, stopping: asyncio.Event) -> None:
        """Consume until ``stopping``; then the batch in flight has some seconds, and is rolled back if it needs more.

        Raises only what is a mistake of ours: nothing of that batch is committed.
        """
        consuming = asyncio.create_task(self._consume_for_ever())
        stop = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait((consuming, stop), return_when=asyncio.FIRST_COMPLETED)
            await self._until_no_batch_is_in_flight()
        finally:
            stop.cancel()
            consuming.cancel()
            await asyncio.wait((consuming, stop))
            self.state = "stopped"
        if not consuming.cancelled():
            consuming.result()

    async def _until_no_batch_is_in_flight(self) -> None:
        """At most ``STOP_SECONDS``. The loop is cancelled right afterwards, before it can take the lock again."""
        try:
            async with asyncio.timeout(STOP_SECONDS), self._lock:
                pass
        except TimeoutError:
            log.warning("batch rolled back, it took too long to finish", group=self._group)

    async def _consume_for_ever(self) -> NoReturn:
        while True:
            self.state = "joining"
            try:
                async with self._membership.client() as client:
                    self.state = "consuming"
                    await self._watermarks.joined()
                    await self._consume(client)
            except TooManyDeadLettersError as halt:
                await self._halt(halt)
            except (KafkaError, OSError, TimeoutError, Unavailable) as error:
                log.warning("broker is away", group=self._group, error=type(error).__name__)
                await self._back_off()

    async def _consume(self, client: AIOKafkaConsumer) -> NoReturn:
        while True:
            # Nothing may await between the return of getmany and the lock: a revocation would slip in between.
            try:
                polled = await client.getmany(timeout_ms=POLL_MS, max_records=self._size)
            except UnicodeDecodeError:
                polled = None
            self._noticed("poll")
            self._assigned = sorted(each.partition for each in client.assignment())
            async with self._lock:
                well = await (self._pass_unreadable(client) if polled is None else self._handle(client, polled))
                well = well and await self._watermarks.look(client)
            if well:
                self.state, self._pause = "consuming", 0.0
            else:
                await self._back_off()

    async def _pass_unreadable(self, client: AIOKafkaConsumer) -> bool:
        """A header's name that isn't UTF-8 makes aiokafka fail on the record, and on all before it, for ever.

        One by one the records before it can be read; where the client fails at once stands the bad one. It becomes a
        dead letter without bytes, since nobody here can read them.
        """
        for each in sorted(client.assignment()):
            try:
                polled = await client.getmany(each, timeout_ms=POLL_MS, max_records=1)
            except UnicodeDecodeError:
                at = await client.position(each)
                log.error("record can't be read at all", group=self._group, partition=each.partition, offset=at)
                if well := await self._handle(client, {each: [unreadable(each, at)]}):
                    client.seek(each, at + 1)
                return well
            if not await self._handle(client, polled):
                return False
        return True

    async def _handle(self, client: AIOKafkaConsumer, polled: Polled) -> bool:
        """Store, then commit; False when the store is away and the records were put back."""
        if not polled:
            return True
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._batch_seconds):
                await self._store(client, polled)
        except Exception as error:
            if not isinstance(error, Unavailable) and not is_outage(error):
                raise
            self._put_back(client, polled, error)
            return False
        self._size = min(MAX_RECORDS, self._size * 2)
        positions = {each: records[-1].offset + 1 for each, records in polled.items()}
        self._watermarks.read_to(positions)
        await self._commit(client, positions)
        self._metrics.observe("consumer_batch_seconds", time.monotonic() - started, **self._labels)
        return True

    async def _store(self, client: AIOKafkaConsumer, polled: Polled) -> None:
        await self._watermarks.reading_from({each: records[0].offset for each, records in polled.items()})
        read = self._reading.read(client, polled)
        attributes = {"messaging.system": "kafka", "messaging.consumer.group.name": self._group}
        with span(
            self._tracer, f"consume {self._labels['topic']}", kind=SpanKind.CONSUMER, links=read.traces,
            attributes={**attributes, "messaging.batch.message_count": read.count},
        ):  # fmt: skip
            if read.batch or read.progress:
                await self._batches.write(read.batch, read.progress)
        if read.batch:
            self._on_applied()

    def _put_back(self, client: AIOKafkaConsumer, polled: Polled, error: Exception) -> None:
        """Read the same records again, fewer at a time where they took too long."""
        if isinstance(error, TimeoutError):
            self._size = max(1, self._size // 2)
        for partition in client.assignment() & polled.keys():
            client.seek(partition, polled[partition][0].offset)
        self._metrics.count("consumer_outages_total", 1, **self._labels)
        log.warning("batch put back", group=self._group, error=str(error), cause=type(error.__cause__).__name__)

    async def _commit(self, client: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit what is still ours. A commit that fails costs a repeat, which versions absorb."""
        ours = client.assignment()
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                await client.commit({each: offset for each, offset in offsets.items() if each in ours})
        except (CommitFailedError, IllegalStateError):
            log.info("not committed, the group has moved on", group=self._group)
        except (KafkaError, TimeoutError) as error:
            log.warning("not committed", group=self._group, error=type(error).__name__)
        else:
            self._noticed("commit")

    def _noticed(self, what: str) -> None:
        self._last[what] = time.monotonic()

    async def _back_off(self) -> None:
        self.state = "unavailable"
        self._pause = min(LONGEST_PAUSE, max(0.1, self._pause * 2))
        await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))

    async def _halt(self, halt: TooManyDeadLettersError) -> NoReturn:
        """Out of the group, so that ``/status`` and the metric are what is left of us until somebody looks."""
        self.state = "halted"
        self._metrics.gauge("consumer_stopped", 1, **self._labels)
        log.error("stopped: too many dead letters in a row", group=self._group, partition=halt.partition)
        await asyncio.Event().wait()
        raise halt
