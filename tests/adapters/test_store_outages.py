"""Which errors of real databases are outages. Both mistakes are costly: see ``chassis.store_outage``."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, Text, bindparam, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from chassis.settings import StoreSettings
from chassis.store import Store, is_outage
from tests.support.eventually import eventually
from tests.support.stores import create_all, postgresql_schema

metadata = MetaData()
things = Table(
    "things",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(40), nullable=False, server_default="thing"),
)


@pytest.fixture
async def tables(store: Store) -> None:
    await create_all(store, metadata)


async def put(store: Store, *rows: dict[str, object]) -> None:
    async with store.write() as connection:
        await connection.execute(things.insert(), list(rows))


async def failure(store: Store, statement: object, parameters: dict[str, object]) -> BaseException:
    with pytest.raises(Exception) as caught:  # noqa: PT011  # whichever it is, is_outage must know it
        async with store.write() as connection:
            await connection.execute(statement, parameters)  # type: ignore[call-overload]  # wrong on purpose
    return caught.value


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [
        (text("SELECT nothing FROM nowhere"), {}),
        (text("SELEC 1"), {}),
        (things.insert(), {"id": 1, "name": None}),
        (things.insert(), {"id": 2**70}),
        (things.insert(), {"id": "x" * 3, "name": 7}),
        (text("SELECT CAST(:x AS INTEGER) + 1").bindparams(bindparam("x", type_=Text)), {"x": object()}),
    ],
)
@pytest.mark.usefixtures("tables")
async def test_what_is_wrong_with_the_record_or_the_statement_is_no_outage(
    store: Store, statement: object, parameters: dict[str, object]
) -> None:
    assert not is_outage(await failure(store, statement, parameters))


@pytest.mark.usefixtures("tables")
async def test_a_locked_database_is_an_outage(store: Store, store_settings: StoreSettings) -> None:
    other = Store(store_settings)
    await put(store, {"id": 1})
    locked = text("SELECT 1" if store.dialect == "sqlite" else "SELECT * FROM things FOR UPDATE NOWAIT")
    async with store.write() as connection:
        await connection.execute(update(things).values(name="mine"))
        if store.dialect == "sqlite":
            async with other.read() as waiting:
                await waiting.execute(text("PRAGMA busy_timeout=1"))
                await waiting.execute(text("PRAGMA query_only=OFF"))
                with pytest.raises(DBAPIError) as caught:
                    await waiting.execute(things.insert().values(id=2))
        else:
            with pytest.raises(DBAPIError) as caught:
                async with other.write() as second:
                    await second.execute(locked)
    await other.close()
    assert is_outage(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError(),
        ConnectionRefusedError(),
        OSError(28, "no space left"),
        PoolTimeoutError(),
        DBAPIError("SELECT 1", None, Exception("gone"), connection_invalidated=True),
    ],
)
def test_errors_of_the_system_and_of_the_pool_are_outages(error: Exception) -> None:
    assert is_outage(error)


@pytest.mark.parametrize("error", [LookupError(), ValueError(), KeyError("x"), asyncio.CancelledError()])
def test_a_bug_is_no_outage(error: BaseException) -> None:
    assert not is_outage(error)


async def caught(store: Store, *statements: str) -> BaseException:
    """What the last statement raises."""

    async def run() -> None:
        async with store.write() as connection:
            for statement in statements:
                await connection.execute(text(statement))

    with pytest.raises(Exception) as failed:  # noqa: PT011  # whichever it is, is_outage must know it
        await run()
    return failed.value


@pytest.mark.parametrize("url", ["sqlite:////nowhere/x.db", "postgresql://u:p@127.0.0.1:1/x"])
async def test_a_store_that_isnt_there_is_an_outage(url: str) -> None:
    away = Store(StoreSettings(url=url))
    assert is_outage(await caught(away, "SELECT 1"))
    await away.close()
    # aiosqlite doesn't wait for the thread of a connection that failed; its last word mustn't find the loop closed
    await eventually(lambda: not any("connection_worker" in thread.name for thread in threading.enumerate()))


async def test_a_full_disk_is_an_outage(store: Store) -> None:
    if store.dialect == "sqlite":
        error = await caught(store, "PRAGMA max_page_count=1", "CREATE TABLE big AS SELECT randomblob(99999)")
        assert is_outage(error)
        assert "full" in str(error)
        return
    # disk_full raised by hand: nobody fills the disk of a shared server
    assert is_outage(await caught(store, "DO $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$"))


postgresql_only = pytest.mark.skipif("TEST_POSTGRES" not in os.environ, reason="these states are PostgreSQL's")


@pytest.fixture
async def server() -> AsyncIterator[Store]:
    """A store on PostgreSQL, whatever the other tests run on."""
    async with postgresql_schema() as settings:
        opened = Store(settings)
        await create_all(opened, metadata)
        yield opened
        await opened.close()


@pytest.mark.servers
@postgresql_only
class TestPostgresqlsOutages:
    """Real errors of a real server; each went unnoticed by SQLAlchemy's classes alone, or nearly so."""

    async def test_a_killed_connection(self, server: Store) -> None:
        assert is_outage(await caught(server, "SELECT pg_terminate_backend(pg_backend_pid())"))
        await put(server, {"id": 1})  # and the pool has recovered

    async def test_connections_that_the_server_closed_while_nobody_used_them_are_replaced(self, server: Store) -> None:
        async with server.read() as one, server.read() as two:
            mine = [(await each.execute(text("SELECT pg_backend_pid()"))).scalar_one() for each in (one, two)]
        outside = Store(server.settings)
        async with outside.write() as connection:
            for pid in mine:
                await connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        await outside.close()
        await put(server, {"id": 1})
        await put(server, {"id": 2})

    async def test_a_transaction_left_idle_too_long(self, server: Store) -> None:
        idle = "SET LOCAL idle_in_transaction_session_timeout = 1"

        async def leave_idle() -> None:
            async with server.write() as connection:
                await connection.execute(text(idle))
                await asyncio.sleep(0.2)  # being idle is what is tested
                await connection.execute(text("SELECT 1"))

        with pytest.raises(DBAPIError) as failed:
            await leave_idle()
        assert is_outage(failed.value)

    @pytest.mark.parametrize(
        ("part", "other"), [("password", "wrong"), ("username", "nobody_here"), ("database", "nowhere_at_all")]
    )
    async def test_a_refused_login(self, server: Store, part: str, other: str) -> None:
        url = make_url(server.settings.url).set(**{part: other}).render_as_string(hide_password=False)  # type: ignore[arg-type]  # one of three texts
        refused = Store(StoreSettings(url=url))
        with pytest.raises(Exception) as failed:  # noqa: PT011  # asyncpg's own, unwrapped
            await refused.ping()
        assert is_outage(failed.value)
        await refused.close()

    async def test_a_deadlock(self, server: Store) -> None:
        await put(server, {"id": 1}, {"id": 2})
        met = asyncio.Barrier(2)

        async def lock(first: int, second: int) -> None:
            async with server.write() as connection:
                await connection.execute(update(things).where(things.c.id == first).values(name="x"))
                await met.wait()
                await connection.execute(update(things).where(things.c.id == second).values(name="x"))

        results = await asyncio.gather(lock(1, 2), lock(2, 1), return_exceptions=True)
        (failed,) = (result for result in results if result is not None)
        assert is_outage(failed)

    async def test_a_table_migrated_under_a_prepared_statement(self, server: Store) -> None:
        select_all = text("SELECT * FROM things")
        other = Store(server.settings)
        async with other.write() as connection:
            await connection.execute(select_all)
        async with server.write() as connection:
            await connection.execute(text("ALTER TABLE things ADD COLUMN more TEXT"))
        assert is_outage(await caught(other, "SELECT * FROM things"))
        async with other.write() as connection:
            await connection.execute(select_all)  # the next try works
        await other.close()
