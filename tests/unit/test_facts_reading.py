"""Facts as they come in events: read by the program's vocabulary, or refused with fact and reason, never the value."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from schemas.patient import Fact
from schemas.vocabulary import Vocabulary
from services.trials.facts.checks import FactProblem, check_fact
from services.trials.facts.picture import Happening, Known, RecordedFact
from services.trials.facts.reading import read_facts

ZONE, TODAY = "America/Los_Angeles", date(2027, 3, 10)
NOON = datetime(2027, 3, 10, 19, 0, tzinfo=UTC)
VOCABULARY = Vocabulary.strict_data({
    "facts": {
        "pregnant": {"label": "pregnant", "type": "boolean"},
        "kind": {"label": "kind", "type": "code", "values": {"a": "an a", "b": "a b"}},
        "language": {"label": "language", "type": "code"},
        "leaks": {"label": "leaks", "type": "integer", "minimum": 0, "maximum": 9},
        "inr": {"label": "INR", "type": "number", "minimum": 0},
        "pressure": {"label": "pressure", "type": "number", "unit": "cm[H2O]", "minimum": -50, "maximum": 100},
        "allergies": {"label": "allergies", "type": "codes", "values": {"a": "an a", "b": "a b"}},
        "onset": {"label": "onset", "type": "date"},
        "patch": {"label": "patch", "type": "events", "fields": {
            "level": {"label": "level", "type": "code", "values": {"low": "low", "high": "high"}},
            "volume": {"label": "volume", "type": "number", "unit": "mL", "minimum": 0, "maximum": 200},
        }},
    },
    "derived": {"onset-days": {"label": "days since onset", "derive": "days-since", "of": "onset"}},
})  # fmt: skip


def wire(name: str, value: Any, **more: Any) -> Fact:
    return Fact.strict_data({"name": name, "value": value, "source": "desk", "observed_at": NOON} | more)


def read(*facts: Fact) -> tuple[tuple[RecordedFact, ...], list[str]]:
    taken, problems = read_facts(facts, VOCABULARY, ZONE, TODAY)
    return taken, [str(each) for each in problems]


@pytest.mark.parametrize(
    ("name", "value", "known"),
    [
        ("pregnant", False, False),
        ("kind", "a", "a"),
        ("language", "es-US", "es-US"),
        ("leaks", 2, 2),
        ("leaks", 2.0, 2),
        ("leaks", 9, 9),
        ("inr", 1.2, 1.2),
        ("inr", 0, 0),
        ("allergies", [], frozenset()),
        ("allergies", ["b", "a", "a"], frozenset({"a", "b"})),
        ("onset", "2027-03-10", TODAY),
        ("patch", [], ()),
        ("patch", [{"on": "2027-03-10", "level": "low", "volume": 20}],
         (Happening(TODAY, {"level": "low", "volume": 20}),)),
        ("patch", [{"on": None, "level": None}, {}], (Happening(None), Happening(None))),
    ],
)  # fmt: skip
def test_a_value_is_read_as_the_vocabularys_type(name: str, value: Any, known: Known) -> None:
    [taken], problems = read(wire(name, value))
    assert (taken.value, type(taken.value), problems) == (known, type(known), [])


def test_instants_become_days_in_the_programs_zone() -> None:
    late = datetime(2027, 3, 10, 7, 59, tzinfo=UTC)  # still the ninth in California
    [taken], _ = read(wire("kind", "a", observed_at=late, valid_until=datetime(2027, 3, 16, 6, 59, tzinfo=UTC)))
    assert (taken.observed_on, taken.valid_until, taken.observed_at) == (date(2027, 3, 9), date(2027, 3, 15), late)


BAD: list[tuple[str, Any, dict[str, Any], str]] = [
    ("colour", "red", {}, "isn't in the program's vocabulary"),
    ("age", 40, {}, "comes from the patient's record, so it can't be recorded"),
    ("sex", "female", {}, "comes from the patient's record, so it can't be recorded"),
    ("onset-days", 40, {}, "is derived, so it can't be recorded"),
    ("pregnant", "no", {}, "must be true or false"),
    ("pregnant", 0, {}, "must be true or false"),
    ("pregnant", None, {}, "must be true or false"),
    ("leaks", True, {}, "must be a whole number"),
    ("leaks", 2.5, {}, "must be a whole number"),
    ("inr", "2", {}, "must be a number"),
    ("inr", True, {}, "must be a number"),
    ("kind", ["a"], {}, "must be a code"),
    ("allergies", "a", {}, "must be a list of codes"),
    ("allergies", [1], {}, "must be a list of codes"),
    ("onset", "10 March", {}, "must be a day such as 2027-03-16"),
    ("onset", "2027-W10-3", {}, "must be a day such as 2027-03-16"),
    ("onset", "2027-02-30", {}, "must be a day such as 2027-03-16"),
    ("patch", 2, {}, "must be a list of events, each with 'on' and its fields"),
    ("patch", ["2027-03-01"], {}, "must be a list of events, each with 'on' and its fields"),
    ("patch", [{"on": "March"}], {}, "must be a list of events, each with 'on' and its fields"),
    ("patch", [{"level": ["low"]}], {}, "must be a list of events, each with 'on' and its fields"),
    ("pressure", 4, {"unit": "mm-hg"}, "must be in cm[H2O]"),
    ("pressure", 4, {}, "must be in cm[H2O]"),
    ("inr", 1, {"unit": "s"}, "takes no unit"),
    ("kind", "c", {}, "is none of the values that the program's vocabulary has"),
    ("language", "¿qué?", {}, "is none of the values that the program's vocabulary has"),
    ("allergies", ["a", "c"], {}, "is none of the values that the program's vocabulary has"),
    ("leaks", 10, {}, "is beyond the vocabulary's bounds, 0 to 9"),
    ("inr", -0.5, {}, "is beyond the vocabulary's bounds, 0 to inf"),
    ("inr", float("nan"), {}, "is beyond the vocabulary's bounds, 0 to inf"),
    ("inr", float("inf"), {}, "is beyond the vocabulary's bounds, 0 to inf"),
    ("onset", "2027-03-11", {}, "is in the future"),
    ("kind", "a", {"observed_at": datetime(2027, 3, 11, 8, 0, tzinfo=UTC)}, "was observed in the future"),
    ("kind", "a", {"valid_until": datetime(2027, 3, 9, 8, 0, tzinfo=UTC)}, "ends before it was observed"),
    ("patch", [{}, {"on": "2027-03-11"}], {}, "event 2 is in the future"),
    ("patch", [{"level": "middle"}], {}, "event 1, level: is none of the values that the program's vocabulary has"),
    ("patch", [{"level": 3}], {}, "event 1, level: must be a code"),
    ("patch", [{"volume": 201}], {}, "event 1, volume: is beyond the vocabulary's bounds, 0 to 200"),
    ("patch", [{"colour": "red"}], {}, "event 1 has a field that isn't in the program's vocabulary"),
]


@pytest.mark.parametrize(("name", "value", "more", "reason"), BAD)
def test_what_the_vocabulary_does_not_allow_is_refused_with_fact_and_reason(
    name: str, value: Any, more: dict[str, Any], reason: str
) -> None:
    assert read(wire(name, value, **more)) == ((), [f"{name}: {reason}"])


def test_a_refused_fact_takes_no_other_with_it_and_every_problem_is_named() -> None:
    taken, problems = read(wire("kind", "c"), wire("inr", 2), wire("pressure", 500))
    assert [each.name for each in taken] == ["inr"]
    assert problems == [
        "kind: is none of the values that the program's vocabulary has",
        "pressure: must be in cm[H2O]",
        "pressure: is beyond the vocabulary's bounds, -50 to 100",
    ]


def test_a_fact_in_its_unit_is_taken() -> None:
    assert check_fact(RecordedFact("pressure", 6, "desk", TODAY, unit="cm[H2O]"), VOCABULARY, TODAY) == ()


def test_a_fact_recorded_with_another_type_is_refused_however_it_was_read() -> None:
    found = check_fact(RecordedFact("onset", "2027-01-01", "desk", TODAY), VOCABULARY, TODAY)
    assert found == (FactProblem("onset", "must be a day such as 2027-03-16"),)
