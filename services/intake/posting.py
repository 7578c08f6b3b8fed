"""From a CloudEvent as posted to a command, or to all that is wrong with it. Strict: what isn't known is refused."""

import hashlib
import json
import re
import uuid
from typing import Any

from pydantic import TypeAdapter, ValidationError

from chassis.problems import field_errors
from chassis.tracing import current_traceparent
from schemas.base import Contract
from schemas.envelope import Envelope, Origin
from schemas.ids import Opaque
from schemas.registry import BY_WIRE, EventType, family_of
from services.intake.batch import Posted
from services.intake.domain import Command, Problem, Refused

OWN = frozenset({
    "sequence", "tenant", "recordedtime", "expirytime", "authtype", "authid",
    "dataclassification", "dataregulation", "datacategory",
})  # fmt: skip
"""Attributes that only intake sets."""

NAMES = uuid.UUID("0b3f7c52-7f0e-5b52-9b70-3d8f2c3e4a11")
"""Namespace of the ids made from a poster's source and id."""

_JSON = re.compile(r"(application|text)/([\w.-]+\+)?json(\s*;.*)?", re.IGNORECASE)
_OPAQUE = TypeAdapter[str](Opaque)
_WORDS = {
    "timezone_aware": "needs an offset from UTC, such as -08:00 or Z; a local time alone may not exist, or exist twice",
    "extra_forbidden": "is not a field of this event",
    "missing": "is missing",
}


def read_posted(envelope: Envelope, data: bytes, adapter: str = "api") -> Posted:
    """The event as it goes into a batch. Raises ``Refused`` with every problem found."""
    kind = _kind(envelope.type)
    problems = [*_envelope_problems(envelope, kind)]
    subject_id = _subject_id(envelope.subject, kind, problems)
    posted = _data(data, kind, problems)
    patient_id = _patient_id(envelope, kind, subject_id, posted, problems)
    if problems:
        raise Refused(*problems)
    command = Command(
        kind.name, subject_id, patient_id, posted, envelope.time, envelope.source, envelope.origin, adapter
    )
    return Posted(
        _event_id(envelope), command, _fingerprint(command, data), envelope.correlationid, envelope.causationid,
        current_traceparent(),
    )  # fmt: skip


def _kind(wire: str) -> EventType:
    kind = BY_WIRE.get(wire)
    if kind is None:
        known = family_of(wire) is not None
        raise Refused(Problem("/type", "is not a version we take" if known else "is not an event type we know"))
    if kind.posted is None:
        raise Refused(Problem("/type", "can't be posted: only the system itself says this"))
    return kind


def _envelope_problems(envelope: Envelope, kind: EventType) -> list[Problem]:
    problems = [Problem(f"/{name}", "can't be posted: intake sets it") for name in sorted(OWN & _given(envelope))]
    if envelope.origin not in (Origin.LIVE, Origin.BACKFILL):
        problems.append(Problem("/origin", "is live or backfill"))
    if not _JSON.fullmatch(envelope.datacontenttype):
        problems.append(Problem("/datacontenttype", "is not JSON"))
    if envelope.dataschema not in (None, kind.dataschema):
        problems.append(Problem("/dataschema", "is not the schema of this type"))
    for name in ("correlationid", "causationid"):
        value = getattr(envelope, name)
        if value is not None and _uuid(value) is None:
            problems.append(Problem(f"/{name}", "must be a UUID: it is written to logs and traces"))
    return problems


def _given(envelope: Envelope) -> set[str]:
    return {name for name in envelope.model_fields_set if getattr(envelope, name) is not None}


def _subject_id(subject: str | None, kind: EventType, problems: list[Problem]) -> str:
    family, _, text = (subject or "").partition("/")
    subject_id = _uuid(text) if family == kind.subject else None
    if subject_id is None:
        problems.append(Problem("/subject", f"must be {kind.subject}/ and a UUID"))
    return subject_id or ""


def _data(data: bytes, kind: EventType, problems: list[Problem]) -> Any:
    model = kind.posted or Contract
    if not data:
        problems.append(Problem("/data", "is missing"))
        return None
    try:
        return model.model_validate_json(data, extra="forbid", strict=True)
    except ValidationError as error:
        problems += [_problem(each) for each in error.errors(include_url=False, include_input=False)]
    return None


def _problem(error: Any) -> Problem:
    (found,) = field_errors([error], ["data"])
    return Problem(found.pointer.removeprefix("#"), _WORDS.get(error["type"], found.detail))


def _patient_id(envelope: Envelope, kind: EventType, subject_id: str, posted: Any, problems: list[Problem]) -> str:
    patient_id: str = subject_id if kind.subject == "patient" else getattr(posted, "patient_id", "")
    given = envelope.partitionkey
    if given is not None and patient_id and _uuid(given) != patient_id:
        problems.append(Problem("/partitionkey", "is not the patient's id"))
    return patient_id


def _uuid(text: str) -> str | None:
    try:
        return _OPAQUE.validate_python(text)
    except ValidationError:
        return None


def _event_id(envelope: Envelope) -> str:
    """The poster's own id where it is a UUID; else one made of source and id, since ids stand in URLs and logs."""
    return _uuid(envelope.id) or str(uuid.uuid5(NAMES, json.dumps([envelope.source, envelope.id])))


def _fingerprint(command: Command, data: bytes) -> str:
    """The same for the same event in binary, structured and batch form."""
    said = [command.name, command.subject, command.source, command.time.isoformat(), command.origin, json.loads(data)]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
