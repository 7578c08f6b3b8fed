"""Files and pages of records → trials, each record by itself: one that can't be taken spoils no other.

Read are a record, a list of them, a page (``studies``, ``nextPageToken``), and lines that each hold one of these.
"""

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from services.trials.registry.fields import FieldError
from services.trials.registry.record import read_record, registry_id
from services.trials.registry.trial import RegistryTrial


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that isn't taken. ``reason`` names it by its registry id, or else by its place, and the field."""

    registry_id: str | None
    reason: str


Read = RegistryTrial | Refused


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of the registry; ``next_token`` is None on the last, ``studies`` are the records as they came."""

    records: tuple[Read, ...]
    next_token: str | None
    studies: tuple[object, ...] = field(default=(), repr=False, compare=False)


def read_records(source: bytes | BinaryIO) -> Iterator[Read]:
    """All records in order. Lines are read one by one, other forms whole; what isn't JSON is refused, not raised."""
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    lines = enumerate(stream, start=1)
    at, first = next(((at, line) for at, line in lines if line.strip()), (1, b"[]"))
    try:
        document = _parse(first)
    except ValueError:
        yield from _whole(first + stream.read(), at)
        return
    yield from _documents(document, "record")
    for number, line in lines:
        yield from _line(line, number)


def read_page(body: bytes) -> Page:
    """One answer of ``GET /studies``. ``ValueError`` if it isn't one."""
    document = _parse(body)
    if not isinstance(document, Mapping) or not isinstance(document.get("studies"), list):
        raise ValueError("isn't a page of studies")
    token = document.get("nextPageToken")
    if token is not None and not isinstance(token, str):
        raise ValueError("has a token that isn't text")
    return Page(tuple(_documents(document, "record")), token or None, tuple(document["studies"]))


def _whole(text: bytes, at: int) -> Iterator[Read]:
    try:
        document = _parse(text)
    except ValueError as error:
        if text.lstrip().startswith(b"[") or b"\n{" not in text:
            yield Refused(None, f"the input {error}")
            return
    else:
        yield from _documents(document, "record")
        return
    for number, line in enumerate(text.splitlines(), start=at):  # lines, the first of which is broken
        yield from _line(line, number)


def _line(line: bytes, number: int) -> Iterator[Read]:
    if not line.strip():
        return
    try:
        document = _parse(line)
    except ValueError as error:
        yield Refused(None, f"line {number} {error}")
        return
    yield from _documents(document, f"line {number}, record")


def _parse(text: bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("isn't JSON, or is nested too deeply") from None


def _documents(document: object, place: str) -> Iterator[Read]:
    if isinstance(document, Mapping) and isinstance(document.get("studies"), list):
        document = document["studies"]
    records = document if isinstance(document, list) else [document]
    for number, record in enumerate(records, start=1):
        yield _read(record, f"{place} {number}")


def _read(record: object, place: str) -> Read:
    if not isinstance(record, Mapping):
        return Refused(None, f"{place}: isn't an object")
    try:
        name = registry_id(record)
    except FieldError as error:
        return Refused(None, f"{place}: {error}")
    try:
        return read_record(record)
    except FieldError as error:
        return Refused(name, f"{name}: {error}")
