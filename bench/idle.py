"""What each service's process uses while nothing happens, on real servers: processor time and memory."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

from bench.figures import Figure
from bench.sink import sink
from bench.site import Site, Watched, site
from tests.support.processes import Service

SECONDS = 20.0
SETTLED_SECONDS = 10.0
SERVICES: tuple[Service, ...] = ("intake", "notifier", "trials")


def figures(seconds: float = SECONDS) -> Iterator[Figure]:
    """About a minute; nothing without the servers that ``TEST_KAFKA`` and ``TEST_POSTGRES`` name."""
    if "TEST_KAFKA" in os.environ and "TEST_POSTGRES" in os.environ:
        yield from asyncio.run(_measured(seconds))


async def _measured(seconds: float) -> list[Figure]:
    async with sink() as there, site(there.port, *SERVICES) as ours:
        await asyncio.sleep(SETTLED_SECONDS)  # what a start leaves to be done isn't idleness
        before = {name: each.cpu for name, each in ours.services.items()}
        await asyncio.sleep(seconds)
        return [figure for name in before for figure in _of(ours, name, before[name], seconds)]


def _of(ours: Site, name: Service, before: float, seconds: float) -> Iterator[Figure]:
    process = ours.services[name]
    yield Figure(f"{name} when idle, of a core", (process.cpu - before) / seconds * 100, "%", goal="≤ 2")
    yield Figure(f"{name} when idle, memory", _megabytes(process), "MB", goal="≤ 200")


def _megabytes(process: Watched) -> float:
    """Resident memory, as Linux counts it."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    [line] = [each for each in status.splitlines() if each.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024
