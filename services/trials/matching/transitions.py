"""What a new verdict changes in a stored pair of a patient and a trial: found, changed, withdrawn, or nothing.

Pairs are stamped, and what is older in any part of its stamp never overwrites: whoever judged with older facts, an
older trial or on an earlier day is followed by one who judges with the newest of all three. So verdicts may arrive
twice and in any order. Who never matched has no row: a caller judges under the patient's lock, on the facts of its row.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from services.trials.matching.verdict import TrialVerdict, Verdict


class Transition(StrEnum):
    """What coordinators are told of."""

    FOUND = "found"
    CHANGED = "changed"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a verdict was made from. ``criteria``: major and minor version of the trial's criteria."""

    facts: int
    criteria: tuple[int, int]
    as_of: date

    def supersedes(self, other: "Stamp") -> bool:
        """Whether it is in no part older."""
        return self.facts >= other.facts and self.criteria >= other.criteria and self.as_of >= other.as_of


@dataclass(frozen=True, slots=True)
class Pair:
    """A stored pair. ``verdict`` is None of a withdrawn one, whose row stays as a tombstone."""

    verdict: Verdict | None
    unknown: tuple[str, ...]
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Step:
    """What to store, and what to tell of it; nothing is told where only the stamp is newer."""

    pair: Pair
    transition: Transition | None


def step(stored: Pair | None, found: TrialVerdict | None, stamp: Stamp) -> Step | None:
    """The next step of a pair, or None when nothing is to be stored. ``found`` is None when a gate is closed."""
    if stored is not None and (not stamp.supersedes(stored.stamp)):
        return None
    pair = _pair(found, stamp)
    if stored is None:
        return Step(pair, Transition.FOUND) if pair.verdict else None
    return None if pair == stored else Step(pair, _told(stored, pair))


def _pair(found: TrialVerdict | None, stamp: Stamp) -> Pair:
    if found is None or found.verdict is Verdict.INELIGIBLE:
        return Pair(None, (), stamp)
    return Pair(found.verdict, found.unknown, stamp)


def _told(stored: Pair, pair: Pair) -> Transition | None:
    if (stored.verdict, stored.unknown) == (pair.verdict, pair.unknown):
        return None
    if pair.verdict is None:
        return Transition.WITHDRAWN
    return Transition.CHANGED if stored.verdict else Transition.FOUND
