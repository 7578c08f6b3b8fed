"""For one input, which trials a value alone rules out: values between which no criterion tells a difference share a
bucket, and each bucket has the bitmap of the trials that are false whatever else is known.

There are about ``limit`` buckets an input, which bounds memory whatever criteria name: a cut or value beyond shares a
bucket, in which its atoms are unknown, so that fewer trials are ruled out there and never one too many. What no live
trial names any more loses its bucket.
"""

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from datetime import date
from typing import Any, Generic, TypeVar

from schemas.expressions import Atom, Fact, Op, Selection
from services.trials.criteria.evaluate import judge_of
from services.trials.criteria.events import Found, finder
from services.trials.criteria.truth import FALSE, TRUE
from services.trials.facts.dates import days_since
from services.trials.facts.picture import NEVER, Picture
from services.trials.index.bits import bitmap_of, slots_of, span, without
from services.trials.index.inputs import Input, Sort, named_values, spans_for
from services.trials.index.pairs import Pair
from services.trials.index.questions import Questions
from services.trials.index.spans import BEFORE, HIGHEST, LOWEST, Cut, cuts_of

NO_DAY = date.min
"""The day of judgement where none matters."""

N = TypeVar("N", bound=Hashable)


class Buckets(Generic[N]):
    """What the kinds share. ``N`` is what a trial names: a cut, or a value."""

    def __init__(self, asked: Input, limit: int, first: int = 1) -> None:
        self.asked = asked
        self.limit = limit
        self.trials = 0
        self.ruled = [0] * first
        self.uses: Counter[N] = Counter()

    @property
    def every(self) -> int:
        """A bit for each bucket."""
        return (1 << len(self.ruled)) - 1

    def ruled_out(self, value: Any) -> int:
        """The trials that this value alone rules out. It is of the input's type."""
        raise NotImplementedError

    def names(self, atom: Atom) -> Iterable[N]:
        """What an atom names here."""
        raise NotImplementedError

    def pair(self, atom: Atom) -> Pair:
        """In which buckets the atom is true, and in which not false. The atom asks this input."""
        raise NotImplementedError

    def begin(self, name: N) -> None:
        """Somebody names it for the first time."""

    def end(self, name: N) -> None:
        """Nobody names it any more."""

    def enter(self, named: Iterable[N]) -> None:
        """A trial that names these comes; before ``write``, which tells of it."""
        self.trials += 1
        for name in named:
            self.uses[name] += 1
            if self.uses[name] == 1:
                self.begin(name)

    def leave(self, named: Iterable[N]) -> None:
        """A trial that named these has gone; after ``write``."""
        self.trials -= 1
        for name in named:
            self.uses[name] -= 1
            if not self.uses[name]:
                del self.uses[name]
                self.end(name)

    def write(self, gone: int, coming: Mapping[int, Questions]) -> None:
        """Forget the slots of ``gone``, then write where the trials of other slots are ruled out."""
        if gone:
            self.ruled = [without(each, gone) for each in self.ruled]
        alike: dict[int, list[int]] = {}
        for slot, questions in coming.items():
            alike.setdefault(questions.ruled_out(self.asked, self.pair, self.every), []).append(slot)
        for buckets, slots in alike.items():
            bitmap = bitmap_of(slots)
            for place in slots_of(buckets):
                self.ruled[place] |= bitmap


class Ordered(Buckets[Cut]):
    """Numbers, days, counts: a bucket lies between two cuts. A new cut splits one; both halves begin alike."""

    def __init__(self, asked: Input, limit: int) -> None:
        super().__init__(asked, limit)
        self.cuts: list[Cut] = []

    def ruled_out(self, number: float) -> int:
        return self.ruled[bisect_right(self.cuts, (number, BEFORE))]

    def names(self, atom: Atom) -> Iterable[Cut]:
        return cuts_of(spans_for(self.asked, atom))

    def begin(self, name: Cut) -> None:
        if len(self.cuts) < self.limit:
            place = bisect_left(self.cuts, name)
            self.ruled.insert(place, self.ruled[place])
            insort(self.cuts, name)

    def end(self, name: Cut) -> None:
        place = bisect_left(self.cuts, name)
        if place < len(self.cuts) and self.cuts[place] == name:
            del self.cuts[place]
            self.ruled[place : place + 2] = [self.ruled[place] & self.ruled[place + 1]]

    def pair(self, atom: Atom) -> Pair:
        true = could = 0
        for low, high in spans_for(self.asked, atom):
            starts = bisect_left(self.cuts, low) + 1 if low > LOWEST else 0
            ends = bisect_right(self.cuts, high) - 1 if high < HIGHEST else len(self.cuts)
            true |= span(starts, ends)
            could |= span(bisect_right(self.cuts, low), bisect_left(self.cuts, high))
        return true, could


class Named(Buckets[Any]):
    """Codes and truth values: a bucket for each that is named, and the first for all others."""

    def __init__(self, asked: Input, limit: int) -> None:
        super().__init__(asked, limit)
        self.places: dict[Any, int] = {}

    def ruled_out(self, value: bool | str) -> int:
        return self.ruled[self.places.get(value, 0)]

    def names(self, atom: Atom) -> Iterable[Any]:
        return named_values(atom)

    def begin(self, name: Any) -> None:
        if len(self.places) < self.limit:
            self.places[name] = len(self.ruled)
            self.ruled.append(self.ruled[0])

    def end(self, name: Any) -> None:
        if (place := self.places.pop(name, None)) is not None:
            moved = self.ruled.pop()
            if place < len(self.ruled):
                self.ruled[place] = moved
                self.places[next(each for each, at in self.places.items() if at == len(self.ruled))] = place

    def pair(self, atom: Atom) -> Pair:
        named = self.names(atom)
        listed = sum(1 << self.places[each] for each in named if each in self.places)
        shares = any(each not in self.places for each in named)
        if isinstance(atom, Fact) and atom.op is Op.NOT_IN:
            others = self.every ^ listed
            return (without(others, 1) if shares else others), others
        return listed, listed | shares


class Sets(Buckets[str]):
    """Sets of codes. The first bucket is the empty set, the second a set that holds none of what the trial names; the
    bucket of a code says only that the set holds it. ``naming``: the trials that name a code; in the first place those
    that name one without a bucket.
    """

    def __init__(self, asked: Input, limit: int) -> None:
        super().__init__(asked, limit, 2)
        self.places: dict[str, int] = {}
        self.naming = [0, 0]

    def ruled_out(self, value: frozenset[str]) -> int:
        """Leaves some where several of its codes would do it together."""
        if not value:
            return self.ruled[0]
        held, sharing = 0, False
        ruled = 0
        for code in value:
            if (place := self.places.get(code)) is None:
                sharing = True
                continue
            held |= self.naming[place]
            ruled |= self.ruled[place]
        if sharing:
            held |= self.naming[0]
        return ruled | without(self.ruled[1], held)

    def names(self, atom: Atom) -> Iterable[str]:
        return [each for each in named_values(atom) if isinstance(each, str)]

    def begin(self, name: str) -> None:
        if len(self.places) < self.limit:
            self.places[name] = len(self.ruled)
            self.ruled.append(0)
            self.naming.append(0)

    def end(self, name: str) -> None:
        if (place := self.places.pop(name, None)) is not None:
            ruled, naming = self.ruled.pop(), self.naming.pop()
            if place < len(self.ruled):
                self.ruled[place], self.naming[place] = ruled, naming
                self.places[next(each for each, at in self.places.items() if at == len(self.ruled))] = place

    def write(self, gone: int, coming: Mapping[int, Questions]) -> None:
        super().write(gone, coming)
        if gone:
            self.naming = [without(each, gone) for each in self.naming]
        naming: dict[int, set[int]] = {}
        for slot, questions in coming.items():
            for atom in questions.inputs[self.asked]:
                for code in self.names(atom):
                    naming.setdefault(self.places.get(code, 0), set()).add(slot)
        for place, slots in naming.items():
            self.naming[place] |= bitmap_of(slots)

    def pair(self, atom: Atom) -> Pair:
        if not isinstance(atom, Fact) or atom.op is Op.EXISTS:
            return without(self.every, 1), without(self.every, 1)
        named = set(self.names(atom))
        alone = atom.op is Op.HAS_ANY or len(named) == 1
        held = sum(1 << self.places[each] for each in named if each in self.places) if alone else 0
        return held, without(self.every, 3)


class NoEvent(Buckets[None]):
    """Whether there are no events: the one bucket is the empty list. What some events rule out, ``Measured`` says."""

    def ruled_out(self, value: tuple[()]) -> int:
        return self.ruled[0]

    def names(self, atom: Atom) -> Iterable[None]:
        return ()

    def pair(self, atom: Atom) -> Pair:
        truth = judge_of(atom)(Picture(NO_DAY, {self.asked.name: ()}))
        return int(truth is TRUE), int(truth is not FALSE)


class Measured(Ordered):
    """A number that is found by looking at a patient's events: how many are selected, or how long ago the last was."""

    def __init__(self, asked: Input, selected: Selection, limit: int) -> None:
        super().__init__(asked, limit)
        self._find = finder(selected)
        self._number = _days if asked.sort is Sort.DAYS else _count

    def measure(self, picture: Picture) -> float | None:
        """None where it isn't certain."""
        found = self._find(picture)
        if found is None or any(each.truth is not TRUE for each in found):
            return None
        return self._number(found, picture.as_of)


def _count(found: list[Found], as_of: date) -> float | None:
    return len(found)


def _days(found: list[Found], as_of: date) -> float | None:
    days = [each.event.on for each in found if each.event.on is not None]
    if len(days) < len(found):
        return None
    return days_since(max(days), as_of) if days else NEVER
