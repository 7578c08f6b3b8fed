"""The outbox: what a transaction wants on Kafka, stored in that same transaction. ``chassis.relay`` publishes it.

Ids are the order. The caller holds its aggregate's row lock before ``put``, so that of two rows with one key the lower
id is always committed first; ids of other keys may become visible in any order.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Dialect, Index, Integer, LargeBinary, MetaData, Table, Text, false
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
