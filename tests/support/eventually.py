"""Waiting for something to become true, without a fixed sleep."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any


async def eventually(predicate: Callable[[], Any | Awaitable[Any]], within: float = 10.0) -> Any:
    """Return the first truthy value of ``predicate()``; ``AssertionError`` after ``within`` seconds."""
    began = time.monotonic()
    while True:
        asked = time.monotonic()
        value = predicate()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        now = time.monotonic()
        if now - began > within:
            raise AssertionError(f"not true within {within} s: {predicate}")
        await asyncio.sleep(min(0.2, max(0.02, 4 * (now - asked))))  # what is costly to ask is asked less often
