"""Waiting for something that nobody announces: a bounded look, a little pause, another look."""

import asyncio
import time
from collections.abc import Awaitable, Callable

LOOK_SECONDS = 0.05


async def until(predicate: Callable[[], Awaitable[bool]], within: float) -> bool:
    """Whether ``predicate`` came true within so many seconds of real time."""
    end = time.monotonic() + within
    while not await predicate():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(LOOK_SECONDS)
    return True
