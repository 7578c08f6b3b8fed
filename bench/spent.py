"""Time that passed and processor time that was used, ours and the store's."""

import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text

from chassis.store import Store

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Spent:
    """Seconds: on the wall, of this process's processor, and of PostgreSQL's where it runs on this machine."""

    wall: float
    cpu: float
    store: float = 0.0


async def spent(work: Callable[[], Awaitable[object]], store: Store | None = None) -> Spent:
    """What ``work`` takes; nothing else should run in this process meanwhile."""
    theirs = await store_cpu(store)
    wall, cpu = time.perf_counter(), time.process_time()
    await work()
    mine = (time.perf_counter() - wall, time.process_time() - cpu)
    return Spent(*mine, await store_cpu(store) - theirs)


async def store_cpu(store: Store | None) -> float:
    """Processor seconds of all PostgreSQL's sessions in this database; 0.0 where these can't be seen."""
    if store is None or store.dialect == "sqlite":
        return 0.0
    async with store.read() as connection:
        pids = await connection.execute(text("SELECT pid FROM pg_stat_activity WHERE datname = current_database()"))
        return sum(cpu_of(pid) for pid in pids.scalars())


def cpu_of(pid: int) -> float:
    """Processor seconds that a process has used; 0.0 when it isn't there."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICK


def best(runs: list[Spent]) -> Spent:
    """The least of each: what a busy neighbour took belongs to nobody."""
    return Spent(min(r.wall for r in runs), min(r.cpu for r in runs), min(r.store for r in runs))
