"""Alembic, one history per service: ``<package>/migrations/versions``, found in a checkout and in an installed wheel.

A migration runs in one transaction under a lock, so two processes that start together migrate once. Migrations are
additive first, so a database newer than the code (a roll-back) is left alone. There is no way down: a roll-back of
data is a restore.

A new one: ``python -m chassis.migrations services.intake "say why"``, then read what it wrote.
"""

import asyncio
import importlib
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import structlog
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.settings import StoreSettings
from chassis.store import Store, UtcDateTime

log = structlog.get_logger(__name__)

# Alembic's ``op`` and ``context`` are global: two services of one process must not interleave.
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


async def migrate(store: Store, package: str) -> None:
    """Bring the store to the newest revision of ``package`` (``services.intake``); creates PostgreSQL's schema."""
    turn = _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())
    async with turn, store.write() as connection:
        await _lock(connection, store, package)
        missing = await connection.run_sync(_pending, package)
        if missing:
            await connection.run_sync(lambda sync: command.upgrade(_config(package, sync), "heads"))
            log.info("migrated", package=package, revisions=missing)


async def pending(store: Store, package: str) -> list[str]:
    """Revisions which the store doesn't have yet, oldest first: for ``/readyz`` and ``upright doctor``."""
    async with store.read() as connection:
        return await connection.run_sync(_pending, package)


async def drift(store: Store, package: str) -> list[str]:
    """Where the migrated store differs from ``<package>.tables.metadata``; a test asks for none."""
    async with store.read() as connection:
        return await connection.run_sync(lambda sync: [str(found) for found in _compare(sync, _metadata(package))])


async def _lock(connection: AsyncConnection, store: Store, package: str) -> None:
    """On SQLite BEGIN IMMEDIATE is the lock. The schema is looked for first: CREATE needs a right even if it exists."""
    if store.dialect != "postgresql":
        return
    schema = store.settings.schema_name
    await connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"upright:{schema}:{package}"}
    )
    if schema is None:
        return
    found = await connection.scalar(text("SELECT 1 FROM pg_namespace WHERE nspname = :schema"), {"schema": schema})
    if not found:
        await connection.execute(text(f"CREATE SCHEMA {schema}"))  # the settings allow only [a-z0-9_]


def _pending(connection: Connection, package: str) -> list[str]:
    script = ScriptDirectory.from_config(_config(package, connection))
    known = {revision.revision for revision in script.walk_revisions()}
    current = MigrationContext.configure(connection).get_current_heads()
    if not known.issuperset(current):
        log.warning("database_is_newer", package=package, revisions=list(current))
        return []
    steps = script.iterate_revisions("heads", current or "base")
    return [step.revision for step in steps][::-1]


def _compare(connection: Connection, metadata: MetaData) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": False})
    return list(compare_metadata(context, metadata))


def _config(package: str, connection: Connection | None = None) -> Config:
    config = Config()
    for option, path in {
        "script_location": Path(str(files("chassis"))) / "migration_env",
        "version_locations": _versions(package),
    }.items():
        config.set_main_option(option, str(path).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")  # a folder's name may have any other
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes["connection"] = connection
    config.attributes["metadata"] = _metadata(package)
    config.attributes["render_item"] = _render_item
    return config


def _versions(package: str) -> Path:
    return Path(str(files(package))) / "migrations" / "versions"


def _metadata(package: str) -> MetaData:
    metadata = importlib.import_module(f"{package}.tables").metadata
    if not isinstance(metadata, MetaData):
        raise TypeError(f"{package}.tables.metadata is no MetaData")
    return metadata


def _render_item(kind: str, item: object, _context: object) -> str | bool:
    return "UtcDateTime()" if kind == "type" and isinstance(item, UtcDateTime) else False


async def revise(package: str, message: str) -> None:
    """Write the next revision: what leads from the history so far to the tables in the code."""
    _versions(package).mkdir(parents=True, exist_ok=True)
    async with _scratch() as store:
        await migrate(store, package)
        number = len(list(_versions(package).glob("[0-9]*.py"))) + 1
        async with store.write() as connection:
            await connection.run_sync(
                lambda sync: command.revision(_config(package, sync), message, autogenerate=True, rev_id=f"{number:04}")
            )


@asynccontextmanager
async def _scratch() -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(StoreSettings(url=f"sqlite:///{folder}/scratch.db"))
        try:
            yield store
        finally:
            await store.close()


if __name__ == "__main__":
    asyncio.run(revise(sys.argv[1], sys.argv[2]))
