"""What an import changes: each record against what is stored of its trial."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from services.trials.registry.records import Read, Refused


class Outcome(StrEnum):
    """``closed``: new or changed, and nobody can be matched any more."""

    NEW = "new"
    CHANGED = "changed"
    SAME = "same"
    CLOSED = "closed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored of one trial."""

    digest: str
    last_update: date | None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report. ``reason`` says why a record was refused; warnings are for a person to look at."""

    registry_id: str | None
    outcome: Outcome
    reason: str | None = None
    warnings: tuple[str, ...] = ()


def compare(record: Read, stored: Mapping[str, Stored]) -> Line:
    """A record with an earlier date than the stored one is refused: an old file never undoes a newer import."""
    if isinstance(record, Refused):
        return Line(record.registry_id, Outcome.REFUSED, record.reason)
    name, before = record.registry_id, stored.get(record.registry_id)
    if before is not None and before.digest == record.digest:
        return Line(name, Outcome.SAME, warnings=record.warnings)
    if before and before.last_update and record.last_update and record.last_update < before.last_update:
        reason = f"{name}: is of {record.last_update}; what is stored is of {before.last_update}"
        return Line(name, Outcome.REFUSED, reason, record.warnings)
    outcome = Outcome.CLOSED if record.closed else Outcome.NEW if before is None else Outcome.CHANGED
    return Line(name, outcome, warnings=record.warnings)


def totals(lines: Iterable[Line]) -> dict[Outcome, int]:
    """How many there are of each outcome, all five."""
    counted = Counter(line.outcome for line in lines)
    return {outcome: counted[outcome] for outcome in Outcome}
