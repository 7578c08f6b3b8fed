"""Stores for tests: every test that takes ``store`` runs on SQLite, and on PostgreSQL where ``TEST_POSTGRES`` is set.

On PostgreSQL each test has a schema of its own, dropped afterwards.
"""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import MetaData, text

from chassis.settings import StoreSettings
from chassis.store import Store

DIALECTS = (
    ["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)] if "TEST_POSTGRES" in os.environ else ["sqlite"]
)


async def create_all(store: Store, metadata: MetaData) -> None:
    """Create the tables; what production does by migrations."""
    async with store.write() as connection:
        await connection.run_sync(metadata.create_all)


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
