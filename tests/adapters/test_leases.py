"""A lease has one holder at a time, and a new one soon after the old one's death."""

import asyncio

import pytest

from chassis.leases import release, take
from chassis.store import Store
from tests.support.eventually import eventually
from tests.support.relaying import Outbox


@pytest.fixture
async def outbox(store: Store) -> Outbox:
    return await Outbox(store).create()


async def taken(outbox: Outbox, token: str, seconds: float = 60, name: str = "relay") -> bool:
    async with outbox.store.write() as connection:
        return await take(connection, outbox.leases, name, token, seconds)


async def released(outbox: Outbox, token: str) -> None:
    async with outbox.store.write() as connection:
        await release(connection, outbox.leases, "relay", token)


async def test_only_its_holder_may_take_it_again(outbox: Outbox) -> None:
    assert await taken(outbox, "a")
    assert not await taken(outbox, "b")
    assert await taken(outbox, "a")
    assert await taken(outbox, "b", name="another")


async def test_of_many_at_once_one_gets_it(outbox: Outbox) -> None:
    answers = await asyncio.gather(*(taken(outbox, str(number)) for number in range(8)))
    assert answers.count(True) == 1


async def test_it_is_free_when_its_time_is_over_and_the_old_holder_has_lost_it(outbox: Outbox) -> None:
    assert await taken(outbox, "a", seconds=0.2)
    await eventually(lambda: taken(outbox, "b"))
    assert not await taken(outbox, "a")


async def test_renewing_prolongs_it(outbox: Outbox) -> None:
    assert await taken(outbox, "a", seconds=0.2)
    assert await taken(outbox, "a", seconds=60)
    with pytest.raises(AssertionError):
        await eventually(lambda: taken(outbox, "b"), within=0.5)


async def test_released_it_is_free_at_once_but_only_its_holder_can_release_it(outbox: Outbox) -> None:
    assert await taken(outbox, "a")
    await released(outbox, "b")
    assert not await taken(outbox, "b")
    await released(outbox, "a")
    assert await taken(outbox, "b")
