"""What is known of all patients, a column for each type of value of each fact, and what an atom asks of them.

Time moves on without an update of a patient: so a number that follows from a day (``age``, days since) isn't kept; the
day is, and it is asked as of any date.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from schemas.expressions import Compared, DaysSince, Fact, Op, Selection, is_number
from schemas.vocabulary import Derivation, Derived
from services.trials.criteria.compare import comparison
from services.trials.criteria.truth import TRUE
from services.trials.facts.dates import months_since, years_since
from services.trials.facts.picture import NEVER, Value, day_of
from services.trials.index.bits import without
from services.trials.index.inputs import Sort, named_values, sort_of
from services.trials.index.members import Members
from services.trials.index.slices import Slices, whole_from
from services.trials.index.spans import HIGHEST, LOWEST, Cut, Span, date_spans, number_spans

Told = tuple[int, int]
"""For whom a comparison is true, and for whom it is true or false."""

NOBODY: Told = (0, 0)
NONE = Fact(fact="count", op=Op.EQ, value=0)
AT_LEAST_ONE = Fact(fact="count", op=Op.GE, value=1)
_NUMERIC = frozenset({Sort.NUMBER, Sort.DATE, Sort.COUNT, Sort.DAYS})
_CALENDAR: Mapping[Derivation, Callable[[date, date], int]] = {"months-since": months_since, "years-since": years_since}


class Columns:
    """All columns. ``derivations``: the names whose values follow from a day, and how."""

    def __init__(self, derivations: Mapping[str, Derived]) -> None:
        self._derivations = derivations
        self._numbers: dict[tuple[Sort, str], Slices] = {}
        self._codes: dict[tuple[Sort, str], Members[Any]] = {}

    def __len__(self) -> int:
        return len(self._numbers) + len(self._codes)

    def change(self, gone: int, values: Mapping[int, Mapping[str, Value]]) -> None:
        """Forgets the slots of ``gone``, then writes what is known of others."""
        found: dict[tuple[Sort, str], dict[int, Any]] = {}
        for slot, known in values.items():
            for name, value in known.items():
                if name not in self._derivations:
                    for sort, kept in _kept(value):
                        found.setdefault((sort, name), {})[slot] = kept
        for key in self._numbers.keys() | {each for each in found if each[0] in _NUMERIC}:
            self._numbers.setdefault(key, Slices()).change(gone, found.pop(key, {}))
        for key in self._codes.keys() | found.keys():
            self._codes.setdefault(key, Members()).change(gone, found.pop(key, {}))
        self._numbers = {key: column for key, column in self._numbers.items() if column.known}
        self._codes = {key: column for key, column in self._codes.items() if column.known}

    def fact(self, atom: Fact, as_of: date) -> Told:
        """What a comparison with a fact says."""
        if (derived := self._derivations.get(atom.fact)) is not None:
            spans = number_spans(atom) or ()
            of_date = self._since((Sort.DATE, derived.of), derived.derive, spans, as_of)
            return _either(of_date, self._since((Sort.DAYS, derived.of), derived.derive, spans, as_of))
        if atom.op is Op.IS_KNOWN:
            known = self._known(atom.fact)
            return known, known
        if atom.op is Op.EXISTS:
            return self._exists(atom.fact)
        if atom.op in (Op.HAS_ANY, Op.HAS_ALL):
            return self._set(atom)
        return self._compared(atom)

    def days(self, atom: DaysSince, as_of: date) -> Told:
        """What a comparison with the days since a date, or since the last of all events of a kind, says."""
        asked = atom.days_since
        key = (Sort.DAYS, asked.event) if isinstance(asked, Selection) else (Sort.DATE, asked.fact)
        return self._since(key, "days-since", number_spans(atom) or (), as_of)

    def count(self, name: str, atom: Compared) -> Told:
        """What a comparison with the number of all events of a kind says."""
        return _within(self._numbers.get((Sort.COUNT, name)), number_spans(atom))

    def none(self, event: str) -> int:
        """Who is known to have had no such event."""
        return self.count(event, NONE)[0]

    def some(self, event: str) -> int:
        """Who is known to have had such events."""
        return self.count(event, AT_LEAST_ONE)[0]

    def _known(self, name: str) -> int:
        found = 0
        columns: list[Slices | Members[Any]] = [
            *(column for key, column in self._numbers.items() if key[1] == name),
            *(column for key, column in self._codes.items() if key[1] == name),
        ]
        for each in columns:
            found |= each.known
        return found

    def _exists(self, name: str) -> Told:
        found = self.count(name, AT_LEAST_ONE)
        if flag := self._codes.get((Sort.FLAG, name)):
            found = _either(found, (flag.holders.of(True), flag.known))
        if codes := self._codes.get((Sort.CODES, name)):
            found = _either(found, (codes.some, codes.known))
        return found

    def _set(self, atom: Fact) -> Told:
        if (column := self._codes.get((Sort.CODES, atom.fact))) is None:
            return NOBODY
        held = [column.holders.of(each) for each in atom.value] if isinstance(atom.value, tuple) else []
        true = 0 if atom.op is Op.HAS_ANY else column.known
        for each in held:
            true = true | each if atom.op is Op.HAS_ANY else true & each
        return true, column.known

    def _compared(self, atom: Fact) -> Told:
        first = atom.value[0] if isinstance(atom.value, tuple) else atom.value
        if is_number(first):
            return _within(self._numbers.get((Sort.NUMBER, atom.fact)), number_spans(atom))
        if isinstance(first, bool):
            return self._named(Sort.FLAG, atom)
        dated = _within(self._numbers.get((Sort.DATE, atom.fact)), date_spans(atom))
        return _either(dated, self._named(Sort.CODE, atom))

    def _named(self, sort: Sort, atom: Fact) -> Told:
        if (column := self._codes.get((sort, atom.fact))) is None:
            return NOBODY
        if atom.op in (Op.EQ, Op.IN, Op.NOT_IN):
            true = column.holders.of_any(named_values(atom))
            return (without(column.known, true) if atom.op is Op.NOT_IN else true), column.known
        test = comparison(atom.op, atom.value)
        return column.holders.of_any(each for each in column.holders if test(each) is TRUE), column.known

    def _since(self, key: tuple[Sort, str], how: Derivation, spans: Iterable[Span], as_of: date) -> Told:
        """The greater the number asked, the earlier the day."""
        if (column := self._numbers.get(key)) is None:
            return NOBODY
        true = 0
        for low, high in spans:
            latest = column.finite if low == LOWEST else column.below(_last_day(how, low, as_of) + 1)
            true |= latest | column.never if high == HIGHEST else _later(latest, column, how, high, as_of)
        return true, column.known


def _later(latest: int, column: Slices, how: Derivation, cut: Cut, as_of: date) -> int:
    return without(latest, column.below(_last_day(how, cut, as_of) + 1))


def _last_day(how: Derivation, cut: Cut, as_of: date) -> int:
    """The last day, as an ordinal, of which the whole number since isn't before the cut; 0 if there is none."""
    whole = whole_from(cut)
    if how == "days-since":
        return as_of.toordinal() - whole
    since = _CALENDAR[how]
    days = range(1, date.max.toordinal() + 1)
    return bisect_left(days, True, key=lambda day: since(date.fromordinal(day), as_of) < whole)


def _within(column: Slices | None, spans: tuple[Span, ...] | None) -> Told:
    return (column.within(spans), column.known) if column is not None and spans is not None else NOBODY


def _either(one: Told, other: Told) -> Told:
    """Each patient's value has one type, so at most one of the two knows it."""
    return one[0] | other[0], one[1] | other[1]


def _kept(value: Value) -> Iterator[tuple[Sort, Any]]:
    """What columns keep of a value."""
    if isinstance(value, tuple):
        yield Sort.COUNT, len(value)
        if not value or day_of(value) is not None:
            yield Sort.DAYS, day.toordinal() if (day := day_of(value)) else NEVER
    elif (sort := sort_of(value)) is not None:
        if isinstance(value, date):
            yield sort, value.toordinal()
        else:
            yield sort, value if sort in (Sort.NUMBER, Sort.CODES) else (value,)
