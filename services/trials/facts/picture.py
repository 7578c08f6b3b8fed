"""A patient's picture: what is known on a day. What is missing, stale or in conflict is unknown."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date

from schemas.vocabulary import Derivation, Vocabulary
from services.trials.facts.dates import days_since, months_since, years_since
from services.trials.facts.settle import standing
from services.trials.facts.values import NEVER, Happening, Known, Picture, RecordedFact, Traits, Unknown, Value

__all__ = ["NEVER", "Happening", "Known", "Picture", "RecordedFact", "Traits", "Unknown", "Value", "derive", "picture"]

SINCE: Mapping[Derivation, Callable[[date, date], int]] = {
    "days-since": days_since,
    "months-since": months_since,
    "years-since": years_since,
}


def picture(recorded: Iterable[RecordedFact], traits: Traits, vocabulary: Vocabulary, as_of: date) -> Picture:
    """What is known on ``as_of``, a day in the program's zone: what was observed later isn't seen.

    Names about which nobody told are absent. A date, or an event's date, after ``as_of`` is not yet known.
    """
    values: dict[str, Value] = {}
    behind: dict[str, tuple[RecordedFact, ...]] = {}
    for name, (value, facts) in standing(recorded, vocabulary.facts, as_of).items():
        values[name], behind[name] = come(value, as_of), facts
    values |= {name: come(value, as_of) for name, value in person(traits).items()}
    for name, each in vocabulary.derivations.items():
        if each.of in values:
            values[name] = derive(each.derive, values[each.of], as_of)
            if each.of in behind:
                behind[name] = behind[each.of]
    return Picture(as_of, values, behind)


def person(traits: Traits) -> dict[str, Known]:
    """The facts that every program has. A sex of unknown is not known."""
    known: dict[str, Known] = {}
    if traits.birth_date is not None:
        known["birth-date"] = traits.birth_date
    if traits.sex is not None and traits.sex != "unknown":
        known["sex"] = str(traits.sex)
    return known


def derive(how: Derivation, value: Value, as_of: date) -> Value:
    """Whole days, months or years from a date or from the last event, ``NEVER`` where it is known that there was none.

    Unknown as its input is; an event without a date could be the last, so nothing is known then.
    """
    if isinstance(value, Unknown):
        return value
    if value == ():
        return NEVER
    day = day_of(value)
    return Unknown.MISSING if day is None else SINCE[how](day, as_of)


def day_of(value: Value) -> date | None:
    """A date, or that of the last event; None where there is none, or an event without a date could be the last."""
    if isinstance(value, tuple):
        days = [each.on for each in value if each.on is not None]
        return max(days) if days and len(days) == len(value) else None
    return value if isinstance(value, date) else None


def come(value: Value, as_of: date) -> Value:
    """What has come by then."""
    if type(value) is date:
        return value if value <= as_of else Unknown.MISSING
    if type(value) is tuple and any(each.on is not None and each.on > as_of for each in value):
        return tuple(each for each in value if each.on is None or each.on <= as_of)
    return value
