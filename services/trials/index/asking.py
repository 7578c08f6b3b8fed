"""One trial asked of all patients at once, on one day."""

from collections.abc import Iterable, Mapping
from datetime import date

from schemas.criteria import Criterion, Eligibility, Kind
from schemas.expressions import Atom, DaysSince, Exists, Fact, Last, selection
from services.trials.criteria.evaluate import judge_of
from services.trials.criteria.structured import structured
from services.trials.criteria.truth import FALSE, TRUE
from services.trials.facts.picture import Happening, Picture
from services.trials.index.bits import bitmap_of, slots_of, without
from services.trials.index.columns import AT_LEAST_ONE, Columns, Told
from services.trials.index.pairs import Pair, joined, turned

Events = Mapping[str, tuple[Happening, ...]]
"""A patient's events by kind; those kinds of which there are some."""


class Asking:
    """The answers for a trial: first with the doubt that columns leave, then settled for those it matters for."""

    def __init__(
        self, eligibility: Eligibility, as_of: date, columns: Columns, events: Mapping[int, Events], every: int
    ) -> None:
        self._shared = (*structured(eligibility), *eligibility.criteria)
        self._cohorts = [each.criteria for each in eligibility.cohorts]
        self._as_of, self._columns, self._events, self._every = as_of, columns, events, every
        self._pairs: dict[int, Pair] = {}
        self._doubtful: dict[int, Atom] = {}

    def answer(self) -> Pair:
        """Who meets the trial, and who may, as far as atoms are settled."""
        true, could = self._all(self._shared)
        if not self._cohorts:
            return true, could
        own = [self._all(each) for each in self._cohorts]
        return true & _union(each[0] for each in own), could & _union(each[1] for each in own)

    def settle(self, patients: int) -> None:
        """Looks at the events of these patients wherever an atom left a doubt."""
        for key, atom in self._doubtful.items():
            true, could = self._pairs[key]
            kind = _events_of(atom)
            judge = judge_of(atom)
            truths = {
                slot: judge(Picture(self._as_of, {kind: self._events[slot][kind]}))
                for slot in slots_of(self._columns.some(kind) & patients)
            }
            false = bitmap_of(slot for slot, truth in truths.items() if truth is FALSE)
            self._pairs[key] = (
                true | bitmap_of(slot for slot, truth in truths.items() if truth is TRUE),
                without(could, false),
            )

    def _all(self, criteria: Iterable[Criterion]) -> Pair:
        true = could = self._every
        for each in criteria:
            if not could:
                break
            met = self._criterion(each)
            true, could = true & met[0], could & met[1]
        return true, could

    def _criterion(self, criterion: Criterion) -> Pair:
        if criterion.expression is None:
            return 0, self._every
        pair = joined(criterion.expression, self._atom, self._every)
        return pair if criterion.kind is Kind.INCLUSION else turned(pair, self._every)

    def _atom(self, atom: Atom) -> Pair:
        if (pair := self._pairs.get(id(atom))) is None:
            pair = self._pairs[id(atom)] = self._first(atom)
        return pair

    def _first(self, atom: Atom) -> Pair:
        told = self._told(atom)
        if told is None:
            self._doubtful[id(atom)] = atom
            return self._unless_none(atom)
        true, known = told
        return true, self._every ^ known ^ true

    def _told(self, atom: Atom) -> Told | None:
        """What columns say; None where events must be looked at one by one."""
        if isinstance(atom, Fact):
            return self._columns.fact(atom, self._as_of)
        events = selection(atom)
        if isinstance(atom, Last) or (events and (events.where or events.within)):
            return None
        if isinstance(atom, DaysSince):
            return self._columns.days(atom, self._as_of)
        return self._columns.count(_events_of(atom), AT_LEAST_ONE if isinstance(atom, Exists) else atom)

    def _unless_none(self, atom: Atom) -> Pair:
        """In doubt for all but those who had no such event."""
        none = self._columns.none(_events_of(atom))
        truth = judge_of(atom)(Picture(self._as_of, {_events_of(atom): ()}))
        return none if truth is TRUE else 0, without(self._every, none) if truth is FALSE else self._every


def _events_of(atom: Atom) -> str:
    events = selection(atom)
    if events is None:
        raise TypeError("asks for no events")
    return events.event


def _union(bitmaps: Iterable[int]) -> int:
    found = 0
    for each in bitmaps:
        found |= each
    return found
