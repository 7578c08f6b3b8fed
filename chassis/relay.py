"""The relay: outbox rows to Kafka, in the order of their ids for each key, whoever relays and however it dies.

One relay per outbox at a time, by lease; any instance may take it over. Order doesn't hang on the lease, which only
saves double work: it comes from starting at the oldest unsent row, and from ``chassis.publisher``. A row is deleted
once the broker has confirmed it; what was confirmed and not yet deleted goes out twice, and readers know its version.

On the embedded broker, which keeps nothing, rows stay, and are published again at start and for a new broker.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta

import structlog
from sqlalchemy import Table, select

from chassis import faults, outbox, topics
from chassis.errors import Unavailable
from chassis.heartbeats import EVERY_SECONDS, Heartbeats
from chassis.leading import Lead
from chassis.metrics import Metrics
from chassis.outbox import OutboxRow
from chassis.publisher import Published, Publisher
from chassis.settings import KafkaSettings
from chassis.store import Store, database_now, is_outage
from schemas.topics import ALL_TOPICS, Topic

LEASE = "relay"
LEASE_SECONDS = 20.0
"""Renewed before a run when a quarter is over, so a run begins with 15 s: more than it may take, and close in."""

ROWS = 500
POLL_SECONDS = 1.0
"""For rows of other instances, and what nobody announced: those of this one come with a nudge."""
LONGEST_PAUSE = 5.0
DRAIN_SECONDS = 3.0

log = structlog.get_logger(__name__)


class Relay:
    """One outbox's relay: a ``Part``. ``source`` is the CloudEvents source of its heartbeats."""

    def __init__(
        self, store: Store, outbox: Table, leases: Table, kafka: KafkaSettings,
        heartbeats: Sequence[Topic], source: str, metrics: Metrics, *, lease_seconds: float = LEASE_SECONDS,
        poll_seconds: float = POLL_SECONDS, heartbeat_seconds: float = EVERY_SECONDS,
    ) -> None:  # fmt: skip
        self.name = "relay"
        self._store, self._outbox, self._kafka, self._metrics = store, outbox, kafka, metrics
        self._publisher = Publisher(kafka)
        self._heartbeats = Heartbeats(heartbeats, source, heartbeat_seconds)
        self._lead = Lead(store, leases, LEASE, lease_seconds)
        self._poll_seconds = poll_seconds
        self._wake = asyncio.Event()
        self._again = kafka.embedded
        self._oldest = timedelta(0)
        self._pause = 0.0
        self.state = "stopped"

    def nudge(self) -> None:
        """A transaction of this process has put rows: don't wait for the next look."""
        self._wake.set()

    def republish(self) -> None:
        """There is a new embedded broker: create the topics and publish all kept rows again. Elsewhere: nothing."""
        self._again = self._kafka.embedded
        self.nudge()

    def status(self) -> Mapping[str, object]:
        """For ``/status``: what it does, and how long the oldest row had waited when last looked at."""
        return {"state": self.state, "oldest_unsent_seconds": round(self._oldest.total_seconds(), 1)}

    async def run(self, stopping: asyncio.Event) -> None:
        """Relay until ``stopping``, then what is left within a few seconds; rides out outages of broker and store."""
        relaying = asyncio.create_task(self._relay(stopping))
        stop = asyncio.create_task(stopping.wait())
        stop.add_done_callback(lambda _: self._wake.set())
        try:
            await asyncio.wait((relaying, stop), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait((relaying,), timeout=DRAIN_SECONDS)
        finally:
            relaying.cancel()
            stop.cancel()
            await asyncio.wait((relaying, stop))
            await self._leave()
        if not relaying.cancelled():
            relaying.result()

    async def _leave(self) -> None:
        self.state = "stopped"
        self._metrics.gauge("relay_lease_held", 0)
        await self._publisher.close()
        await self._lead.release()

    async def _relay(self, stopping: asyncio.Event) -> None:
        """Turn after turn. After ``stopping`` one that finds the outbox empty, or fails, is the last."""
        while True:
            last = stopping.is_set()
            self._wake.clear()
            more = await self._try_turn()
            if last and not more:
                return
            if self._pause:
                await _wait(stopping, self._pause)  # not for a nudge: every commit would end the back-off
            elif not more:
                await _wait(self._wake, self._poll_seconds)

    async def _try_turn(self) -> bool:
        """Whether there is more to publish at once. Broker or store away: back-off, nothing lost."""
        try:
            more = await self._turn()
        except Exception as error:
            if not isinstance(error, Unavailable) and not is_outage(error):
                raise
            self._failed(error)
            return False
        self._pause = 0.0
        return more

    def _failed(self, error: BaseException) -> None:
        self._pause = min(LONGEST_PAUSE, 2 * self._pause or 0.1)
        self.state = "unavailable"
        self._metrics.count("relay_outages_total")
        log.warning("relay_outage", error=type(error.__cause__ or error).__name__, pause=self._pause)

    async def _turn(self) -> bool:
        leads = await self._lead.take()
        self._metrics.gauge("relay_lease_held", leads)
        self.state = "relaying" if leads else "standby"
        if not leads:
            return False
        await self._publish_kept_again()
        async with self._store.read() as connection:
            rows = await outbox.oldest(connection, self._outbox, ROWS)
        self._look_at(rows)
        if rows:
            await self._publish(rows)
        await self._beat()
        return len(rows) == ROWS

    async def _publish_kept_again(self) -> None:
        if self._again:
            self._again = False  # first: a new broker may turn up while we are at it
            try:
                report = await topics.apply(self._kafka, ALL_TOPICS.values())
                if not report.usable:
                    raise Unavailable("topics")
                async with self._store.write() as connection:
                    await outbox.unpublish(connection, self._outbox)
            except BaseException:
                self._again = True
                raise

    async def _publish(self, rows: Sequence[OutboxRow]) -> None:
        published = await self._publisher.publish(rows)
        if published.ids:
            faults.reach(faults.Step.PUBLISHED)
            async with self._store.write() as connection:
                await outbox.confirm(connection, self._outbox, published.ids, keep=self._kafka.embedded)
            done = set(published.ids)
            for topic, count in Counter(row.message.topic for row in rows if row.id in done).items():
                self._metrics.count("outbox_published_total", count, topic=topic)
        _check(published)

    async def _beat(self) -> None:
        """A heartbeat where one is due, never ahead of a row: what is unsent now bounds what it claims."""
        if not self._heartbeats.due():
            return
        async with self._store.read() as connection:
            now = (await connection.execute(select(database_now()))).scalar_one()
            rows = await outbox.oldest(connection, self._outbox, 1)
            self._metrics.gauge("outbox_rows", await outbox.unsent(connection, self._outbox))
        for message in self._heartbeats.messages(now, waiting=rows[0].age if rows else timedelta(0)):
            _check(await self._publisher.publish_to_all(message))
        self._heartbeats.sent()

    def _look_at(self, rows: Sequence[OutboxRow]) -> None:
        self._oldest = rows[0].age if rows else timedelta(0)
        self._metrics.gauge("outbox_oldest_seconds", self._oldest.total_seconds())


def _check(published: Published) -> None:
    if published.failure is not None:
        raise Unavailable("kafka") from published.failure


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
