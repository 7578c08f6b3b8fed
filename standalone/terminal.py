"""Lines for people: quiet colours where there is a terminal for them, plain text elsewhere."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36"}


def coloured() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


def paint(text: str, *styles: str) -> str:
    """``text`` in bold, dim or a colour; unchanged where nobody sees colours."""
    if not styles or not coloured():
        return text
    return f"\x1b[{';'.join(_CODES[each] for each in styles)}m{text}\x1b[0m"


def say(text: str = "") -> None:
    print(text, flush=True)


@contextmanager
def step(what: str) -> Iterator[list[str]]:
    """One line when the block is done: what it was, what the block appended to the list, and its real seconds."""
    began = time.monotonic()
    told: list[str] = []
    yield told
    details = ", ".join([*told, f"{time.monotonic() - began:.1f} s"])
    say(f"{paint('✓', 'green')} {what:<9} {paint(details, 'dim')}")
