"""Wakes whoever carries reports further: within this process; across processes they look by themselves."""

import asyncio
import contextlib
from collections.abc import Callable

Wake = Callable[[], None]


class Bell:
    """``ring`` when a log may have grown: parts that ``answer`` are woken, and streams that wait."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self._answers: list[Wake] = []

    def answer(self, wake: Wake) -> None:
        """Call this at each ring."""
        self._answers.append(wake)

    def ring(self) -> None:
        rung, self._rung = self._rung, asyncio.Event()
        rung.set()
        for each in self._answers:
            each()

    async def wait(self, seconds: float) -> None:
        """Until the next ring, or so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._rung.wait()
