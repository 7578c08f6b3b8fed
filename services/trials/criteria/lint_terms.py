"""Criteria against the program's vocabulary: names, operators, values and units that it doesn't know."""

from collections.abc import Iterator, Mapping
from typing import Any

from schemas.expressions import (
    Compared,
    DaysSince,
    EventField,
    Fact,
    FactDate,
    Last,
    Op,
    is_number,
)
from schemas.expressions import selection as selection_of
from schemas.vocabulary import FieldTerm, Term, Vocabulary
from services.trials.criteria.places import Place

_NUMERIC = frozenset({Op.EQ, Op.IN, Op.NOT_IN, Op.LT, Op.LE, Op.GT, Op.GE, Op.BETWEEN, Op.IS_KNOWN})
OPS: Mapping[str, frozenset[Op]] = {
    "boolean": frozenset({Op.EQ, Op.EXISTS, Op.IS_KNOWN}),
    "integer": _NUMERIC,
    "number": _NUMERIC,
    "code": frozenset({Op.EQ, Op.IN, Op.NOT_IN, Op.IS_KNOWN}),
    "codes": frozenset({Op.HAS_ANY, Op.HAS_ALL, Op.EXISTS, Op.IS_KNOWN}),
    "date": frozenset({Op.EQ, Op.LT, Op.LE, Op.GT, Op.GE, Op.BETWEEN, Op.IS_KNOWN}),
    "events": frozenset({Op.EXISTS, Op.IS_KNOWN}),
}

_ABSENT = "isn't in the program's vocabulary"


def term_problems(place: Place, vocabulary: Vocabulary) -> Iterator[str]:
    """What is wrong with an atom, its parts apart; each reason names the fact or the event's field."""
    match place.part:
        case Fact(fact=name) | DaysSince(days_since=FactDate(fact=name)) if name not in vocabulary.terms:
            yield f"{name}: {_ABSENT}"
        case DaysSince(days_since=FactDate(fact=name)):
            if vocabulary.terms[name].type != "date":
                yield f"{name}: holds no date"
        case Fact() | EventField():
            yield from _misused(place, vocabulary)
        case atom if (event := _event(atom)) is not None:
            if event not in vocabulary.terms:
                yield f"{event}: {_ABSENT}"
            elif vocabulary.terms[event].type != "events":
                yield f"{event}: holds no events"
            elif isinstance(atom, Last):
                yield from _misused(place, vocabulary)


def unit_unsaid(place: Place, vocabulary: Vocabulary) -> str | None:
    """A number beside which the unit should stand; whole days, months and years go without saying."""
    name, term = _term(place, vocabulary)
    if term is None or term.unit is None or not isinstance(place.part, Compared) or place.part.op is Op.IS_KNOWN:
        return None
    if place.part.unit is not None or name in vocabulary.derivations:
        return None
    return f"{name}: say the unit, {term.unit}"


def term_of(place: Place, vocabulary: Vocabulary) -> Term | FieldTerm | None:
    """What the vocabulary says of the value that an atom compares; None of a number of events or days."""
    return _term(place, vocabulary)[1]


def _term(place: Place, vocabulary: Vocabulary) -> tuple[str, Term | FieldTerm | None]:
    match place.part:
        case Fact(fact=name):
            return name, vocabulary.terms.get(name)
        case EventField(field=name):
            return f"{place.event}.{name}", _field(place.event, name, vocabulary)
        case Last(last=found, field=name):
            return f"{found.event}.{name}", _field(found.event, name, vocabulary)
    return "", None


def _field(event: str | None, name: str, vocabulary: Vocabulary) -> FieldTerm | None:
    term = vocabulary.terms.get(event or "")
    return term.fields.get(name) if term else None


def _event(part: Any) -> str | None:
    found = selection_of(part) if not isinstance(part, Fact | EventField) else None
    return found.event if found else None


def _misused(place: Place, vocabulary: Vocabulary) -> Iterator[str]:
    name, term = _term(place, vocabulary)
    atom = place.part
    if term is None or not isinstance(atom, Compared):
        if place.event is None or place.event in vocabulary.terms:
            yield f"{name}: {_ABSENT}"
        return
    if atom.op not in OPS[term.type]:
        hint = "; ask exists, count, last or days_since" if term.type == "events" else ""
        yield f"{name}: '{atom.op}' doesn't fit what is of type {term.type}{hint}"
        return
    values = atom.value if isinstance(atom.value, tuple) else () if atom.value is None else (atom.value,)
    yield from (f"{name}: {reason}" for each in values if (reason := _unfit(each, term)))
    if atom.unit is not None and atom.unit != term.unit:
        yield f"{name}: is in {term.unit}, not in {atom.unit}" if term.unit else f"{name}: takes no unit"


def _unfit(value: object, term: Term | FieldTerm) -> str | None:
    if term.type in ("integer", "number"):
        return None if is_number(value) else f"needs a number, not {value!r}"
    if term.type == "boolean":
        return None if isinstance(value, bool) else f"needs true or false, not {value!r}"
    if not isinstance(value, str):
        return f"needs a {'day' if term.type == 'date' else 'code'}, not {value!r}"
    if term.type != "date" and term.values and value not in term.values:
        return f"can't be {value!r}; it is one of {', '.join(term.values)}"
    return None
