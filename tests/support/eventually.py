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
        value = predicate()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        waited = time.monotonic() - began
        if waited > within:
            raise AssertionError(f"not true within {within} s: {predicate}")
        await asyncio.sleep(0.02 if waited < 5 else 0.1)  # a long wait costs little
