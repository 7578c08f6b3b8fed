"""Explanations, facts worth asking about, and criteria in words."""

from datetime import date, timedelta
from functools import partial
from typing import Any

import pytest

from schemas.criteria import Criterion, Eligibility
from schemas.vocabulary import Vocabulary
from services.trials.criteria.explain import explain, turns_true_on
from services.trials.criteria.structured import structured
from services.trials.criteria.text import sentence, unit_in_words
from services.trials.criteria.truth import FALSE, TRUE, UNKNOWN
from services.trials.facts.moments import next_change
from services.trials.facts.picture import Picture, RecordedFact, Traits, Unknown, picture
from services.trials.matching.deciding import deciding
from services.trials.matching.verdict import Matcher

AS_OF = date(2027, 3, 16)
PATCH_FIELDS = {"response": {"label": "response", "type": "code", "values": {"better": "improved"}}}
WORDS = Vocabulary.strict_data(
    {
        "facts": {
            "pressure": {"label": "opening pressure", "type": "number", "unit": "cm[H2O]"},
            "kind": {
                "label": "leak type",
                "type": "code",
                "values": {"type-3": "type 3 (CSF-venous fistula)", "x": "X"},
            },
            "allergies": {"label": "allergies", "type": "codes", "values": {"latex": "latex", "dye": "iodinated dye"}},
            "pregnant": {"label": "pregnant", "type": "boolean"},
            "onset": {"label": "onset of symptoms", "type": "date"},
            "patch": {"label": "epidural blood patch", "type": "events", "fields": PATCH_FIELDS},
        },
        "derived": {
            "days-since-onset": {"label": "days since the onset of symptoms", "derive": "days-since", "of": "onset"}
        },
    }
)


def _criterion(expression: dict[str, Any] | None, kind: str = "inclusion", name: str = "i1") -> Criterion:
    return Criterion.strict_data({"id": name, "kind": kind, "text": "As written.", "expression": expression})


def _is(fact: str, value: object = True) -> dict[str, Any]:
    return {"fact": fact, "op": "eq", "value": value}


def _known(**values: Any) -> Picture:
    return Picture(AS_OF, values)


def test_a_false_criterion_is_explained_by_the_fewest_facts() -> None:
    asked = _criterion({"any_of": [{"all_of": [_is("a"), _is("b")]}, {"all_of": [_is("b"), _is("c")]}]})
    found = explain(asked, _known(a=False, b=False, c=False))
    assert (found.truth, found.falsified_by, found.decided_by) == (FALSE, ("b",), ())


def test_an_exclusion_is_false_by_what_excludes() -> None:
    found = explain(_criterion({"any_of": [_is("a"), _is("b")]}, "exclusion"), _known(a=False, b=True))
    assert (found.truth, found.falsified_by) == (FALSE, ("b",))


def test_two_facts_falsify_together_where_one_cannot() -> None:
    asked = _criterion({"at_least": 2, "of": [_is("a"), _is("b"), _is("c")]})
    assert explain(asked, _known(a=False, b=False)).falsified_by == ("a", "b")


def test_the_smallest_set_is_found_where_leaving_out_one_by_one_would_end_in_a_larger_one() -> None:
    pairs = [("p", "x"), ("p", "y"), ("q", "z"), ("q", "w")]
    asked = _criterion({"any_of": [{"all_of": [_is(one), _is(other)]} for one, other in pairs]})
    assert explain(asked, _known(**dict.fromkeys("pqxyzw", False))).falsified_by == ("p", "q")


@pytest.mark.parametrize(
    ("expression", "known", "decide"),
    [
        ({"all_of": [_is("a"), _is("b")]}, {}, ("a", "b")),
        ({"at_least": 2, "of": [_is("a"), _is("b"), _is("c")]}, {"a": True}, ("b", "c")),
        ({"at_least": 2, "of": [_is("a"), _is("b"), _is("c")]}, {}, ("a", "b", "c")),
        ({"any_of": [_is("a"), {"all_of": [_is("b"), _is("c")]}]}, {}, ("a",)),
        (
            {"all_of": [{"fact": "age", "op": "ge", "value": 18}, {"fact": "age", "op": "le", "value": 65}]},
            {},
            ("age",),
        ),
        ({"fact": "a", "op": "is_known"}, {"a": Unknown.CONFLICT}, ("a",)),
        (None, {}, ()),
    ],
)
def test_an_unknown_criterion_names_the_facts_that_would_decide(
    expression: dict[str, Any] | None, known: dict[str, Any], decide: tuple[str, ...]
) -> None:
    found = explain(_criterion(expression), _known(**known))
    assert (found.truth, found.decided_by) == (UNKNOWN, decide)


def test_a_reading_has_the_value_and_the_recorded_facts_behind_it() -> None:
    recorded = RecordedFact("pressure", 4, "clinic", date(2027, 3, 1), unit="cm[H2O]")
    asked = _criterion({"all_of": [{"fact": "pressure", "op": "le", "value": 6}, _is("pregnant", False)]})
    found = explain(asked, picture([recorded], Traits(), WORDS, AS_OF))
    assert [(each.fact, each.value, each.recorded) for each in found.readings] == [
        ("pressure", 4, (recorded,)),
        ("pregnant", Unknown.MISSING, ()),
    ]


@pytest.mark.parametrize(
    ("op", "value", "day"), [("ge", 60, date(2027, 4, 20)), ("gt", 60, date(2027, 4, 21)), ("le", 3, None)]
)
def test_a_criterion_that_time_alone_makes_true_has_a_date(op: str, value: int, day: date | None) -> None:
    onset = RecordedFact("onset", AS_OF - timedelta(days=25), "clinic", AS_OF)
    asked = _criterion({"fact": "days-since-onset", "op": op, "value": value})
    at = partial(picture, [onset], Traits(), WORDS)
    coming = partial(next_change, [onset], Traits(), WORDS, {"days-since-onset": [value]})
    assert turns_true_on(asked, at, coming, AS_OF, date(2028, 3, 16)) == day
    assert turns_true_on(asked, at, coming, AS_OF, date(2027, 4, 19)) is None


def _matcher(*criteria: tuple[str, dict[str, Any]]) -> Matcher:
    written = [
        {"id": f"i{at}", "kind": kind, "expression": expression} for at, (kind, expression) in enumerate(criteria)
    ]
    return Matcher(Eligibility.strict_data({"criteria": written}))


TRIALS = {
    "T-1": _matcher(("inclusion", _is("a")), ("exclusion", _is("b"))),
    "T-2": _matcher(("inclusion", _is("a"))),
    "T-3": _matcher(("inclusion", {"at_least": 2, "of": [_is("b"), _is("c")]})),
    "T-4": _matcher(("inclusion", _is("d"))),
}


def test_the_fact_that_settles_most_trials_comes_first() -> None:
    found = {each.fact: (each.settles, each.to_eligible) for each in deciding(TRIALS, _known(d=True))}
    assert list(found) == ["a", "b", "c"]
    assert found == {
        "a": (("T-1", "T-2"), ("T-2",)),  # not alone for T-1: b is unknown too
        "b": (("T-1", "T-3"), ()),
        "c": (("T-3",), ()),
    }


def test_a_trial_that_is_settled_asks_for_nothing() -> None:
    assert deciding(TRIALS, _known(a=False, b=False, d=True)) == ()


def test_one_answer_settles_all_criteria_that_ask_it_and_any_cohort_will_do() -> None:
    cohorts = Eligibility.strict_data(
        {
            "minimum_age": "18 Years",
            "cohorts": [
                {"id": each, "name": each, "criteria": [{"id": "i1", "kind": "inclusion", "expression": _is(each)}]}
                for each in ("a", "b")
            ],
        }
    )
    found = {each.fact: each.to_eligible for each in deciding({"T-1": Matcher(cohorts)}, _known(age=40, a=False))}
    assert found == {"b": ("T-1",)}
    found = {each.fact: each.to_eligible for each in deciding({"T-1": Matcher(cohorts)}, _known(a=True, b=True))}
    assert found == {"age": ("T-1",)}


def test_a_value_between_two_cut_points_is_tried() -> None:
    between = _matcher(
        ("inclusion", {"fact": "x", "op": "gt", "value": 5}), ("exclusion", {"fact": "x", "op": "ge", "value": 6})
    )
    assert deciding({"T-1": between}, _known())[0].to_eligible == ("T-1",)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ({"fact": "pressure", "op": "le", "value": 6, "unit": "cm[H2O]"}, "opening pressure at most 6 cm H2O"),
        ({"fact": "pressure", "op": "between", "value": [2, 6.5]}, "opening pressure from 2 to 6.5 cm H2O"),
        ({"fact": "age", "op": "ge", "value": 1}, "age at least 1 year"),
        ({"fact": "days-since-onset", "op": "lt", "value": 28}, "days since the onset of symptoms below 28"),
        (_is("kind", "type-3"), "leak type is type 3 (CSF-venous fistula)"),
        (
            {"fact": "kind", "op": "not_in", "value": ["type-3", "x"]},
            "leak type is not type 3 (CSF-venous fistula) or X",
        ),
        (
            {"fact": "allergies", "op": "has_all", "value": ["latex", "dye"]},
            "allergies include latex and iodinated dye",
        ),
        ({"fact": "allergies", "op": "exists"}, "allergies: at least one"),
        (_is("pregnant"), "pregnant"),
        (_is("pregnant", False), "not: pregnant"),
        ({"fact": "pregnant", "op": "is_known"}, "pregnant is known"),
        ({"fact": "onset", "op": "ge", "value": "2027-01-02"}, "onset of symptoms 2027-01-02 or after"),
        ({"days_since": {"fact": "onset"}, "op": "le", "value": 5}, "days since onset of symptoms at most 5"),
        ({"exists": {"event": "patch", "within": "P60D"}}, "epidural blood patch in the last 60 days: at least one"),
        ({"exists": {"event": "patch", "within": "P1M"}}, "epidural blood patch in the last month: at least one"),
        (
            {
                "count": {"event": "patch", "where": {"field": "response", "op": "eq", "value": "better"}},
                "op": "ge",
                "value": 2,
            },
            "epidural blood patch where response is improved: number at least 2",
        ),
        (
            {"last": {"event": "patch"}, "field": "response", "op": "eq", "value": "better"},
            "response of the last epidural blood patch is improved",
        ),
        (
            {"days_since": {"event": "patch"}, "op": "gt", "value": 5},
            "days since the last epidural blood patch above 5",
        ),
        (
            {"any_of": [{"all_of": [_is("pregnant"), _is("kind", "x")]}, {"not": _is("pregnant")}]},
            "(pregnant and leak type is X) or not (pregnant)",
        ),
        ({"at_least": 2, "of": [_is("pregnant"), _is("kind", "x")]}, "at least 2 of: pregnant; leak type is X"),
        ({"not": {"at_most": 1, "of": [_is("pregnant")]}}, "not (at most 1 of: pregnant)"),
        (_is("unheard-of", "x"), "unheard-of is x"),
    ],
)
def test_a_criterion_reads_as_a_sentence(expression: dict[str, Any], words: str) -> None:
    assert sentence(_criterion(expression), WORDS) == words


def test_an_exclusion_reads_as_what_must_not_be() -> None:
    assert sentence(_criterion(_is("pregnant"), "exclusion"), WORDS) == "not: pregnant"
    either = {"any_of": [_is("pregnant"), _is("kind", "x")]}
    assert sentence(_criterion(either, "exclusion"), WORDS) == "not (pregnant or leak type is X)"


def test_an_unparsed_criterion_keeps_its_own_sentence() -> None:
    assert sentence(_criterion(None), WORDS) == "As written."


def test_structured_age_and_sex_read_as_sentences() -> None:
    limits = Eligibility.strict_data({"minimum_age": "18 Years", "maximum_age": "65 Years", "sex": "female"})
    assert [sentence(each, WORDS) for each in structured(limits)] == [
        "age at least 18 years and age at most 65 years",
        "sex is female",
    ]


def test_units_are_told_in_words() -> None:
    assert [unit_in_words("/uL"), unit_in_words("mo", 1), unit_in_words("kg/m2")] == ["per µL", "month", "kg/m2"]


def test_true_needs_no_reason() -> None:
    found = explain(_criterion(_is("a")), _known(a=True))
    assert (found.truth, found.falsified_by, found.decided_by) == (TRUE, (), ())


def test_a_fact_that_is_asked_as_a_number_and_as_a_truth_may_be_answered_as_either() -> None:
    number = {"fact": "flag", "op": "between", "value": [0, 1]}
    asked = _criterion({"any_of": [{"all_of": [number, _is("a")]}, {"not": {"fact": "flag", "op": "exists"}}]})
    assert explain(asked, _known()).decided_by == ("flag",)
