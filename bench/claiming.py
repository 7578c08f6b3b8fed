"""A hundred due deliveries claimed out of a thousand, a hundred thousand and a million that wait, on PostgreSQL.

The limit of each is the claim out of a thousand. ``BENCH_LARGE=1`` adds ten million, which takes some minutes to write.
"""

import asyncio
import contextlib
import os
import statistics
import time
from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import text

from bench.figures import Figure
from bench.waiting import fill
from chassis.store import Store
from services.notifier.store.claims import claim_due
from services.notifier.tables import metadata
from tests.support.clinic import NOON, new_id
from tests.support.stores import create_all, postgresql_schema

SIZES, LARGE, DUE, TIMES = (1_000, 100_000, 1_000_000), 10_000_000, 100, 15


def figures(sizes: tuple[int, ...] = SIZES, times: int = TIMES) -> Iterator[Figure]:
    """About a minute, most of it to write a million rows; nothing without ``TEST_POSTGRES``."""
    if "TEST_POSTGRES" not in os.environ:
        return
    large = (LARGE,) if "BENCH_LARGE" in os.environ else ()
    found = asyncio.run(_measured((*sizes, *large), times))
    for size, milliseconds in found.items():
        goal = "flat within 2 ×" if size != sizes[0] else ""
        yield Figure(f"claim {DUE} due out of {size:,}, p50", milliseconds, "ms", found[sizes[0]], goal)


async def _measured(sizes: tuple[int, ...], times: int) -> dict[int, float]:
    found, there = {}, 0
    async with postgresql_schema() as settings:
        store = Store(settings)
        await create_all(store, metadata)
        async with store.write() as connection:
            await connection.execute(text("INSERT INTO arming (tenant, armed_at) VALUES ('cedars', now())"))
        for size in sizes:
            await fill(store, there, size, NOON, due=DUE)
            there = size
            found[size] = statistics.median([await _claimed(store) for _ in range(times)]) * 1e3
        await store.close()
    return found


class _Undo(Exception):  # noqa: N818  # no error: the next claim is to find the same deliveries due
    pass


async def _claimed(store: Store) -> float:
    """Seconds of a claim that is then undone."""
    took = 0.0
    with contextlib.suppress(_Undo):
        async with store.write() as connection:
            began = time.perf_counter()
            claims = await claim_due(connection, NOON + timedelta(minutes=1), new_id(), DUE)
            took = time.perf_counter() - began
            if len(claims) != DUE:
                raise RuntimeError(f"claimed {len(claims)} patients")
            raise _Undo
    return took
