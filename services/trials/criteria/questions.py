"""What atoms ask, and the values that could answer: one for each side of every cut point, so finitely many.

Atoms that ask the same question are answered by one value. Two questions may hang together in truth (how many patches,
and days since the last); taken as independent they allow more than can be, never less.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from itertools import combinations, pairwise, product
from typing import Any

from schemas.expressions import ORDERED, Atom, Count, DaysSince, Exists, Fact, Last, Op, Selection, is_number
from services.trials.criteria.compare import comparison
from services.trials.criteria.truth import Truth, truth_of
from services.trials.facts.picture import NEVER

ANOTHER = "another"
"""A code that no criterion names."""

MAX_SUBSETS = 6


class Asked(Enum):
    """What is compared."""

    VALUE = "value"
    DAYS = "days"
    COUNT = "count"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class Question:
    """``fact``: the recorded or derived fact, or the event list, that answers it."""

    asked: Asked
    fact: str
    selection: Selection | None = None
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Range:
    """What a program says of the answers: the allowed codes, bounds that may be reached, whole numbers only."""

    codes: frozenset[str] = frozenset()
    minimum: float = -math.inf
    maximum: float = math.inf
    whole: bool = False


NOTHING_SAID = Range()


@dataclass(frozen=True, slots=True)
class Answers:
    """The values that stand for all. ``all``: none is left out."""

    values: tuple[Any, ...] = field(repr=False)
    all: bool = True


def question(atom: Atom) -> Question:
    """The question that an atom asks; whether there is such an event is asked by their number."""
    match atom:
        case Fact():
            return Question(Asked.VALUE, atom.fact)
        case Count(count=found) | Exists(exists=found):
            return Question(Asked.COUNT, found.event, found)
        case Last(last=found):
            return Question(Asked.LAST, found.event, found, atom.field)
        case DaysSince(days_since=Selection() as found):
            return Question(Asked.DAYS, found.event, found)
        case DaysSince(days_since=since):
            return Question(Asked.DAYS, since.fact)  # type: ignore[union-attr]  # a selection was the case above
    return Question(Asked.VALUE, atom.field)


def answered(atom: Atom, value: Any) -> Truth:
    """The atom's truth when ``value`` answers its question; of ``Last``, None says that there is no such event."""
    if isinstance(atom, Exists):
        return truth_of(value >= 1)
    if isinstance(atom, Last) and value is None:
        return truth_of(atom.op is Op.NOT_IN)
    return comparison(atom.op, atom.value)(value)


def grouped(atoms: Iterable[Atom]) -> dict[Question, list[Atom]]:
    """The atoms of each question."""
    found: dict[Question, list[Atom]] = {}
    for each in atoms:
        found.setdefault(question(each), []).append(each)
    return found


def answers(asked: Question, atoms: Sequence[Atom], bounds: Range = NOTHING_SAID) -> Answers:
    """Values for all sides of all cut points of ``atoms``, which ask ``asked``, inside of ``bounds``."""
    if asked.asked is Asked.COUNT:
        return Answers(_numbers(_operands(atoms) or [1], Range(minimum=0, whole=True)))
    if asked.asked is Asked.DAYS:
        return Answers((*_numbers(_operands(atoms), Range(minimum=0, whole=True)), NEVER))
    found = _values(atoms, bounds)
    return Answers((*found.values, None), found.all) if asked.asked is Asked.LAST else found


def worlds(atoms: Iterable[Atom]) -> Iterator[Mapping[int, Truth]]:
    """Every way in which the questions of ``atoms`` could be answered: truths by the identity of the atom."""
    groups = grouped(atoms)
    for chosen in product(*(answers(each, asking).values for each, asking in groups.items())):
        pairs = zip(groups.values(), chosen, strict=True)
        yield {id(atom): answered(atom, value) for asking, value in pairs for atom in asking}


def _operands(atoms: Iterable[Atom]) -> list[Any]:
    found: list[Any] = []
    for each in atoms:
        value = None if isinstance(each, Exists) else each.value
        found.extend(value if isinstance(value, tuple) else [] if value is None else [value])
    return found


def _values(atoms: Sequence[Atom], bounds: Range) -> Answers:
    operands = _operands(atoms)
    ops = {each.op for each in atoms if not isinstance(each, Exists)}
    if ops & {Op.HAS_ANY, Op.HAS_ALL}:
        return _sets(sorted({*operands} & bounds.codes if bounds.codes else {*operands}))
    if not operands or any(isinstance(each, bool) for each in operands):
        return Answers((True, False))
    truths = (True, False) if Op.EXISTS in ops else ()  # a slip of types, but what is asked of it must not be missed
    if all(map(is_number, operands)):
        return Answers((*_numbers(operands, bounds), *truths))
    if ops & {*ORDERED, Op.BETWEEN}:
        return Answers((*_days([date.fromisoformat(each) for each in operands]), *truths))
    return Answers((*(sorted(bounds.codes) or [*sorted({*operands}), ANOTHER]), *truths))


def _numbers(cuts: Sequence[float], bounds: Range) -> tuple[float, ...]:
    """The cut points, something between each two, and something beyond both ends."""
    ends = [each for each in (bounds.minimum, bounds.maximum) if math.isfinite(each)]
    points = sorted({*cuts, *ends}) or [0]
    if bounds.whole:
        near = {n for each in points for n in range(math.floor(each) - 1, math.ceil(each) + 2)}
    else:
        between = ((low + high) / 2 for low, high in pairwise(points))
        near = {points[0] - 1, *points, *between, points[-1] + 1}  # type: ignore[arg-type]  # floats beside whole ones
    return tuple(sorted(each for each in near if bounds.minimum <= each <= bounds.maximum))


def _days(cuts: Sequence[date]) -> Iterator[date]:
    for each in sorted({day + step for day in (each.toordinal() for each in cuts) for step in (-1, 0, 1)}):
        if 1 <= each <= date.max.toordinal():
            yield date.fromordinal(each)


def _sets(named: Sequence[str]) -> Answers:
    """All sets of what is named, and what is not; of many names only the smallest and the greatest sets."""
    few = len(named) <= MAX_SUBSETS
    sizes = range(len(named) + 1) if few else (0, 1, len(named) - 1, len(named))
    found = [frozenset(each) for size in sizes for each in combinations(named, size)]
    return Answers((*found, frozenset({ANOTHER})), all=few)
