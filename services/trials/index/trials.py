"""Patient → trials: which trials a patient isn't ruled out of, exactly, without asking each.

For each input there are buckets, and for each bucket the trials which its values alone rule out (``buckets.py``). The
union over what is known of a patient leaves a few trials, and those are judged one by one. That is sound for any tree:
a criterion that is false with one thing known stays false whatever else becomes known.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from datetime import date
from itertools import islice
from typing import Generic, TypeVar

from schemas.criteria import Eligibility
from schemas.expressions import selection
from services.trials.facts.dates import days_since
from services.trials.facts.picture import Picture, Value
from services.trials.index.bits import bitmap_of, slots_of, without
from services.trials.index.buckets import Buckets, Measured, Named, NoEvent, Ordered, Sets
from services.trials.index.inputs import Input, Sort, sort_of
from services.trials.index.questions import Questions
from services.trials.index.slots import Slots
from services.trials.matching.verdict import Matcher, TrialVerdict

K = TypeVar("K", bound=Hashable)

LIMIT = 256
"""Numbers that part buckets, of each input: this bounds memory. What is named beyond is judged later."""

SELECTIONS = 16
"""Numbers found from each kind of events that a patient had: this bounds time. What is asked beyond is judged later."""

AT_ONCE = 5000
"""Trials taken apart together, which takes memory for a moment."""

_KINDS: Mapping[Sort, Callable[[Input], Buckets]] = {
    Sort.FLAG: Named,
    Sort.CODE: Named,
    Sort.CODES: Sets,
    Sort.NO_EVENT: NoEvent,
}


class TrialIndex(Generic[K]):
    """Live trials by key. One owner changes it; nobody reads meanwhile."""

    def __init__(
        self, trials: Mapping[K, Eligibility] | None = None, *, limit: int = LIMIT, selections: int = SELECTIONS
    ) -> None:
        self._limit, self._selections = limit, selections
        self._slots: Slots[K] = Slots()
        self._live = 0
        self._matchers: dict[int, Matcher] = {}
        self._buckets: dict[Input, Buckets] = {}
        self._measured: dict[str, dict[Input, Measured]] = {}
        self.change(trials or {})

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, key: K) -> bool:
        return key in self._slots

    def change(self, trials: Mapping[K, Eligibility | None]) -> None:
        """Adds, replaces, or with None removes trials. Many at once cost far less than one by one."""
        waiting = iter(trials.items())
        while some := dict(islice(waiting, AT_ONCE)):
            self._change(some)

    def _change(self, trials: Mapping[K, Eligibility | None]) -> None:
        old = {slot: Questions(self._matchers.pop(slot).eligibility) for slot in self._taken(trials)}
        new: dict[int, Questions] = {}
        for key, eligibility in trials.items():
            if eligibility is not None:
                slot = self._slots.take(key)
                self._matchers[slot] = Matcher(eligibility)
                new[slot] = Questions(eligibility)
            elif key in self._slots:
                self._slots.free(key)
        self._live = without(self._live, bitmap_of(old)) | bitmap_of(new)
        leaving, coming = _by_input(old), _by_input(new)
        for asked in dict.fromkeys([*leaving, *coming]):
            self._rewrite(asked, leaving.get(asked, {}), coming.get(asked, {}))

    def _taken(self, keys: Mapping[K, object]) -> list[int]:
        return [slot for key in keys if (slot := self._slots.find(key)) is not None]

    def _rewrite(self, asked: Input, leaving: Mapping[int, Questions], coming: Mapping[int, Questions]) -> None:
        buckets = self._buckets.get(asked) or self._begin(asked, next(iter(coming.values())))
        buckets.change(leaving, coming)
        if not buckets.trials:
            self._end(asked)

    def _begin(self, asked: Input, questions: Questions) -> Buckets:
        if (kind := _KINDS.get(asked.sort)) is not None:
            self._buckets[asked] = kind(asked)
        elif (events := selection(questions.inputs[asked][0])) is not None:
            measured = self._measured.setdefault(asked.name, {})
            worthwhile = sum(each.limit > 0 for each in measured.values()) < self._selections
            self._buckets[asked] = measured[asked] = Measured(asked, events, self._limit if worthwhile else 0)
        else:
            self._buckets[asked] = Ordered(asked, self._limit)
        return self._buckets[asked]

    def _end(self, asked: Input) -> None:
        del self._buckets[asked]
        if asked in self._measured.get(asked.name, {}):
            del self._measured[asked.name][asked]
            if not self._measured[asked.name]:
                del self._measured[asked.name]

    def candidates(self, picture: Picture) -> list[K]:
        """Every trial that could match, and some that don't, in no order."""
        return [self._slots.key(slot) for slot in slots_of(self._left(picture))]

    def match(self, picture: Picture) -> dict[K, TrialVerdict]:
        """The trials that the patient is eligible for, or possibly is; all others they are not."""
        found: dict[K, TrialVerdict] = {}
        for slot in slots_of(self._left(picture)):
            if (verdict := self._matchers[slot].match(picture)) is not None:
                found[self._slots.key(slot)] = verdict
        return found

    def _left(self, picture: Picture) -> int:
        ruled = 0
        for name, value in picture.values.items():
            for each in self._ruled_out(name, value, picture):
                ruled |= each
        return without(self._live, ruled)

    def _ruled_out(self, name: str, value: Value, picture: Picture) -> Iterator[int]:
        """What one value rules out, by each input that it answers."""
        if isinstance(value, tuple):
            yield from self._by_events(name, value, picture)
        elif (sort := sort_of(value)) is not None:
            if isinstance(value, date):
                since = self._buckets.get(Input(Sort.SINCE, name))
                if since is not None:
                    yield since.ruled_out(days_since(value, picture.as_of))
                value = value.toordinal()
            if (buckets := self._buckets.get(Input(sort, name))) is not None:
                yield buckets.ruled_out(value)

    def _by_events(self, name: str, events: tuple[object, ...], picture: Picture) -> Iterator[int]:
        if not events:
            if (none := self._buckets.get(Input(Sort.NO_EVENT, name))) is not None:
                yield none.ruled_out(())
            return
        for each in self._measured.get(name, {}).values():
            if each.limit and (number := each.measure(picture)) is not None:
                yield each.ruled_out(number)


def _by_input(trials: Mapping[int, Questions]) -> dict[Input, dict[int, Questions]]:
    found: dict[Input, dict[int, Questions]] = {}
    for slot, questions in trials.items():
        for asked in questions.inputs:
            found.setdefault(asked, {})[slot] = questions
    return found
