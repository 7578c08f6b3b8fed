"""For one input, which trials a value alone rules out: values between which no criterion tells a difference share a
bucket, and each bucket has the bitmap of the trials that are false whatever else is known.

Memory follows what criteria name. Of numbers at most ``limit`` cuts part buckets: an atom with a cut beyond is unknown
in a bucket that it would part, so that fewer trials are ruled out there and never one too many. What no live trial
names any more leaves nothing.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any, Protocol, TypeVar

from schemas.expressions import Atom, Fact, Op, Selection
from services.trials.criteria.evaluate import judge_of
from services.trials.criteria.events import Found, finder
from services.trials.criteria.truth import FALSE, TRUE
from services.trials.facts.dates import days_since
from services.trials.facts.picture import NEVER, Picture
from services.trials.index.bits import bitmap_of, slots_of, span, without
from services.trials.index.holders import Holders
from services.trials.index.inputs import Input, Sort, named_values, spans_for
from services.trials.index.pairs import Pair
from services.trials.index.questions import Questions
from services.trials.index.spans import BEFORE, HIGHEST, LOWEST, Cut, cuts_of

NO_DAY = date.min
"""The day of judgement where none matters."""

N = TypeVar("N", bound=Hashable)


class Buckets(Protocol):
    """What one input rules out. ``trials``: how many ask it."""

    trials: int

    def change(self, leaving: Mapping[int, Questions], coming: Mapping[int, Questions]) -> None:
        """Forgets trials, then writes others; a slot may be in both."""

    def ruled_out(self, value: Any) -> int:
        """The trials that this value alone rules out. It is of the input's type."""


class Ordered:
    """Numbers, days, counts: a bucket lies between two cuts. A new cut splits one; both halves begin alike."""

    def __init__(self, asked: Input, limit: int) -> None:
        self.asked, self.limit, self.trials = asked, limit, 0
        self._uses: Counter[Cut] = Counter()
        self._cuts: list[Cut] = []
        self._ruled = [0]

    def ruled_out(self, value: float) -> int:
        return self._ruled[bisect_right(self._cuts, (value, BEFORE))]

    def change(self, leaving: Mapping[int, Questions], coming: Mapping[int, Questions]) -> None:
        self.trials += len(coming) - len(leaving)
        for questions in coming.values():
            self._name(self._named(questions))
        if gone := bitmap_of(leaving):
            self._ruled = [without(each, gone) for each in self._ruled]
        self._write({slot: self._false(questions) for slot, questions in coming.items()})
        for questions in leaving.values():
            self._unname(self._named(questions))

    def _named(self, questions: Questions) -> set[Cut]:
        return {cut for atom in questions.inputs[self.asked] for cut in cuts_of(spans_for(self.asked, atom))}

    def _name(self, cuts: Iterable[Cut]) -> None:
        for cut in cuts:
            self._uses[cut] += 1
            if self._uses[cut] == 1 and len(self._cuts) < self.limit:
                place = bisect_left(self._cuts, cut)
                self._ruled.insert(place, self._ruled[place])
                self._cuts.insert(place, cut)

    def _unname(self, cuts: Iterable[Cut]) -> None:
        for cut in cuts:
            self._uses[cut] -= 1
            if not self._uses[cut]:
                del self._uses[cut]
                place = bisect_left(self._cuts, cut)
                if place < len(self._cuts) and self._cuts[place] == cut:
                    del self._cuts[place]
                    self._ruled[place : place + 2] = [self._ruled[place] & self._ruled[place + 1]]

    def _false(self, questions: Questions) -> int:
        """The buckets in which a trial is false."""
        return questions.ruled_out(self.asked, self._pair, (1 << len(self._ruled)) - 1)

    def _pair(self, atom: Atom) -> Pair:
        true = could = 0
        for low, high in spans_for(self.asked, atom):
            starts = bisect_left(self._cuts, low) + 1 if low > LOWEST else 0
            ends = bisect_right(self._cuts, high) - 1 if high < HIGHEST else len(self._cuts)
            true |= span(starts, ends)
            could |= span(bisect_right(self._cuts, low), bisect_left(self._cuts, high))
        return true, could

    def _write(self, false: Mapping[int, int]) -> None:
        """Goes through the buckets once: whose truth turns between two of them, turns in the bitmap."""
        turns: dict[int, list[int]] = {}
        for slot, buckets in false.items():
            for place in slots_of(buckets ^ (buckets << 1)):
                turns.setdefault(place, []).append(slot)
        ruled = 0
        for place in range(len(self._ruled)) if turns else ():
            ruled ^= bitmap_of(turns.get(place, ()))
            self._ruled[place] |= ruled


class Named:
    """Codes and truth values. ``_others``: ruled out by a value that the trial doesn't name; of one that it names,
    ``_spared`` and ``_hit`` say which trials it doesn't, and does, rule out.
    """

    def __init__(self, asked: Input) -> None:
        self.asked, self.trials = asked, 0
        self._others = 0
        self._spared: Holders[bool | str] = Holders()
        self._hit: Holders[bool | str] = Holders()

    def ruled_out(self, value: bool | str) -> int:
        return without(self._others, self._spared.of(value)) | self._hit.of(value)

    def change(self, leaving: Mapping[int, Questions], coming: Mapping[int, Questions]) -> None:
        self.trials += len(coming) - len(leaving)
        gone = bitmap_of(leaving)
        self._others = without(self._others, gone)
        for holders in (self._spared, self._hit):
            holders.forget(gone, {each for questions in leaving.values() for each in _named(self.asked, questions)})
        others = []
        spared: dict[bool | str, list[int]] = {}
        hit: dict[bool | str, list[int]] = {}
        for slot, questions in coming.items():
            named = sorted(_named(self.asked, questions))
            false = questions.ruled_out(self.asked, partial(self._pair, named), (2 << len(named)) - 1)
            if false & 1:
                others.append(slot)
            for place, value in enumerate(named, 1):
                (hit if false >> place & 1 else spared).setdefault(value, []).append(slot)
        self._others |= bitmap_of(others)
        _add(self._spared, spared)
        _add(self._hit, hit)

    def _pair(self, named: Sequence[bool | str], atom: Atom) -> Pair:
        """A bit for any other value, then one for each that the trial names."""
        true = sum(1 << place for place, value in enumerate(named, 1) if value in named_values(atom))
        if isinstance(atom, Fact) and atom.op is Op.NOT_IN:
            true ^= (2 << len(named)) - 1
        return true, true


class Sets:
    """Sets of codes. ``_empty``: ruled out by the empty set; ``_none``: by a set without any code that the trial names,
    who ``_names`` says; ``_hit``: by holding one code, whatever else it holds.
    """

    def __init__(self, asked: Input) -> None:
        self.asked, self.trials = asked, 0
        self._empty = self._none = 0
        self._names: Holders[str] = Holders()
        self._hit: Holders[str] = Holders()

    def ruled_out(self, value: frozenset[str]) -> int:
        """Leaves some trials where several codes would rule them out together."""
        return without(self._none, self._names.of_any(value)) | self._hit.of_any(value) if value else self._empty

    def change(self, leaving: Mapping[int, Questions], coming: Mapping[int, Questions]) -> None:
        self.trials += len(coming) - len(leaving)
        gone = bitmap_of(leaving)
        self._empty, self._none = without(self._empty, gone), without(self._none, gone)
        for holders in (self._names, self._hit):
            holders.forget(gone, {each for questions in leaving.values() for each in _codes(self.asked, questions)})
        empty, none = [], []
        names: dict[str, list[int]] = {}
        hit: dict[str, list[int]] = {}
        for slot, questions in coming.items():
            named = sorted(_codes(self.asked, questions))
            false = questions.ruled_out(self.asked, partial(self._pair, named), (4 << len(named)) - 1)
            if false & 1:
                empty.append(slot)
            if false & 2:
                none.append(slot)
            for place, code in enumerate(named, 2):
                names.setdefault(code, []).append(slot)
                if false >> place & 1:
                    hit.setdefault(code, []).append(slot)
        self._empty |= bitmap_of(empty)
        self._none |= bitmap_of(none)
        _add(self._names, names)
        _add(self._hit, hit)

    def _pair(self, named: Sequence[str], atom: Atom) -> Pair:
        """A bit for the empty set, one for a set without the codes named, then for each code the sets that hold it."""
        every = (4 << len(named)) - 1
        if not isinstance(atom, Fact) or atom.op is Op.EXISTS:
            return every ^ 1, every ^ 1
        asked = named_values(atom)
        alone = atom.op is Op.HAS_ANY or len(asked) == 1
        return sum(1 << place for place, code in enumerate(named, 2) if alone and code in asked), every ^ 3


def _named(asked: Input, questions: Questions) -> set[bool | str]:
    return {value for atom in questions.inputs[asked] for value in named_values(atom)}


def _codes(asked: Input, questions: Questions) -> set[str]:
    return {value for value in _named(asked, questions) if isinstance(value, str)}


def _add(holders: Holders[N], found: Mapping[N, list[int]]) -> None:
    for value, slots in found.items():
        holders.add(value, slots)


class NoEvent:
    """Whether there are no events: what the empty list rules out. What some events do, ``Measured`` says."""

    def __init__(self, asked: Input) -> None:
        self.asked, self.trials = asked, 0
        self._none = 0

    def ruled_out(self, value: tuple[()]) -> int:
        return self._none

    def change(self, leaving: Mapping[int, Questions], coming: Mapping[int, Questions]) -> None:
        self.trials += len(coming) - len(leaving)
        false = (slot for slot, questions in coming.items() if questions.ruled_out(self.asked, self._pair, 1))
        self._none = without(self._none, bitmap_of(leaving)) | bitmap_of(false)

    def _pair(self, atom: Atom) -> Pair:
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
