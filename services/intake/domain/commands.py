"""A command: one posted event as intake takes it, and the circumstances under which it is decided."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from chassis.scope import Scope
from schemas.base import Contract
from schemas.envelope import Origin
from schemas.programs import Program
from services.intake.domain.refusals import Problem

STAFF_ADAPTERS = frozenset({"api", "console"})
"""Adapters through which people book: visits are agreed with the patient, so the patient knows of a first booking."""

SKEW = timedelta(minutes=5)
"""How far a poster's clock may be ahead of ours."""


@dataclass(frozen=True, slots=True)
class Command:
    """``name`` without prefix and major (``appointment.scheduled``); ``time`` is when the poster says it happened."""

    name: str
    subject_id: str
    patient_id: str
    posted: Any
    time: datetime
    source: str
    origin: Origin = Origin.LIVE
    adapter: str = "api"

    @property
    def family(self) -> str:
        return self.name.partition(".")[0]

    @property
    def subject(self) -> str:
        return f"{self.family}/{self.subject_id}"


@dataclass(frozen=True, slots=True)
class Context:
    """``programs`` by public code; ``now`` is civil time."""

    scope: Scope
    programs: Mapping[str, Program]
    now: datetime

    def program(self, code: str) -> Program | None:
        """The program, if this caller may use it. One that isn't the caller's is as unknown as one that isn't there."""
        found = self.programs.get(code)
        allowed = found is not None and found.tenant == self.scope.tenant and self.scope.allows(code)
        return found if allowed else None

    def at(self, command: Command) -> datetime:
        """The moment an edit counts from: when we heard of it; a backfill happened when its poster says."""
        return command.time if command.origin is Origin.BACKFILL else self.now

    def not_ahead(self, pointer: str, moment: datetime | None) -> Problem | None:
        """A problem when ``moment`` lies in the future."""
        if moment is None or moment <= self.now + SKEW:
            return None
        return Problem(pointer, "lies in the future")


def posted_as(kind: type[Contract], command: Command) -> Any:
    """The posted data; ``TypeError`` when an adapter built the command with another model."""
    if type(command.posted) is not kind:
        raise TypeError(f"{command.name} is posted as {kind.__name__}")
    return command.posted
