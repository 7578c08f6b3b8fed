"""A service's history runs on both databases, once however many start it, and ends in the tables of its code."""

import asyncio
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import inspect, select, text

from chassis.migrations import drift, migrate, pending, revise
from chassis.settings import StoreSettings
from chassis.store import Store
from tests.support.stores import postgresql_schema

TABLES = """
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, String, Table
from chassis.store import UtcDateTime
metadata = MetaData()
things = Table("things", metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("block", LargeBinary),
    {more}
)
"""
SLOW = """
revision = {revision!r}
down_revision = {down!r}
from alembic import op
def upgrade():
    op.execute("CREATE TABLE {table} (id INTEGER)")
    op.execute("INSERT INTO {table} VALUES (1)")
    {also}
"""


class History:
    """A service made up for one test."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self._folder = folder / name
        self.versions = self._folder / "migrations" / "versions"
        self.versions.mkdir(parents=True)
        (self._folder / "__init__.py").touch()
        self.tables()

    def tables(self, more: str = "") -> None:
        (self._folder / "tables.py").write_text(TABLES.format(more=more))
        sys.modules.pop(f"{self.name}.tables", None)
        importlib.invalidate_caches()

    def add(self, revision: str, down: str | None, also: str = "") -> None:
        script = SLOW.format(revision=revision, down=down, table=f"made_by_{revision}", also=also)
        (self.versions / f"{revision}_x.py").write_text(script)


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[History]:
    folder = tmp_path / "a folder: with % and spaces"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # tables.py changes twice within one second
    made = History(folder, f"made_up_{tmp_path.name.replace('-', '_')}")
    yield made
    for module in [module for module in sys.modules if module.startswith(made.name)]:
        del sys.modules[module]


async def tables_of(store: Store) -> set[str]:
    async with store.read() as connection:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


async def test_a_written_revision_makes_the_tables_of_the_code(history: History, store: Store) -> None:
    await revise(history.name, "begin")
    assert await pending(store, history.name) == ["0001"]
    await migrate(store, history.name)
    assert await pending(store, history.name) == []
    assert await tables_of(store) == {"things", "alembic_version"}
    assert await drift(store, history.name) == []


async def test_the_next_revision_has_only_what_is_new(history: History, store: Store) -> None:
    await revise(history.name, "begin")
    await migrate(store, history.name)
    history.tables(more='Column("name", String(20)),')
    assert len(await drift(store, history.name)) == 1
    await revise(history.name, "name things")
    assert "create_table" not in (history.versions / "0002_name_things.py").read_text()
    await migrate(store, history.name)
    assert await drift(store, history.name) == []


async def test_migrating_twice_changes_nothing(history: History, store: Store) -> None:
    history.add("0001", None)
    await migrate(store, history.name)
    await migrate(store, history.name)
    assert await tables_of(store) == {"made_by_0001", "alembic_version"}


async def test_processes_that_start_together_migrate_once(
    history: History, store: Store, store_settings: StoreSettings
) -> None:
    history.add("0001", None)
    history.add("0002", "0001")
    await migrate_apart(history, store_settings)
    async with store.read() as connection:
        assert len(list(await connection.execute(text("SELECT id FROM made_by_0002")))) == 1


async def migrate_apart(history: History, settings: StoreSettings) -> None:
    program = (
        "import asyncio, sys; from chassis.migrations import migrate; from chassis.settings import StoreSettings;"
        "from chassis.store import Store; sys.path.insert(0, sys.argv[1]);"
        "asyncio.run(migrate(Store(StoreSettings(url=sys.argv[2], schema=sys.argv[3] or None)), sys.argv[4]))"
    )
    arguments = [str(history.versions.parents[2]), settings.url, settings.schema_name or "", history.name]
    started = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program, *arguments, stderr=asyncio.subprocess.PIPE)
        for _ in range(3)
    ]
    for process in started:
        _, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()


async def test_two_services_of_one_process_may_migrate_at_once(history: History, store: Store, tmp_path: Path) -> None:
    other_store = Store(StoreSettings(url=f"sqlite:///{tmp_path / 'other.db'}"))
    other = History(history.versions.parents[2], f"{history.name}_other")
    for number in range(1, 6):
        history.add(f"{number:04}", f"{number - 1:04}" if number > 1 else None)
        other.add(f"{number:04}", f"{number - 1:04}" if number > 1 else None)
    await asyncio.gather(migrate(store, history.name), migrate(other_store, other.name))
    assert await tables_of(store) == await tables_of(other_store)
    await other_store.close()


async def test_a_revision_that_fails_leaves_nothing_behind(history: History, store: Store) -> None:
    history.add("0001", None)
    history.add("0002", "0001", also="raise LookupError('a bug')")
    with pytest.raises(LookupError):
        await migrate(store, history.name)
    assert await tables_of(store) == set()
    assert await pending(store, history.name) == ["0001", "0002"]


async def test_a_database_newer_than_the_code_is_left_alone(history: History, store: Store) -> None:
    history.add("0001", None)
    history.add("0002", "0001")
    await migrate(store, history.name)
    (history.versions / "0002_x.py").unlink()
    assert await pending(store, history.name) == []
    await migrate(store, history.name)
    async with store.read() as connection:
        assert await connection.scalar(select(text("version_num FROM alembic_version"))) == "0002"


@pytest.mark.servers
@pytest.mark.skipif("TEST_POSTGRES" not in os.environ, reason="schemas are PostgreSQL's")
async def test_a_missing_schema_is_made(history: History) -> None:
    history.add("0001", None)
    async with postgresql_schema() as settings:
        store = Store(settings)
        async with store.write() as connection:
            await connection.execute(text(f"DROP SCHEMA {settings.schema_name}"))
        await migrate(store, history.name)
        assert await tables_of(store) == {"made_by_0001", "alembic_version"}
        await store.close()
