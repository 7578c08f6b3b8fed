"""CloudEvents over HTTP: one event in binary or structured mode, or a batch. All or nothing, with every error named.

Errors say which event (``index``) and which field (a JSON pointer into the envelope), never what stood there.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.http import HTTPMessage, from_binary
from cloudevents.core.exceptions import CloudEventValidationError, MissingRequiredAttributeError
from pydantic import ValidationError

from chassis.cloudevents import RAW_JSON, TRACE, TRACEPARENT, checked_event, is_structured, json_data
from chassis.errors import Permanent
from schemas.envelope import Envelope

BATCH = "application/cloudevents-batch+json"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong: ``index`` of the event in the request (0 for a single one), ``pointer`` such as ``/time``."""

    index: int
    pointer: str
    detail: str


class Refused(Permanent):
    """The request isn't CloudEvents as we take them; all that is wrong stands in ``problems``."""

    def __init__(self, reason: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(reason)
        self.problems = problems


def read_http(headers: Mapping[str, str], body: bytes) -> list[tuple[Envelope, bytes]]:
    """The events of one request with their data as JSON bytes (empty when there is none).

    Raises ``Refused``: ``bad_content_type``, ``bad_body`` (not JSON), or ``bad_envelope`` with its problems.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    events: list[tuple[Envelope, bytes]] = []
    problems: list[Problem] = []
    for index, source in enumerate(_sources(lower, body)):
        try:
            event = _decode(source, lower)
            events.append((_envelope(event, lower.get(TRACEPARENT)), json_data(event)))
        except Exception as error:  # the SDK and its parsers raise anything; _problems keeps only what names no value
            problems += _problems(index, error)
    if problems:
        raise Refused("bad_envelope", tuple(problems))
    return events


def _sources(headers: Mapping[str, str], body: bytes) -> list[Any]:
    """What each event is decoded from: a JSON value, or the body itself in binary mode."""
    content_type = headers.get("content-type", "application/json")
    if content_type.partition(";")[0].strip().lower() == BATCH:
        batch = _json(body)
        if not isinstance(batch, list):
            raise Refused("bad_body", (Problem(0, "", "a batch is a JSON array of events"),))
        return batch
    try:
        return [_json(body)] if is_structured(content_type) else [body]
    except Refused:
        raise
    except Permanent as error:
        raise Refused(error.reason) from None


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Refused("bad_body", (Problem(0, "", "the body is not JSON"),)) from None


def _decode(source: Any, headers: Mapping[str, str]) -> BaseCloudEvent:
    if isinstance(source, bytes):
        return from_binary(HTTPMessage(dict(headers), source), RAW_JSON, checked_event)
    return RAW_JSON.read(checked_event, json.dumps(source))


def _envelope(event: BaseCloudEvent, trace: str | None) -> Envelope:
    attributes = event.get_attributes()
    if trace and TRACE.fullmatch(trace.encode()):
        attributes[TRACEPARENT] = trace
    return Envelope.model_validate(attributes)


def _problems(index: int, error: Exception) -> list[Problem]:
    if isinstance(error, CloudEventValidationError):
        return [Problem(index, _pointer(name), "is missing or not valid") for name in error.errors]
    if isinstance(error, MissingRequiredAttributeError):
        return [Problem(index, _pointer(error.attribute_name), "is missing")]
    if isinstance(error, ValidationError):
        return [
            Problem(index, _pointer(*each["loc"]), each["msg"])
            for each in error.errors(include_url=False, include_input=False, include_context=False)
        ]
    return [Problem(index, "", "is not a CloudEvents 1.0 event")]


def _pointer(*parts: str | int) -> str:
    """RFC 6901."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
