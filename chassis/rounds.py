"""One round of a consumer: poll, store, commit. The only place that polls Kafka and commits.

A batch is one transaction, then one commit of explicit offsets, both under a lock that a revocation waits for. An
offset is committed only after the store has everything below it, as state or as a dead letter. While the store or the
broker is away nothing is committed, nothing is buried, and the same records are tried for ever.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind

from chassis import faults
from chassis.batch import Batches
from chassis.errors import Unavailable
from chassis.metrics import Metrics
from chassis.reading import Reading, unreadable
from chassis.store import is_outage
from chassis.tracing import span
from chassis.watermarks import Watermarks

POLL_MS = 1_000
MAX_RECORDS = 500
BATCH_SECONDS = 25.0
"""For one batch under the lock: with its commit well below the rebalance time-out, or the group goes on without us."""

COMMIT_SECONDS = 5.0

Polled = Mapping[TopicPartition, Sequence[ConsumerRecord[Any, Any]]]

log = structlog.get_logger(__name__)


class Rounds:
    """The rounds of one subscriber. ``lock`` is what a revocation waits for; ``on_applied`` is called after a batch."""

    def __init__(
        self, *, lock: asyncio.Lock, reading: Reading, batches: Batches, watermarks: Watermarks, metrics: Metrics,
        tracer: TracerProvider, labels: Mapping[str, str], on_applied: Callable[[], None], batch_seconds: float,
    ) -> None:  # fmt: skip
        self.assigned: list[int] = []
        self._lock, self._reading, self._batches, self._watermarks = lock, reading, batches, watermarks
        self._metrics, self._tracer, self._labels, self._group = metrics, tracer, labels, labels["group"]
        self._on_applied = on_applied
        self._batch_seconds = batch_seconds
        self._size = MAX_RECORDS
        self._last: dict[str, float] = {}

    def ages(self) -> dict[str, float]:
        """Seconds since the last poll and since the last commit, once there was one."""
        now = time.monotonic()
        return {f"seconds_since_{what}": round(now - at, 1) for what, at in self._last.items()}

    async def one(self, client: AIOKafkaConsumer) -> bool:
        """Poll for a second at most, handle what came; False when the store is away and it was put back."""
        # Nothing may await between the return of getmany and the lock: a revocation would slip in between.
        try:
            polled = await client.getmany(timeout_ms=POLL_MS, max_records=self._size)
        except UnicodeDecodeError:
            polled = None
        self._noticed("poll")
        self.assigned = sorted(each.partition for each in client.assignment())
        async with self._lock:
            well = await (self._pass_unreadable(client) if polled is None else self._handle(client, polled))
            return well and await self._watermarks.look(client)

    async def _pass_unreadable(self, client: AIOKafkaConsumer) -> bool:
        """A header's name that isn't UTF-8 makes aiokafka fail on the record, and on all before it, for ever.

        One by one the records before it can be read; where the client fails at once stands the bad one. It becomes a
        dead letter without bytes, since nobody here can read them.
        """
        for each in sorted(client.assignment()):
            try:
                polled = await client.getmany(each, timeout_ms=POLL_MS, max_records=1)
            except UnicodeDecodeError:
                if each not in client.assignment():  # its next owner meets it
                    return True
                at = await client.position(each)
                log.error("record can't be read at all", group=self._group, partition=each.partition, offset=at)
                well = await self._handle(client, {each: [unreadable(each, at)]})
                if well and each in client.assignment():
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
        faults.reach(faults.Step.BATCH_STORED)
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
