"""States at rest: JSON under the patient's own key, bound to tenant, subject and version."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from chassis.sealing import DataKey
from services.intake.domain.record import (
    Appointment,
    Consent,
    Enrolment,
    Facts,
    Heard,
    Paperwork,
    Patient,
    Preference,
    State,
)

_STATES: tuple[type[Any], ...] = (Patient, Enrolment, Appointment, Paperwork, Consent, Preference, Facts)


@dataclass(frozen=True, slots=True)
class Kept:
    """What an event's row keeps under the key: why staff said it happened, and what its post looked like."""

    reason: str | None
    fingerprint: str


def _adapters(beside: type[Any]) -> Mapping[str, TypeAdapter[Any]]:
    """By family, for pairs of what stands beside the state, and the state."""
    return {
        each.family: TypeAdapter(tuple[beside, each])  # type: ignore[valid-type]  # the families are data here
        for each in _STATES
    }


_SUBJECTS = _adapters(Heard)
_EVENTS = _adapters(Kept)


def seal_subject(key: DataKey, tenant: str, state: State, heard: Heard) -> bytes:
    """The newest state of a subject, and from whom it was heard when."""
    plain = _SUBJECTS[state.family].dump_json((heard, state))
    return key.seal_bytes(plain, _associated(tenant, f"{state.family}/{state.id}", state.version))


def open_subject(key: DataKey, tenant: str, subject: str, version: int, sealed: bytes) -> tuple[Heard, State]:
    """``Permanent("cannot_open")`` when the row was moved or the key is another one."""
    plain = key.open_bytes(sealed, _associated(tenant, subject, version))
    opened: tuple[Heard, State] = _SUBJECTS[subject.partition("/")[0]].validate_json(plain)
    return opened


def seal_event(key: DataKey, tenant: str, state: State, kept: Kept) -> bytes:
    """The state at an event's version."""
    plain = _EVENTS[state.family].dump_json((kept, state))
    return key.seal_bytes(plain, _associated(tenant, f"{state.family}/{state.id}", state.version, "event"))


def open_event(key: DataKey, tenant: str, subject: str, version: int, sealed: bytes) -> tuple[Kept, State]:
    """As ``open_subject``."""
    plain = key.open_bytes(sealed, _associated(tenant, subject, version, "event"))
    opened: tuple[Kept, State] = _EVENTS[subject.partition("/")[0]].validate_json(plain)
    return opened


def _associated(*parts: object) -> bytes:
    return json.dumps(parts, separators=(",", ":")).encode()
