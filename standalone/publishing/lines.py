"""Lines of newline-delimited JSON, one structured CloudEvent each, checked with the code and the models of intake."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from chassis.cloudevents_http import Refused as NotCloudEvents
from chassis.cloudevents_http import read_http
from services.intake.domain import Refused
from services.intake.posting import read_posted

STRUCTURED = {"content-type": "application/cloudevents+json"}


@dataclass(frozen=True, slots=True)
class Line:
    """An event as it stands in the file; ``number`` counts from 1. ``patient_id`` is None where it can't be read."""

    number: int
    text: bytes
    patient_id: str | None


@dataclass(frozen=True, slots=True)
class Bad:
    """What is wrong with a line: ``where`` is a JSON pointer into the event, empty for all of it."""

    line: Line
    where: str
    why: str


def read_lines(source: Iterable[bytes]) -> Iterator[tuple[Line, list[Bad]]]:
    """Each line that isn't empty, and all that can be seen to be wrong with it without asking intake."""
    for number, text in enumerate(source, 1):
        if text.strip():
            yield _checked(number, text.strip())


def _checked(number: int, text: bytes) -> tuple[Line, list[Bad]]:
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        line = Line(number, text, None)
        return line, [Bad(line, "", "isn't JSON")]
    guess = Line(number, text, _patient_of(found))
    try:
        ((envelope, data),) = read_http(STRUCTURED, text)
        posted = read_posted(envelope, data)
    except NotCloudEvents as refused:
        return guess, [Bad(guess, each.pointer, each.detail) for each in refused.problems]
    except Refused as refused:
        return guess, [Bad(guess, each.pointer, each.detail) for each in refused.problems]
    return Line(number, text, posted.command.patient_id), []


def _patient_of(event: Any) -> str | None:
    """Whose event it seems to be, although it isn't valid; lower case, as ids are in valid ones."""
    if not isinstance(event, dict):
        return None
    family, _, subject_id = str(event.get("subject")).partition("/")
    data = event.get("data")
    found = data.get("patient_id") if isinstance(data, dict) else None
    return str(subject_id if family == "patient" else found or event.get("partitionkey") or "").lower() or None
