"""The next day on which time alone changes a patient's picture, computed directly. Days are in the program's zone."""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from types import MappingProxyType

from schemas.vocabulary import Derivation, Vocabulary
from services.trials.facts.dates import days_after, last_day_within, months_after, next_day, years_after
from services.trials.facts.picture import SINCE, come, day_of, person
from services.trials.facts.settle import expires_on, holds, standing
from services.trials.facts.values import RecordedFact, Traits, Value

CutPoints = Mapping[str, Sequence[float]]
"""By fact, the numbers that criteria compare it with, ascending. Of a date or a list of events: days since then."""

Windows = Mapping[str, Sequence[str]]
"""By list of events, the spans within which criteria look for one: ``P60D``."""

NO_WINDOWS: Windows = MappingProxyType({})

_AFTER: Mapping[Derivation, Callable[[date, int], date | None]] = {
    "days-since": days_after,
    "months-since": months_after,
    "years-since": years_after,
}


def next_change(
    recorded: Iterable[RecordedFact],
    traits: Traits,
    vocabulary: Vocabulary,
    cut_points: CutPoints,
    as_of: date,
    windows: Windows = NO_WINDOWS,
) -> date | None:
    """The first day after ``as_of`` on which one of these is another than the day before, or None:

    on which side of a cut point (below, on, above) a derived fact or the days since an event lie, whether an event lies
    within a window, whether a recorded fact counts or is stale, whether something recorded with a later day has come.
    """
    terms = vocabulary.facts
    told = [each for each in recorded if each.name in terms and holds(terms[each.name], each.value)]
    known = standing(told, terms, as_of)
    values: dict[str, Value] = {name: value for name, (value, _) in known.items()} | {**person(traits)}
    days = [
        *(each.observed_on for each in told),
        *(expires_on(each, terms[name]) for name, (_, facts) in known.items() for each in facts),
        *(day for value in values.values() for day in _days(value)),
        *(_crossing(*each, as_of) for each in _measured(values, vocabulary, cut_points, as_of)),
        *(_left(day, span) for name, spans in windows.items() for day in _days(values.get(name)) for span in spans),
    ]
    return min((day for day in days if day is not None and day > as_of), default=None)


def _measured(
    values: Mapping[str, Value], vocabulary: Vocabulary, cut_points: CutPoints, as_of: date
) -> Iterator[tuple[Derivation, date, Sequence[float]]]:
    """Each day from which something is counted up to the day of judgement, how, and the numbers that matter."""
    for name, cuts in cut_points.items():
        derived = vocabulary.derivations.get(name)
        if derived is None:
            yield from (("days-since", day, cuts) for day in _days(values.get(name)))
        elif derived.of in values and (day := day_of(come(values[derived.of], as_of))) is not None:
            yield derived.derive, day, cuts


def _crossing(how: Derivation, day: date, cuts: Sequence[float], as_of: date) -> date | None:
    """When the whole number since ``day`` reaches, or leaves, the next cut point."""
    number = SINCE[how](day, as_of)
    at = bisect_left(cuts, number)
    if number < 0 or at == len(cuts) or math.isinf(cuts[at]):
        return None
    return _AFTER[how](day, number + 1 if cuts[at] == number else math.ceil(cuts[at]))


def _days(value: Value | None) -> Iterator[date]:
    if type(value) is date:
        yield value
    elif isinstance(value, tuple):
        yield from (each.on for each in value if each.on is not None)


def _left(day: date, span: str) -> date | None:
    return next_day(last_day_within(day, span))
