"""One subscriber of a topic, as a part of the process: joins its group, has its rounds, waits out what is away, leaves.

What a round does, and when an offset is committed, stands in ``chassis.rounds``.
"""

import asyncio
import random
from collections.abc import Callable, Collection, Mapping
from typing import NoReturn

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker
from opentelemetry.sdk.trace import TracerProvider
from sqlalchemy import Table

from chassis.batch import Apply, Batches, Buried, ConsumerTables, TooManyDeadLettersError, consumer_tables
from chassis.dead_letters import DeadLetter
from chassis.decoding import Event
from chassis.errors import Unavailable
from chassis.membership import Membership
from chassis.metrics import Metrics
from chassis.reading import Reading
from chassis.rounds import BATCH_SECONDS, Rounds
from chassis.settings import KafkaSettings
from chassis.store import Store
from chassis.watermarks import Watermarks

__all__ = ["Apply", "Buried", "Consumer", "ConsumerTables", "DeadLetter", "Event", "consumer_tables"]

STOP_SECONDS = 5.0
LONGEST_PAUSE = 5.0

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
        self.group = group
        self._metrics = metrics
        self._labels = {"topic": topic, "group": group}
        self._lock = asyncio.Lock()
        self._membership = Membership(broker, kafka, topic, group, self._lock)
        self._watermarks = Watermarks(
            store, tables.positions, tables.dead_letters, group, topic, on_new_broker, metrics, embedded=kafka.embedded
        )
        self._rounds = Rounds(
            lock=self._lock, reading=Reading(frozenset(uses), metrics, self._labels),
            batches=Batches(store, tables, outbox, group, apply, buried, metrics, self._labels),
            watermarks=self._watermarks, metrics=metrics, tracer=tracer, labels=self._labels, on_applied=on_applied,
            batch_seconds=batch_seconds,
        )  # fmt: skip
        self._pause = 0.0

    @property
    def ready(self) -> bool:
        """Whether records are being handled, or would be if there were any."""
        return self.state == "consuming"

    def status(self) -> Mapping[str, object]:
        """For ``/status``: partitions and seconds, nothing of any record. No partition at all is legal for a spare."""
        return {
            "state": self.state,
            "rebalancing": self._membership.rebalancing,
            "partitions": self._rounds.assigned,
            "lag": self._watermarks.lag,
            **self._rounds.ages(),
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
            log.warning("batch rolled back, it took too long to finish", group=self.group)

    async def _consume_for_ever(self) -> NoReturn:
        while True:
            self.state, self._rounds.assigned = "joining", []
            try:
                async with self._membership.client() as client:
                    self.state = "consuming"
                    await self._watermarks.joined()
                    await self._consume(client)
            except TooManyDeadLettersError as halt:
                await self._halt(halt)
            except (KafkaError, OSError, TimeoutError, Unavailable) as error:
                log.warning("broker is away", group=self.group, error=type(error).__name__)
                await self._back_off()

    async def _consume(self, client: AIOKafkaConsumer) -> NoReturn:
        while True:
            if await self._rounds.one(client):
                self.state, self._pause = "consuming", 0.0
            else:
                await self._back_off()

    async def _back_off(self) -> None:
        self.state = "unavailable"
        self._pause = min(LONGEST_PAUSE, max(0.1, self._pause * 2))
        await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))

    async def _halt(self, halt: TooManyDeadLettersError) -> NoReturn:
        """Out of the group, so that ``/status`` and the metric are what is left of us until somebody looks."""
        self.state = "halted"
        self._metrics.gauge("consumer_stopped", 1, **self._labels)
        log.error("stopped: too many dead letters in a row", group=self.group, partition=halt.partition)
        await asyncio.Event().wait()
        raise halt
