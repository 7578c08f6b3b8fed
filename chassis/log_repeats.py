"""The same complaint again and again is one line at once, and then at most one in ten seconds that counts the rest.

In an outage a client library writes tens of lines a second, and every loop of ours its own.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

EVERY_SECONDS = 10.0
MOST = 1_000
"""Different complaints to remember. Dead letters differ in their offsets, so there is no end of them."""


@dataclass(slots=True)
class _Heard:
    at: float
    again: int = 0


class Repeats(logging.Filter):
    """For a handler. ``clock`` gives seconds that never run backwards. What is no warning passes unseen."""

    def __init__(self, every: float = EVERY_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._every, self._clock = every, clock
        self._heard: dict[tuple[str, int, str], _Heard] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written; it then says how many like it weren't."""
        if record.levelno < logging.WARNING:
            return True
        now, key = self._clock(), (record.name, record.levelno, _said(record))
        heard = self._heard.get(key)
        if heard and now - heard.at < self._every:
            heard.again += 1
            return False
        if heard is None and len(self._heard) >= MOST:
            self._heard.clear()
        self._heard[key] = _Heard(now)
        if heard and heard.again:
            _count(record, heard.again)
        return True


def _said(record: logging.LogRecord) -> str:
    """A library's text before its values are put in; all that a line of ours says, but for its time."""
    if isinstance(record.msg, dict):
        return repr({key: value for key, value in record.msg.items() if key != "timestamp"})
    return str(record.msg)


def _count(record: logging.LogRecord, again: int) -> None:
    if isinstance(record.msg, dict):
        record.msg["repeated"] = again
    else:
        record.msg = f"{record.msg} (and {again} times before)"
