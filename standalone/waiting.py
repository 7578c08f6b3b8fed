"""Waiting for something that nobody announces: a bounded look, a little pause, another look."""

import asyncio
import time
from collections.abc import Awaitable, Callable

SHORTEST, LONGEST = 0.05, 1.0
"""Seconds between two looks: a tenth of what was waited already, so that a long wait costs little."""


async def until(predicate: Callable[[], Awaitable[bool]], within: float) -> bool:
    """Whether ``predicate`` came true within so many seconds of real time."""
    began = time.monotonic()
    while not await predicate():
        waited = time.monotonic() - began
        if waited > within:
            return False
        await asyncio.sleep(min(LONGEST, max(SHORTEST, waited / 10)))
    return True
