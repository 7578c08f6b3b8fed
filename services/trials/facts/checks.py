"""Whether a recorded fact is one that the program knows. Problems name fact and reason, never the value."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from schemas.vocabulary import FieldTerm, Term, Vocabulary
from services.trials.facts.settle import holds
from services.trials.facts.values import Happening, RecordedFact

_ANY_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")
WRITTEN = {
    "boolean": "must be true or false",
    "integer": "must be a whole number",
    "number": "must be a number",
    "code": "must be a code",
    "codes": "must be a list of codes",
    "date": "must be a day such as 2027-03-16",
    "events": "must be a list of events, each with 'on' and its fields",
}
"""What is wrong with a value of another type."""


@dataclass(frozen=True, slots=True)
class FactProblem:
    """Why a fact isn't taken. ``reason`` follows the fact's name in a sentence."""

    fact: str
    reason: str

    def __str__(self) -> str:
        return f"{self.fact}: {self.reason}"


def check_fact(recorded: RecordedFact, vocabulary: Vocabulary, today: date) -> tuple[FactProblem, ...]:
    """Every problem of one fact; empty when it can be taken. ``today`` in the program's zone."""
    term = vocabulary.facts.get(recorded.name)
    reasons = [not_recordable(recorded.name, vocabulary)] if term is None else _reasons(recorded, term, today)
    return tuple(FactProblem(recorded.name, each) for each in reasons)


def not_recordable(name: str, vocabulary: Vocabulary) -> str:
    """Why a name is none that can be recorded."""
    if name in vocabulary.derived:
        return "is derived, so it can't be recorded"
    if name in vocabulary.terms:
        return "comes from the patient's record, so it can't be recorded"
    return "isn't in the program's vocabulary"


def _reasons(recorded: RecordedFact, term: Term, today: date) -> Iterator[str]:
    if recorded.unit != term.unit:
        yield f"must be in {term.unit}" if term.unit else "takes no unit"
    if recorded.observed_on > today:
        yield "was observed in the future"
    if recorded.valid_until is not None and recorded.valid_until < recorded.observed_on:
        yield "ends before it was observed"
    if not holds(term, recorded.value):
        yield WRITTEN[term.type]
    elif isinstance(recorded.value, tuple):
        for index, event in enumerate(recorded.value, 1):
            yield from (f"event {index}{reason}" for reason in _event(event, term, today))
    elif isinstance(recorded.value, date):
        yield from ["is in the future"] if recorded.value > today else []
    else:
        yield from _value(recorded.value, term)


def _event(event: Happening, term: Term, today: date) -> Iterator[str]:
    if event.on is not None and event.on > today:
        yield " is in the future"
    for name, value in event.fields.items():
        field = term.fields.get(name)
        if field is None:
            yield " has a field that isn't in the program's vocabulary"
        else:
            yield from (f", {name}: {reason}" for reason in _field(value, field))


def _field(value: object, field: FieldTerm) -> Iterator[str]:
    if holds(field, value):
        yield from _value(value, field)
    else:
        yield WRITTEN[field.type]


def _value(value: object, term: Term | FieldTerm) -> Iterator[str]:
    if isinstance(value, str | frozenset) and not all(_allowed(code, term) for code in _codes(value)):
        yield "is none of the values that the program's vocabulary has"
    if isinstance(value, int | float) and not isinstance(value, bool):
        low = -math.inf if term.minimum is None else term.minimum
        high = math.inf if term.maximum is None else term.maximum
        if not (math.isfinite(value) and low <= value <= high):
            yield f"is beyond the vocabulary's bounds, {low:g} to {high:g}"


def _codes(value: str | frozenset[str]) -> frozenset[str]:
    return frozenset([value]) if isinstance(value, str) else value


def _allowed(code: object, term: Term | FieldTerm) -> bool:
    if not isinstance(code, str):
        return False
    return code in term.values if term.values else _ANY_CODE.fullmatch(code) is not None
