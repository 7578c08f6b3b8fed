"""Starts the parts of a process in order, watches them, and stops them in reverse inside one deadline.

A part that dies, or that returns without being asked to, fails the process: ``wait_failed`` returns and the process is
expected to stop. Parts ride out outages themselves, so a death is a bug and not the weather.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)


class Part(Protocol):
    """One long-lived activity, such as a consumer or a relay."""

    name: str

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until ``stopping`` is set, then finish or release what is in flight, and return."""
        ...

    def status(self) -> Mapping[str, object]:
        """For ``/status``: JSON values, nothing protected."""
        ...


@dataclass(frozen=True, slots=True)
class _Running:
    part: Part
    stopping: asyncio.Event
    task: asyncio.Task[None]

    @property
    def state(self) -> str:
        if not self.task.done():
            return "stopping" if self.stopping.is_set() else "running"
        if self.task.cancelled():
            return "cancelled"
        return "failed" if self.task.exception() or not self.stopping.is_set() else "stopped"


class Supervisor:
    """``deadline`` is the seconds that ``stop`` may take in all; what still runs then is cancelled."""

    def __init__(self, parts: Sequence[Part], deadline: float = 20.0) -> None:
        self.deadline = deadline
        self.failed = asyncio.Event()
        self._parts = parts
        self._running: list[_Running] = []

    async def start(self) -> None:
        """Start all parts; each gets the loop once before the next."""
        for part in self._parts:
            stopping = asyncio.Event()
            running = _Running(part, stopping, asyncio.create_task(part.run(stopping), name=part.name))
            running.task.add_done_callback(lambda _, ended=running: self._ended(ended))  # type: ignore[misc]  # bound now
            self._running.append(running)
            await asyncio.sleep(0)

    async def wait_failed(self) -> None:
        """Return once a part has died."""
        await self.failed.wait()

    async def stop(self) -> None:
        """Stop all parts, last started first. One that is slow delays the next by its share only, not by all."""
        end = time.monotonic() + self.deadline
        for left, running in zip(range(len(self._running), 0, -1), reversed(self._running), strict=True):
            running.stopping.set()
            await asyncio.wait([running.task], timeout=max(0.0, end - time.monotonic()) / left)
        await self._cancel([running.task for running in self._running if not running.task.done()], end)

    async def _cancel(self, tasks: list[asyncio.Task[None]], end: float) -> None:
        """A part that was passed over may use what is left of the deadline."""
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=max(0.0, end - time.monotonic()))
        for task in late:
            log.error("part_cancelled_at_deadline", part=task.get_name())
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=1.0)  # a task that refuses even this must not hold the process

    def _ended(self, running: _Running) -> None:
        state = running.state
        if state in ("stopped", "cancelled") and running.stopping.is_set():
            return
        error = None if running.task.cancelled() else running.task.exception()
        log.critical("part_failed", part=running.part.name, exc_info=error)
        self.failed.set()

    def status(self) -> dict[str, dict[str, object]]:
        """Each part's own status and its state: running (or as it says), stopping, stopped, cancelled or failed."""
        return {running.part.name: _shown(running) for running in self._running}


def _shown(running: _Running) -> dict[str, object]:
    """A part that runs knows better what it does, such as that its broker is away."""
    own = running.part.status()
    return {"state": running.state, **own} if running.state == "running" else {**own, "state": running.state}


async def pause(stopping: asyncio.Event, seconds: float, *others: asyncio.Event) -> None:
    """Wait, but no longer than until ``stopping`` or one of the ``others`` is set."""
    waits = [asyncio.create_task(each.wait()) for each in (stopping, *others)]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()
        await asyncio.wait(waits)
