"""The outbox: what a transaction wants on Kafka, stored in that same transaction. ``chassis.relay`` publishes it.

Ids are the order. The caller holds its aggregate's row lock before ``put``, so that of two rows with one key the lower
id is always committed first; ids of other keys may become visible in any order.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    delete,
    false,
    func,
    select,
    update,
)  # fmt: skip
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeDecorator

from chassis.errors import Permanent
from chassis.store import UtcDateTime, database_now

MAX_MESSAGE_BYTES = 1_500_000
"""More than any record a broker gives out (1 MiB by default) with a dead letter's headers; see ``chassis.topics``."""

Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class Message:
    """One record to be published, headers with the trace context included."""

    topic: str
    key: bytes | None
    headers: Headers
    value: bytes | None

    @property
    def size(self) -> int:
        """Bytes of key, headers and value."""
        headers = sum(len(name) + len(value or b"") for name, value in self.headers)
        return headers + len(self.key or b"") + len(self.value or b"")


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A stored message; ``age`` is how long it has been waiting, by the database's clock."""

    id: int
    message: Message
    age: timedelta


class HeaderList(TypeDecorator[Headers]):
    """Headers as JSON text. Bytes stand as Latin-1 text, so any byte survives and ordinary headers stay readable."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Headers | None, dialect: Dialect) -> str:
        return json.dumps([(name, None if raw is None else raw.decode("latin-1")) for name, raw in value or ()])

    def process_result_value(self, value: Any, dialect: Dialect) -> Headers:
        return tuple((name, None if text is None else text.encode("latin-1")) for name, text in json.loads(value))


def outbox_table(metadata: MetaData) -> Table:
    """``outbox``: ``created_at`` by the database's clock; ``published`` is true only where rows are kept."""
    table = Table(
        "outbox",
        metadata,
        Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
        Column("topic", Text, nullable=False),
        Column("key", LargeBinary),
        Column("headers", HeaderList, nullable=False),
        Column("value", LargeBinary),
        Column("created_at", UtcDateTime, nullable=False),
        Column("published", Boolean, nullable=False, server_default=false()),
        sqlite_autoincrement=True,  # or ids are given out again after a delete, and the order is lost
    )
    unsent = table.c.published.is_(False)
    Index("outbox_unsent", table.c.id, sqlite_where=unsent, postgresql_where=unsent)
    return table


async def put(connection: AsyncConnection, outbox: Table, messages: Sequence[Message]) -> None:
    """Store ``messages`` in their order; the caller already holds the aggregate's row lock.

    Raises ``Permanent("too_large")`` for a message that no topic would take: it would hold up the relay for ever.
    """
    if any(message.size > MAX_MESSAGE_BYTES for message in messages):
        raise Permanent("too_large")
    if messages:
        rows = [
            {"topic": each.topic, "key": each.key, "headers": each.headers, "value": each.value} for each in messages
        ]
        await connection.execute(outbox.insert().values(created_at=database_now()), rows)


async def oldest(connection: AsyncConnection, outbox: Table, limit: int) -> list[OutboxRow]:
    """The oldest unsent rows, by id."""
    c = outbox.c
    found = await connection.execute(
        select(c.id, c.topic, c.key, c.headers, c.value, c.created_at, database_now().label("now"))
        .where(c.published.is_(False))
        .order_by(c.id)
        .limit(limit)
    )
    return [
        OutboxRow(row.id, Message(row.topic, row.key, row.headers, row.value), row.now - row.created_at)
        for row in found
    ]


async def unsent(connection: AsyncConnection, outbox: Table) -> int:
    """How many rows wait."""
    found = await connection.execute(select(func.count()).select_from(outbox).where(outbox.c.published.is_(False)))
    return found.scalar_one()


async def confirm(connection: AsyncConnection, outbox: Table, ids: Sequence[int], *, keep: bool) -> None:
    """The broker has these rows: delete them, or, where they may be needed again, keep them as published."""
    mine = outbox.c.id.in_(ids)
    await connection.execute(update(outbox).where(mine).values(published=True) if keep else delete(outbox).where(mine))


async def unpublish(connection: AsyncConnection, outbox: Table) -> None:
    """All kept rows are unsent again."""
    await connection.execute(update(outbox).where(outbox.c.published.is_(True)).values(published=False))
