"""Why a match stands, for a coordinator who mustn't know who it is: sentences and facts with source and date. Pure.

What would name somebody is told in bands or not at all: no date of birth, ages by ten years and none over 89, no place,
days of a clinical history by their month.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from schemas.criteria import Cohort, Criterion, Eligibility
from schemas.vocabulary import AGES, Term, Vocabulary
from services.trials.criteria.explain import Explanation, Reading, explain
from services.trials.criteria.structured import structured
from services.trials.criteria.text import sentence, unit_in_words
from services.trials.criteria.truth import Truth
from services.trials.facts.picture import NEVER, Happening, Picture, Unknown, Value

MARKS = {Truth.TRUE: "✓", Truth.FALSE: "✗", Truth.UNKNOWN: "?"}
OUTCOMES = {Truth.TRUE: "met", Truth.FALSE: "not-met", Truth.UNKNOWN: "not-known"}
UNKNOWN = {
    Unknown.MISSING: "not known", Unknown.STALE: "too old to count", Unknown.CONFLICT: "sources contradict each other",
}  # fmt: skip
HIDDEN = ("home-latitude", "home-longitude")
OLDEST = 90
"""Years. From this age on a person is named by it (45 CFR 164.514(b)(2)(i)(C))."""


def explained(eligibility: Eligibility, picture: Picture, vocabulary: Vocabulary) -> list[dict[str, Any]]:
    """Every criterion in the trial's order, age and sex first, each with its cohort where it has one."""
    shared = [(each, None) for each in (*structured(eligibility), *eligibility.criteria)]
    own = [(each, cohort) for cohort in eligibility.cohorts for each in cohort.criteria]
    return [_criterion(each, cohort, explain(each, picture), vocabulary) for each, cohort in [*shared, *own]]


def _criterion(
    criterion: Criterion, cohort: Cohort | None, found: Explanation, vocabulary: Vocabulary
) -> dict[str, Any]:
    return {
        "id": criterion.id,
        "cohort": cohort.name if cohort else None,
        "kind": criterion.kind,
        "mark": MARKS[found.truth],
        "outcome": OUTCOMES[found.truth],
        "sentence": sentence(criterion, vocabulary),
        "text": criterion.text,
        "checked_by": "the coordinator" if criterion.expression is None else "the program",
        "anchor": criterion.anchor,
        "facts": [_reading(each, vocabulary) for each in found.readings],
        "falsified_by": list(labels(found.falsified_by, vocabulary)),
        "decided_by": list(labels(found.decided_by, vocabulary)),
    }


def labels(names: Iterable[str], vocabulary: Vocabulary) -> Iterable[str]:
    """Names of facts as people say them."""
    return (vocabulary.terms[each].label if each in vocabulary.terms else each for each in names)


def _reading(reading: Reading, vocabulary: Vocabulary) -> dict[str, Any]:
    term = vocabulary.terms.get(reading.fact)
    personal = not reading.recorded and not isinstance(reading.value, Unknown)
    sources = [{"source": each.source, "observed_on": each.observed_on.isoformat()} for each in reading.recorded]
    return {
        "fact": reading.fact,
        "label": term.label if term else reading.fact,
        "value": said(reading.fact, reading.value, term),
        "sources": [{"source": "the patient's record", "observed_on": None}] if personal else sources,
    }


def said(fact: str, value: Value, term: Term | None) -> str:
    """A value in words; the age, and what gives a birth date or a home away, only as far as they may be told."""
    if isinstance(value, Unknown):
        return UNKNOWN[value]
    if fact in HIDDEN:
        return "known"
    if fact in AGES or fact == "birth-date":
        return _age_band(fact, value)
    if isinstance(value, tuple):
        return _events(value, term)
    return _plain(value, term)


def _age_band(fact: str, value: Value) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "known"
    years = int(value) // 12 if fact == "age-in-months" else int(value)
    if years >= OLDEST:
        return f"{OLDEST} years or over"
    return f"{years // 10 * 10} to {years // 10 * 10 + 9} years"


def _plain(value: Value, term: Term | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, date):
        return f"{value:%B %Y}"
    if isinstance(value, frozenset):
        return ", ".join(_code(each, term.values if term else {}) for each in sorted(value)) or "none"
    if isinstance(value, str):
        return _code(value, term.values if term else {})
    if value == NEVER:
        return "there was none"
    unit = term.unit if term else None
    number = f"{value:g}" if isinstance(value, float) else f"{value}"
    return f"{number} {unit_in_words(unit, float(value))}" if unit and isinstance(value, int | float) else number


def _events(events: Sequence[Happening], term: Term | None) -> str:
    if not events:
        return "none"
    fields = term.fields if term else {}
    told = [_event(each, {name: field.values for name, field in fields.items()}) for each in events]
    return f"{len(events)} ({'; '.join(told)})"


def _event(event: Happening, codes: Mapping[str, Mapping[str, str]]) -> str:
    told = [_code(str(each), codes.get(name, {})) for name, each in sorted(event.fields.items())]
    return ", ".join([f"{event.on:%B %Y}" if event.on else "undated", *told])


def _code(value: str, values: Mapping[str, str]) -> str:
    return str(values.get(value, value))
