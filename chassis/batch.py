"""A batch of records becomes one transaction: events applied and positions moved, or nothing.

Its dead letters, if any, are buried in one just before: what is known under their keys is marked as incomplete before
anything acts on what came after them, and a service's locks are had all at once, in order, in either of the two.

If it fails on data it is split in halves down to the record, which becomes a dead letter; so a bad record costs its
neighbours some time and nothing else. If it fails because the store is away, ``Unavailable`` says so, and nothing is
buried. Whatever was stored before an error is stored: handlers are idempotent by version, so a repeat does no harm.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy import MetaData, Table
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.dead_letters import DeadLetter, bury, dead_letters_table, letter_of
from chassis.decoding import Event, Record
from chassis.errors import ChassisError, Transient, Unavailable
from chassis.freshness import Progress, positions_table, record_progress
from chassis.letter_acts import letter_acts_table
from chassis.metrics import Metrics
from chassis.store import Store, is_outage

Apply = Callable[[AsyncConnection, Sequence[Event[Any]]], Awaitable[int]]
"""Applies events in their order, in the batch's transaction; idempotent by version. Never a heartbeat.

Returns how many were stale: of a version already seen, without effect.
"""

Buried = Callable[[AsyncConnection, Sequence[DeadLetter]], Awaitable[None]]
"""The service's own marks for letters, in their transaction: what is known under their keys is incomplete."""

TRANSIENT_SECONDS = 15.0
"""How long one batch may try its ``Transient`` records again, all together: well below the rebalance time-out."""

IN_A_ROW = 20
"""Dead letters of different keys, one after the other on one partition, that stop the consumer."""

log = structlog.get_logger(__name__)


class TooManyDeadLettersError(ChassisError):
    """One more and a bad deploy would pour the topic into the dead letters; the consumer must stop uncommitted."""

    def __init__(self, partition: int) -> None:
        super().__init__("too_many_dead_letters")
        self.partition = partition


@dataclass(frozen=True, slots=True)
class ConsumerTables:
    """The tables a consuming service has for it: one of each, however many groups it has."""

    dead_letters: Table
    letter_acts: Table
    positions: Table


def consumer_tables(metadata: MetaData) -> ConsumerTables:
    """Declare them beside the service's own tables, so that its migrations create them."""
    return ConsumerTables(dead_letters_table(metadata), letter_acts_table(metadata), positions_table(metadata))


@dataclass(frozen=True, slots=True)
class Decoded:
    """A record that has to leave a trace: with its event, or with the letter it became while being decoded."""

    record: Record
    event: Event[Any] | None = None
    letter: DeadLetter | None = None
    failed: bool = False
    """Whether it decoded well, and only its handler could do nothing with it."""


@dataclass(slots=True)
class Batches:
    """Writes the batches of one consumer group; ``labels`` are the metrics' own."""

    store: Store
    tables: ConsumerTables
    outbox: Table
    group: str
    apply: Apply
    buried: Buried
    metrics: Metrics
    labels: Mapping[str, str]
    transient_seconds: float = TRANSIENT_SECONDS
    _rows: Mapping[int, frozenset[object]] = field(default_factory=dict)

    async def write(self, batch: Sequence[Decoded], progress: Sequence[Progress]) -> None:
        """Store all of ``batch`` in order, and with its last part ``progress``.

        Raises ``Unavailable`` and ``TooManyDeadLettersError``; the end of the batch isn't stored then.
        """
        await self._write(batch, progress, time.monotonic() + self.transient_seconds)

    async def _write(self, batch: Sequence[Decoded], progress: Sequence[Progress], until: float) -> None:
        try:
            await self._transaction(batch, progress)
        except (Unavailable, TooManyDeadLettersError):
            raise
        except Exception as error:
            if is_outage(error):
                raise Unavailable("store") from error
            if len(batch) > 1:
                half = len(batch) // 2
                await self._write(batch[:half], (), until)
                await self._write(batch[half:], progress, until)
            else:
                await self._alone(batch, progress, until, error)

    async def _alone(
        self, batch: Sequence[Decoded], progress: Sequence[Progress], until: float, error: Exception
    ) -> None:
        """A single record (or none) that failed: again while that may help, then a dead letter."""
        if not batch or batch[0].letter is not None:
            log.critical("dead letter can't be stored", group=self.group, error=type(error).__name__)
            raise Unavailable("dead_letter") from error
        if isinstance(error, Transient):
            again = await self._again(batch, progress, until, error)
            if again is None:
                return
            error = again
        (bad,) = batch
        await self._write([Decoded(bad.record, letter=letter_of(bad.record, error), failed=True)], progress, until)

    async def _again(
        self, batch: Sequence[Decoded], progress: Sequence[Progress], until: float, error: Exception
    ) -> Exception | None:
        """Try with growing pauses until ``until``; None when it worked, else the last error."""
        pause = 0.05
        while isinstance(error, Transient) and time.monotonic() + pause < until:
            log.warning("trying a record again", group=self.group, reason=error.reason, pause_seconds=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 2.0)
            try:
                await self._transaction(batch, progress)
                return None
            except (Unavailable, TooManyDeadLettersError):
                raise
            except Exception as again:
                if is_outage(again):
                    raise Unavailable("store") from again
                error = again
        return error

    async def _transaction(self, batch: Sequence[Decoded], progress: Sequence[Progress]) -> None:
        rows = self._rows_after(batch)
        events = [each.event for each in batch if each.event is not None]
        letters = [each.letter for each in batch if each.letter is not None]
        if letters:
            await self._bury(letters)
        async with self.store.write() as connection:
            stale = await self.apply(connection, events) if events else 0
            await record_progress(connection, self.tables.positions, self.group, progress)
        self._rows = rows
        self.metrics.count("events_consumed_total", len(events), **self.labels)
        self.metrics.count("events_stale_total", stale, **self.labels)
        for at in progress:
            if at.fresh_as_of:
                labels = {**self.labels, "partition": str(at.partition)}
                self.metrics.gauge("consumer_fresh_timestamp_seconds", at.fresh_as_of.timestamp(), **labels)
        for each in batch:
            self._report(each)

    async def _bury(self, letters: Sequence[DeadLetter]) -> None:
        """A letter that was stored before is neither stored nor marked again, so a batch can be tried again."""
        async with self.store.write() as connection:
            new = await bury(connection, self.tables.dead_letters, self.outbox, self.group, letters)
            await self.buried(connection, new)

    def _rows_after(self, batch: Sequence[Decoded]) -> Mapping[int, frozenset[object]]:
        """Per partition the keys of the dead letters in a row, once ``batch`` is stored. One bad key counts once."""
        rows = dict(self._rows)
        for each in batch:
            partition = each.record.partition
            if each.letter is None:
                rows.pop(partition, None)
                continue
            rows[partition] = rows.get(partition, frozenset()) | {each.letter.key or each.record.offset}
            if len(rows[partition]) >= IN_A_ROW:
                raise TooManyDeadLettersError(partition)
        return rows

    def _report(self, stored: Decoded) -> None:
        if (letter := stored.letter) is None:
            return
        self.metrics.count("dead_letters_total", 1, reason=letter.reason, **self.labels)
        (log.error if stored.failed else log.warning)(
            "dead letter", group=self.group, topic=letter.record.topic, partition=letter.record.partition,
            offset=letter.record.offset, reason=letter.reason, error=letter.error, type=letter.event,
        )  # fmt: skip
