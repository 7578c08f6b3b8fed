"""Stores for tests: every test that takes ``store`` runs on SQLite, and on PostgreSQL where ``TEST_POSTGRES`` is set.

On PostgreSQL each test has a schema of its own, dropped afterwards.
"""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import pytest
from sqlalchemy import MetaData, create_mock_engine, text
from sqlalchemy.dialects import sqlite

from chassis.settings import StoreSettings
from chassis.store import Store

DIALECTS = (
    ["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)] if "TEST_POSTGRES" in os.environ else ["sqlite"]
)


async def create_all(store: Store, metadata: MetaData) -> None:
    """Create the tables in an empty store; what production does by migrations. On SQLite in one go, not one by one."""
    async with store.write() as connection:
        if store.dialect == "sqlite":
            opened = (await connection.get_raw_connection()).driver_connection
            assert opened is not None
            await opened.executescript(_script(metadata))
        else:
            await connection.run_sync(metadata.create_all, checkfirst=False)


@cache
def _script(metadata: MetaData) -> str:
    said: list[str] = []
    dialect = sqlite.dialect()
    engine = create_mock_engine("sqlite://", lambda statement, *_: said.append(str(statement.compile(dialect=dialect))))
    metadata.create_all(engine, checkfirst=False)
    return ";\n".join(said)


@asynccontextmanager
async def postgresql_schema() -> AsyncIterator[StoreSettings]:
    """Settings of a schema of its own, dropped at the end."""
    url = os.environ["TEST_POSTGRES"]
    schema = f"test_{secrets.token_hex(8)}"
    await _execute(url, f"CREATE SCHEMA {schema}")
    try:
        yield StoreSettings(url=url, schema=schema)
    finally:
        await _execute(url, f"DROP SCHEMA {schema} CASCADE")


async def _execute(url: str, statement: str) -> None:
    outside = Store(StoreSettings(url=url, connections=1))
    try:
        async with outside.write() as connection:
            await connection.execute(text(statement))
    finally:
        await outside.close()


@pytest.fixture(params=DIALECTS)
async def store_settings(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StoreSettings]:
    if request.param == "sqlite":
        yield StoreSettings(url=f"sqlite:///{tmp_path / 'store.db'}")
        return
    async with postgresql_schema() as settings:
        yield settings


@pytest.fixture
async def store(store_settings: StoreSettings) -> AsyncIterator[Store]:
    opened = Store(store_settings)
    yield opened
    await opened.close()
