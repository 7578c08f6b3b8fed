"""The store: one code path over SQLite (embedded) and PostgreSQL, proven by one adapter suite.

A ``write`` is one transaction, committed when its block ends and rolled back when it raises; only the edge opens one.
On SQLite it begins IMMEDIATE: a deferred transaction that turns into a write fails at once whatever the busy time-out.
"""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal, cast

from sqlalchemy import Connection, Table, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from chassis.settings import StoreSettings
from chassis.store_outage import is_outage
from chassis.store_time import UtcDateTime, database_now

__all__ = ["Store", "UtcDateTime", "database_now", "insert", "is_outage"]

BUSY_SECONDS = 15.0
"""How long a writer waits for another one (SQLite), or for a free connection (both)."""

# FULL: a position committed to Kafka must never be ahead of what survives a power cut.
PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={int(BUSY_SECONDS * 1000)}")


class Store:
    """Opens nothing until it is first used."""

    dialect: Literal["sqlite", "postgresql"]

    def __init__(self, settings: StoreSettings) -> None:
        self.settings = settings
        if settings.url.startswith("sqlite"):
            self.dialect = "sqlite"
            # One writing connection: writers of this process queue in order instead of polling for the file's lock.
            self._writer = _sqlite(settings.url, connections=1, begin="BEGIN IMMEDIATE")
            self._reader = _sqlite(settings.url, connections=settings.connections, begin="BEGIN", query_only=True)
        else:
            self.dialect = "postgresql"
            self._writer = _postgresql(settings)
            self._reader = self._writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One transaction. Don't open a second one inside, nor hold it across the network."""
        async with self._writer.begin() as connection:
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """One snapshot, read only: a write in it is refused."""
        async with self._reader.begin() as connection:
            yield connection

    async def ping(self) -> None:
        """Raise what the database raises when it can't answer."""
        async with self.read() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close all connections; those in use are closed when their block ends."""
        await self._writer.dispose()
        if self.dialect == "sqlite":
            await self._reader.dispose()


def insert(connection: AsyncConnection, table: Table) -> "sqlite.Insert | postgresql.Insert":
    """The dialect's own insert, for its ``on_conflict_do_update``, ``on_conflict_do_nothing`` and ``excluded``."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def _sqlite(url: str, *, connections: int, begin: str, query_only: bool = False) -> AsyncEngine:
    engine = create_async_engine(url, pool_size=connections, max_overflow=0, pool_timeout=BUSY_SECONDS)

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(raw: Any, _record: object) -> None:
        raw.isolation_level = None  # the driver begins nothing by itself
        cursor = raw.cursor()
        for pragma in (*PRAGMAS, f"query_only={'ON' if query_only else 'OFF'}"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _postgresql(settings: StoreSettings) -> AsyncEngine:
    session = {
        "application_name": "upright",
        "timezone": "UTC",
        # A forgotten snapshot makes every claim slow, and a lost client must not hold an aggregate's lock.
        "idle_in_transaction_session_timeout": "60000",
    }
    if settings.schema_name is not None:
        session["search_path"] = settings.schema_name
    secure = {"ssl": ssl.create_default_context(cafile=settings.ca_file)} if settings.ca_file else {}
    engine = create_async_engine(
        settings.url,
        pool_size=settings.connections,
        max_overflow=0,
        pool_timeout=BUSY_SECONDS,
        connect_args=cast("dict[str, Any]", {"server_settings": session, "timeout": 5.0, **secure}),
    )

    @event.listens_for(engine.sync_engine, "checkout")
    def _still_open(raw: Any, _record: object, _proxy: object) -> None:
        """The driver knows when the server has hung up; asking the server costs three round trips a transaction."""
        if raw.driver_connection.is_closed():
            raise InvalidatePoolError

    return engine
