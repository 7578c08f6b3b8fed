"""Both databases do the same for the same code."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, cast, func, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from chassis.settings import StoreSettings
from chassis.store import Store, UtcDateTime, database_now, insert
from tests.support.stores import create_all

metadata = MetaData()
things = Table(
    "things",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(40), nullable=False, server_default="thing"),
    Column("at", UtcDateTime),
)
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
async def tables(store: Store) -> None:
    await create_all(store, metadata)


async def put(store: Store, *rows: dict[str, object]) -> None:
    async with store.write() as connection:
        await connection.execute(things.insert(), list(rows))


async def times(store: Store) -> list[datetime | None]:
    async with store.read() as connection:
        return list((await connection.execute(select(things.c.at).order_by(things.c.at))).scalars())


async def test_a_moment_comes_back_in_utc_cut_to_milliseconds(store: Store) -> None:
    await put(store, {"id": 1, "at": datetime(2026, 5, 4, 14, 0, 0, 123987, timezone(timedelta(hours=2)))})
    assert await times(store) == [NOON.replace(microsecond=123000)]
    assert (await times(store))[0].tzinfo is UTC  # type: ignore[union-attr]  # the line above says it's there


async def test_a_moment_without_a_zone_is_refused(store: Store) -> None:
    with pytest.raises(StatementError, match="time zone"):
        await put(store, {"id": 1, "at": NOON.replace(tzinfo=None)})


async def test_moments_sort_and_compare_as_time(store: Store) -> None:
    moments = [NOON + timedelta(milliseconds=ms) for ms in (-1, 0, 1, 999, 1000)] + [datetime(999, 1, 1, tzinfo=UTC)]
    await put(store, *({"id": n, "at": moment} for n, moment in enumerate(moments)))
    assert await times(store) == sorted(moments)
    async with store.read() as connection:
        later = await connection.scalar(select(func.count()).where(things.c.at > NOON))
    assert later == 3


async def test_a_moment_is_written_as_sqlites_own_clock_writes_it(store: Store) -> None:
    """Otherwise the two wouldn't compare within a millisecond."""
    await put(store, {"id": 1, "at": NOON}, {"id": 2, "at": NOON + timedelta(milliseconds=120)})
    async with store.write() as connection:
        await connection.execute(things.insert().values(id=3, at=database_now()))
        written = list((await connection.execute(select(cast(things.c.at, String)))).scalars())
    assert store.dialect != "sqlite" or {len(moment) for moment in written} == {23}


async def test_no_moment_is_none(store: Store) -> None:
    await put(store, {"id": 1, "at": None})
    assert await times(store) == [None]


async def test_the_databases_clock_moves_in_milliseconds_inside_a_transaction(store: Store) -> None:
    seen = set()
    async with store.write() as connection:
        for _ in range(20):
            now = await connection.scalar(select(database_now()))
            assert now is not None
            seen.add(now)
            await asyncio.sleep(0.002)  # the clock under test is the database's; nothing else can move it
    assert len(seen) > 10
    assert all(moment.microsecond % 1000 == 0 for moment in seen)
    assert all(abs(moment - datetime.now(UTC)) < timedelta(minutes=1) for moment in seen)


@pytest.mark.parametrize("seconds", [-90.0, 0, 0.00001, 30, 1.5])
async def test_the_databases_clock_takes_seconds_on_top(store: Store, seconds: float) -> None:
    async with store.read() as connection:
        now, then = (await connection.execute(select(database_now(), database_now(seconds)))).one()
    assert timedelta(0) <= then - now - timedelta(seconds=int(seconds * 1000) / 1000) < timedelta(milliseconds=50)


async def test_a_lease_is_written_and_compared_by_the_databases_clock(store: Store) -> None:
    async with store.write() as connection:
        await connection.execute(things.insert().values(id=1, at=database_now(60)))
        await connection.execute(things.insert().values(id=2, at=database_now(-60)))
        claimed = await connection.execute(
            update(things).where(things.c.at < database_now()).values(at=database_now(60)).returning(things.c.id)
        )
        assert list(claimed.scalars()) == [2]


async def test_the_seconds_may_come_from_a_column(store: Store) -> None:
    await put(store, {"id": 3600, "at": NOON})
    async with store.write() as connection:
        then, now = (await connection.execute(select(database_now(things.c.id), database_now()))).one()
    assert timedelta(minutes=59) < then - now < timedelta(minutes=61)


async def test_a_conflict_updates_where_the_insert_says_so(store: Store) -> None:
    await put(store, {"id": 1, "name": "old"})
    async with store.write() as connection:
        statement = insert(connection, things)
        statement = statement.on_conflict_do_update(index_elements=["id"], set_={"name": statement.excluded.name})
        await connection.execute(statement, [{"id": 1, "name": "new"}, {"id": 2, "name": "new"}])
        await connection.execute(insert(connection, things).on_conflict_do_nothing(), [{"id": 2, "name": "never"}])
    async with store.read() as connection:
        assert list(await connection.execute(select(things.c.id, things.c.name).order_by(things.c.id))) == [
            (1, "new"),
            (2, "new"),
        ]


async def test_an_error_rolls_the_whole_transaction_back(store: Store) -> None:
    async def twice() -> None:
        async with store.write() as connection:
            await connection.execute(things.insert().values(id=1))
            await connection.execute(things.insert().values(id=1))

    with pytest.raises(IntegrityError):
        await twice()
    assert await times(store) == []


async def test_a_read_is_one_snapshot(store: Store) -> None:
    async with store.read() as connection:
        assert await connection.scalar(select(func.count(things.c.id))) == 0
        await put(store, {"id": 1})
        assert await connection.scalar(select(func.count(things.c.id))) == 0
    assert len(await times(store)) == 1


async def test_a_read_writes_nothing(store: Store) -> None:
    with pytest.raises(DBAPIError, match=r"readonly|read-only"):
        async with store.read() as connection:
            await connection.execute(things.insert().values(id=1))
    await put(store, {"id": 1})  # the next transaction isn't read only


async def test_writers_queue_instead_of_failing(store: Store, store_settings: StoreSettings) -> None:
    """Read, then write: with deferred transactions the second fails at once. Also with a second process's store."""
    other = Store(store_settings)
    await put(store, {"id": 0, "name": "0"})

    async def add_one(opened: Store) -> None:
        async with opened.write() as connection:
            query = select(things.c.name).where(things.c.id == 0).with_for_update()
            count = int(await connection.scalar(query) or 0)
            await asyncio.sleep(0.001)  # let the others in if they can get in
            await connection.execute(update(things).values(name=str(count + 1)))

    await asyncio.gather(*(add_one(opened) for opened in [store, other] * 15))
    await other.close()
    async with store.read() as connection:
        assert await connection.scalar(select(things.c.name)) == "30"


async def test_a_cancelled_write_leaves_nothing_and_gives_its_connection_back(store: Store) -> None:
    inside = asyncio.Event()

    async def hang() -> None:
        async with store.write() as connection:
            await connection.execute(things.insert().values(id=1))
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    await inside.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await put(store, {"id": 1})
    assert len(await times(store)) == 1


async def test_ping_answers(store: Store) -> None:
    await store.ping()
