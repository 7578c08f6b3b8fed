"""What each service's process uses while nothing happens, on real servers: processor time and memory.

``BENCH_LARGE=1`` adds a notifier with a million patients and five million deliveries that wait: that takes minutes.
"""

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench.figures import Figure
from bench.sink import sink
from bench.site import Site, Watched, site
from bench.waiting import fill
from chassis.store import Store
from tests.support.processes import Service

SECONDS = 20.0
SETTLED_SECONDS = 10.0
PATIENTS, STEP, OF_EACH = 1_000_000, 100_000, 5
SERVICES: tuple[Service, ...] = ("intake", "notifier", "trials")


def figures(seconds: float = SECONDS) -> Iterator[Figure]:
    """About a minute; nothing without the servers that ``TEST_KAFKA`` and ``TEST_POSTGRES`` name."""
    if "TEST_KAFKA" in os.environ and "TEST_POSTGRES" in os.environ:
        yield from asyncio.run(_measured(seconds))
        if "BENCH_LARGE" in os.environ:
            yield from asyncio.run(_large(seconds))


async def _measured(seconds: float) -> list[Figure]:
    async with sink() as there, site(there.port, *SERVICES) as ours:
        spent = await _spent(ours, seconds)
        return [each for name in SERVICES for each in _of(ours, name, f"{name} when idle", spent[name])]


async def _large(seconds: float) -> list[Figure]:
    async with sink() as there, site(there.port, "notifier") as ours:
        store = Store(ours.stores["notifier"])
        for begin in range(0, PATIENTS, STEP):
            await fill(store, begin, begin + STEP, datetime.now(UTC), each=OF_EACH)
        await store.close()
        spent = await _spent(ours, seconds)
        what = f"notifier with {PATIENTS:,} patients and {OF_EACH * PATIENTS:,} deliveries"
        return list(_of(ours, "notifier", what, spent["notifier"]))


async def _spent(ours: Site, seconds: float) -> dict[Service, float]:
    """Each process's part of a core."""
    await asyncio.sleep(SETTLED_SECONDS)  # what a start leaves to be done isn't idleness
    before = {name: each.cpu for name, each in ours.services.items()}
    await asyncio.sleep(seconds)
    return {name: (each.cpu - before[name]) / seconds for name, each in ours.services.items()}


def _of(ours: Site, name: Service, what: str, spent: float) -> Iterator[Figure]:
    yield Figure(f"{what}, of a core", spent * 100, "%", goal="≤ 2")
    yield Figure(f"{what}, memory", _megabytes(ours.services[name]), "MB", goal="≤ 200")


def _megabytes(process: Watched) -> float:
    """Resident memory, as Linux counts it."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    [line] = [each for each in status.splitlines() if each.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024
