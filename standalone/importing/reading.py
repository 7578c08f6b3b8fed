"""Files, folders and standard input → registry records as they came, and criteria files.

Only the part of a record that trials read is sent on (``protocolSection``): results and documents are most of its size.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from standalone.commands.errors import WRONG, Failure

RECORDS = (".json", ".jsonl", ".ndjson")
CRITERIA = (".yaml", ".yml")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Record:
    """One record to send. ``place`` names it where it has no id."""

    place: str
    content: object


@dataclass(frozen=True, slots=True)
class Broken:
    """What can't even be sent."""

    place: str
    reason: str


def find_files(source: str) -> tuple[list[Path], list[Path]]:
    """Files of records and of criteria: of a folder all those it holds by their ending, in the order of their names."""
    path = Path(source)
    if path.is_dir():
        files = sorted(each for each in path.iterdir() if each.is_file())
        return [each for each in files if each.suffix in RECORDS], [each for each in files if each.suffix in CRITERIA]
    return ([], [path]) if path.suffix in CRITERIA else ([path], [])


def read_file(path: Path) -> Iterator[Record | Broken]:
    """``Failure`` when it can't be read at all."""
    try:
        body = path.read_bytes()
    except OSError as error:
        raise Failure(f"{path} can't be read: {error.strerror}", WRONG) from None
    return read(body, path.name)


def read_stdin() -> Iterator[Record | Broken]:
    return read(sys.stdin.buffer.read(), "standard input")


def read(body: bytes, name: str) -> Iterator[Record | Broken]:
    """A record, a list, a page, or lines that each hold one of these."""
    body = body.removeprefix(_BOM)
    try:
        yield from _records(json.loads(body), name)
        return
    except (ValueError, RecursionError):
        lines = body.splitlines()
    if len([line for line in lines if line.strip()]) < 2 or body.lstrip().startswith(b"["):
        yield Broken(name, "isn't JSON, or is nested too deeply")
        return
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield from _line(line, f"{name}, line {number}")


def _line(line: bytes, place: str) -> Iterator[Record | Broken]:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        yield Broken(place, "isn't JSON, or is nested too deeply")
        return
    yield from _records(document, place)


def _records(document: object, name: str) -> Iterator[Record]:
    if isinstance(document, Mapping) and isinstance(document.get("studies"), list):
        document = document["studies"]
    for number, each in enumerate(document if isinstance(document, list) else [document], 1):
        yield Record(f"{name}, record {number}", needed(each))


def needed(record: object) -> object:
    """What trials read of it."""
    if isinstance(record, Mapping) and "protocolSection" in record:
        return {"protocolSection": record["protocolSection"]}
    return record
