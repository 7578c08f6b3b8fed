"""Dead letters: records that can't be handled, parked with their original bytes and a reason.

A letter is stored just before the batch it stood in, as a row here and, in the same transaction, as an outbox row for
the topic ``<topic>.<group>.dlq``: so one that can't be stored is an outage of the store like any other, and nothing is
committed past a record that left no trace. The row is what ``chassis.redrive`` works on; the topic is a copy for
others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    select,
)  # fmt: skip
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.decoding import Record, readable
from chassis.errors import ChassisError
from chassis.outbox import MAX_MESSAGE_BYTES, HeaderList, Message, put
from chassis.store import UtcDateTime, database_now, insert
from schemas.registry import family_of
from schemas.topics import dead_letter_topic

PREFIX = "kafka_dlt-"


class LetterState(StrEnum):
    """``superseded``: by the time it was redriven, the store held a newer version of its subject."""

    OPEN = "open"
    REDRIVEN = "redriven"
    SUPERSEDED = "superseded"
    DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that can't be handled. ``error`` is the exception's class, never its text.

    ``key``, ``tenant`` and ``event`` (``order.placed``) are None where they can't be read; ``tenant`` and
    ``event`` are what the record claims, unchecked.
    """

    record: Record
    reason: str
    error: str
    key: str | None
    tenant: str | None
    event: str | None


def letter_of(record: Record, error: BaseException) -> DeadLetter:
    """``record`` as a dead letter because of ``error``; a reason other than our own is ``unexpected``."""
    kind = type(error)
    return DeadLetter(
        record,
        reason=error.reason[:100] if isinstance(error, ChassisError) else "unexpected",
        error=f"{kind.__module__}.{kind.__qualname__}",
        key=readable(record.key),
        tenant=_header(record, "ce_tenant"),
        event=family_of(_header(record, "ce_type") or ""),
    )


def _header(record: Record, name: str) -> str | None:
    values = [value for each, value in record.headers if each.lower() == name]
    return readable(values[0]) if len(values) == 1 else None


def dead_letters_table(metadata: MetaData) -> Table:
    """One row per letter; ``buried_at`` and ``closed_at`` are the database's clock.

    The record's time is part of its identity: a new broker counts its offsets from zero again.
    """
    table = Table(
        "dead_letters",
        metadata,
        Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
        Column("consumer_group", String(100), nullable=False),
        Column("topic", String(249), nullable=False),
        Column("partition", Integer, nullable=False),
        Column("position", BigInteger, nullable=False),
        Column("timestamp_ms", BigInteger, nullable=False),
        Column("record_key", LargeBinary),
        Column("headers", HeaderList, nullable=False),
        Column("value", LargeBinary),
        Column("reason", String(100), nullable=False),
        Column("error", String(255), nullable=False),
        Column("key", String(255)),
        Column("tenant", String(255)),
        Column("event", String(255)),
        Column("state", String(20), nullable=False),
        Column("buried_at", UtcDateTime, nullable=False),
        Column("closed_at", UtcDateTime),
        Column("note", Text),
        UniqueConstraint("consumer_group", "topic", "partition", "position", "timestamp_ms"),
        sqlite_autoincrement=True,
    )
    Index("dead_letters_of_key", table.c.key, table.c.state)
    return table


async def bury(
    connection: AsyncConnection, letters_table: Table, outbox: Table, group: str, letters: Sequence[DeadLetter]
) -> list[DeadLetter]:
    """Store ``letters`` and their copies for the topic; returns those that weren't stored before."""
    return [letter for letter in letters if await _bury_one(connection, letters_table, outbox, group, letter)]


async def _bury_one(
    connection: AsyncConnection, letters_table: Table, outbox: Table, group: str, letter: DeadLetter
) -> bool:
    statement = insert(connection, letters_table).values(**_row(group, letter), buried_at=database_now())
    stored = await connection.execute(statement.on_conflict_do_nothing().returning(letters_table.c.id))
    if stored.first() is None:
        return False
    message = to_message(group, letter)
    if message.size <= MAX_MESSAGE_BYTES:  # or no topic takes it; the row has it
        await put(connection, outbox, [message])
    return True


def _row(group: str, letter: DeadLetter) -> dict[str, object]:
    record = letter.record
    return {
        "consumer_group": group,
        "topic": record.topic,
        "partition": record.partition,
        "position": record.offset,
        "timestamp_ms": record.timestamp_ms,
        "record_key": record.key,
        "headers": record.headers,
        "value": record.value,
        "reason": letter.reason,
        "error": letter.error[:255],
        "key": letter.key,
        "tenant": letter.tenant,
        "event": letter.event,
        "state": LetterState.OPEN,
    }


def to_message(group: str, letter: DeadLetter) -> Message:
    """The copy for the dead-letter topic: the original key, headers and bytes, and where and why as decimal text."""
    record = letter.record
    added = {
        "original-topic": record.topic,
        "original-partition": str(record.partition),
        "original-offset": str(record.offset),
        "original-timestamp": str(record.timestamp_ms),
        "original-consumer-group": group,
        "exception-fqcn": letter.error,
        "reason": letter.reason,
    }
    headers = (*record.headers, *((PREFIX + name, text.encode()) for name, text in added.items()))
    return Message(dead_letter_topic(record.topic, group), record.key, headers, record.value)


async def count_open(connection: AsyncConnection, letters_table: Table, group: str) -> int:
    """How many letters of a consumer group wait for a person."""
    columns = letters_table.c
    waiting = (columns.consumer_group == group) & (columns.state == LetterState.OPEN)
    return int((await connection.execute(select(func.count()).where(waiting))).scalar_one())


async def open_letters(connection: AsyncConnection, letters_table: Table, key: str) -> int:
    """How many letters of ``key`` are still open: as long as there is one, what is known under it is incomplete."""
    columns = letters_table.c
    count = select(func.count()).where(columns.key == key, columns.state == LetterState.OPEN)
    return int((await connection.execute(count)).scalar_one())
