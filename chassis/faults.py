"""Fault points: named steps at which a process kills itself when its environment asks for it, for ``tests/chaos``.

``UPRIGHT_FAULT_POINT=after-claim`` is a SIGKILL when that step is first reached, ``after-claim@3`` at the third time.
Decided once, at import: where the variable isn't set, ``reach`` is a function that does nothing. A name or a number
that makes no sense ends the process at start, before it has done anything.
"""

import os
import signal
from collections.abc import Callable
from enum import StrEnum
from itertools import count

import structlog

VARIABLE = "UPRIGHT_FAULT_POINT"

log = structlog.get_logger(__name__)


class Step(StrEnum):
    """Where a process may be told to die, in the order of an event's way through a service."""

    BATCH_STORED = "batch-stored"  # after the commit of the store, before that of the offsets
    PUBLISHED = "published"  # confirmed by the broker, not yet deleted from the outbox
    BEFORE_CLAIM = "before-claim"
    AFTER_CLAIM = "after-claim"
    AFTER_SENDING = "after-sending"  # ``sending`` is committed, the line untouched
    INSIDE_DATA = "inside-data"  # after the 354, before the last piece and the dot
    AFTER_DOT = "after-dot"  # the dot is on the line, its answer isn't there yet
    AFTER_ANSWER = "after-answer"  # the answer is there, and recorded nowhere


def _nothing(step: Step) -> None:
    """Where no fault is asked for."""


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fault_at(setting: str, die: Callable[[], None] = _die) -> Callable[[Step], None]:
    """What ``reach`` does under that setting: ``step`` or ``step@hit``; ``ValueError`` where it makes no sense."""
    name, _, number = setting.partition("@")
    at, hit, hits = Step(name), int(number or 1), count(1)
    if hit < 1:
        raise ValueError(f"{VARIABLE}: hits are counted from 1")

    def reach(step: Step) -> None:
        if step is at and next(hits) == hit:
            die()

    log.critical("fault_point_armed", step=at, hit=hit)
    return reach


_setting = os.environ.get(VARIABLE)
reach: Callable[[Step], None] = _nothing if _setting is None else fault_at(_setting)
"""Call it at a step."""
