"""What a log line may show. Applied to our own lines and to those of every library.

Values of unknown classes become their class name, e-mail addresses and anything under a telling key become
``<protected>``, an exception gives its classes and places but never its text: a driver's text quotes rows, a
validator's quotes input.
"""

import re
import traceback
from collections.abc import Mapping
from datetime import date, timedelta
from enum import Enum
from pathlib import PurePath
from types import TracebackType
from typing import Any
from uuid import UUID

from structlog.typing import EventDict, WrappedLogger

from chassis.errors import ChassisError

PROTECTED = "<protected>"
LONGEST = 500
"""Characters of one string."""

# A key is protected if one of its words is, as in ``last_name`` or ``rcptAddress``.
_TELLING = re.compile(
    "name|e?mail|address|recipient|rcpt|contact|given|family|phone|birth(date)?|dob|ssn|mrn|diagnosis"
    "|password|secret|token|authorization|cookie|subject|body|payload|html|query"
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_ADDRESS = re.compile(r"[^\s@<>\"'(),;:=]+@[^\s@<>\"'(),;:/]+")
# Control characters forge lines, bidirectional ones forge their look.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The structlog processor. ``exc_info`` becomes ``exception``: what was raised where, without words."""
    exception = _exception(event.pop("exc_info", None))
    event.pop("stack_info", None)
    clean: EventDict = {key: _item(key, value) for key, value in event.items()}
    if exception is not None:
        clean["exception"] = exception
    return clean


def _item(key: object, value: object) -> object:
    if str(key).startswith("_"):  # structlog's own, taken out before the line is written
        return value
    return PROTECTED if _is_telling(str(key)) and value is not None else _value(value)


def _is_telling(key: str) -> bool:
    return any(_TELLING.fullmatch(word.lower()) for word in _WORD.findall(key))


def _value(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Enum):
        return _value(value.value)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, date | timedelta | UUID | PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return {_string(str(key)): _item(key, item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_value(item) for item in value]
    return f"<{type(value).__name__}>"


def _string(value: str) -> str:
    shown = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", value[: 4 * LONGEST])
    return _ADDRESS.sub(PROTECTED, shown)[:LONGEST]


def _exception(exc_info: Any) -> list[dict[str, object]] | None:
    """The chain of causes, outermost first."""
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if not isinstance(error, BaseException):
        return None
    chain: list[dict[str, object]] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen and len(chain) < 8:
        seen.add(id(error))
        chain.append(_link(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return chain


def _link(error: BaseException) -> dict[str, object]:
    link: dict[str, object] = {"class": f"{type(error).__module__}.{type(error).__qualname__}"}
    if isinstance(error, ChassisError):
        link["reason"] = _string(error.reason)
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        link["sqlstate"] = state
    link["at"] = _places(error.__traceback__)
    return link


def _places(where: TracebackType | None) -> list[str]:
    """The innermost frames, last called last; never the source line, which may hold a literal."""
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(where)][-6:]
