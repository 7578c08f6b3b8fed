"""Lint: every slip it knows is named by criterion and field, and nothing sound is called a slip."""

from importlib.resources import files
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.criteria import Eligibility
from schemas.trial_files import load_trial_files
from schemas.vocabulary import Vocabulary
from schemas.vocabulary_files import load_vocabulary
from services.trials.criteria.evaluate import compile_criterion
from services.trials.criteria.lint import lint
from services.trials.criteria.truth import TRUE
from services.trials.facts.picture import Picture, Unknown
from tests.support.criteria_cases import AS_OF, FACTS, expressions, pictures

FIELDS = {"kind": {"label": "kind", "type": "code"}, "size": {"label": "size", "type": "integer"}}
WORDS = Vocabulary.strict_data(
    {
        "facts": {
            "flag": {"label": "flag", "type": "boolean"},
            "size": {"label": "size", "type": "number"},
            "steps": {"label": "steps", "type": "integer", "minimum": 0, "maximum": 10},
            "kind": {"label": "kind", "type": "code"},
            "few": {"label": "few", "type": "code", "values": {"a": "A", "b": "B"}},
            "set": {"label": "set", "type": "codes"},
            "day": {"label": "day", "type": "date"},
            "platelets": {"label": "platelets", "type": "number", "unit": "/uL"},
            "events": {"label": "events", "type": "events", "fields": FIELDS},
        },
    }
)


def _problems(*expressions: dict[str, Any], **limits: str) -> list[tuple[str, str, str, bool]]:
    criteria = [{"id": f"i{at}", "kind": "inclusion", "expression": each} for at, each in enumerate(expressions, 1)]
    found = lint("T-1", Eligibility.strict_data({"criteria": criteria, **limits}), WORDS)
    return [(each.criterion, each.field, each.reason, each.error) for each in found]


def _fact(name: str, op: str, value: object = None, **more: object) -> dict[str, Any]:
    return {"fact": name, "op": op} | ({} if value is None else {"value": value}) | more


FLAG, NO_FLAG = _fact("flag", "eq", True), _fact("flag", "eq", False)
SELECTED: dict[str, Any] = {"event": "events"}


@pytest.mark.parametrize(
    ("expression", "field", "reason"),
    [
        (_fact("age", "between", [65, 18]), "", "can never be true"),
        ({"all_of": [_fact("size", "lt", 2), _fact("size", "gt", 2)]}, "", "can never be true"),
        ({"all_of": [_fact("steps", "gt", 5), _fact("steps", "lt", 6)]}, "", "can never be true"),
        (_fact("steps", "gt", 10), "", "can never be true"),
        (_fact("steps", "le", 10), "", "is always true"),
        (_fact("age", "ge", 0), "", "is always true"),
        ({"any_of": [FLAG, NO_FLAG]}, "", "is always true"),
        ({"all_of": [_fact("few", "eq", "a"), _fact("few", "eq", "b")]}, "", "can never be true"),
        (_fact("few", "in", ["a", "b"]), "", "is always true"),
        ({"all_of": [_fact("set", "has_any", ["a"]), {"not": _fact("set", "exists")}]}, "", "can never be true"),
        ({"not": _fact("flag", "is_known")}, "", "can never be true"),
        ({"all_of": [_fact("day", "gt", "2027-01-01"), _fact("day", "lt", "2027-01-02")]}, "", "can never be true"),
        ({"count": SELECTED, "op": "lt", "value": 0}, "", "can never be true"),
        ({"all_of": [{"exists": SELECTED}, {"count": SELECTED, "op": "eq", "value": 0}]}, "", "can never be true"),
        ({"any_of": [NO_FLAG, {"all_of": [FLAG, NO_FLAG]}]}, ".any_of.1", "can never be true"),
        ({"not": {"any_of": [NO_FLAG, FLAG]}}, "", "can never be true"),
        (
            {"exists": {"event": "events", "where": {"all_of": [
                {"field": "kind", "op": "eq", "value": "a"}, {"field": "kind", "op": "eq", "value": "b"}]}}},
            ".where", "can never be true",
        ),
        ({"at_least": 0, "of": [FLAG]}, "", "at least 0 is always true"),
        ({"at_least": 2, "of": [FLAG]}, "", "can never be true: at least 2 of 1"),
        ({"at_most": 1, "of": [FLAG]}, "", "is always true: at most 1 of 1"),
        ({"all_of": []}, "", "is empty"),
        ({"not": {"any_of": []}}, ".not", "is empty"),
        ({"at_least": 1, "of": []}, "", "is empty"),
        (_fact("novel", "exists"), "", "novel: isn't in the program's vocabulary"),
        ({"days_since": {"fact": "novel"}, "op": "ge", "value": 1}, "", "novel: isn't in the program's vocabulary"),
        ({"days_since": {"fact": "flag"}, "op": "ge", "value": 1}, "", "flag: holds no date"),
        ({"exists": {"event": "novel"}}, "", "novel: isn't in the program's vocabulary"),
        ({"exists": {"event": "flag"}}, "", "flag: holds no events"),
        (
            {"exists": {"event": "events", "where": {"not": {"field": "novel", "op": "exists"}}}},
            ".where.not", "events.novel: isn't in the program's vocabulary",
        ),
        (
            {"last": SELECTED, "field": "novel", "op": "eq", "value": 1},
            "", "events.novel: isn't in the program's vocabulary",
        ),
        (
            {"last": SELECTED, "field": "kind", "op": "le", "value": 1},
            "", "events.kind: 'le' doesn't fit what is of type code",
        ),
        (_fact("flag", "in", [True]), "", "flag: 'in' doesn't fit what is of type boolean"),
        (
            _fact("events", "eq", 2), "",
            "events: 'eq' doesn't fit what is of type events; ask exists, count, last or days_since",
        ),
        (_fact("size", "eq", "big"), "", "size: needs a number, not 'big'"),
        (_fact("flag", "eq", "yes"), "", "flag: needs true or false, not 'yes'"),
        (_fact("kind", "eq", 3), "", "kind: needs a code, not 3"),
        (_fact("few", "in", ["a", "c"]), "", "few: can't be 'c'; it is one of a, b"),
        (_fact("platelets", "lt", 100, unit="10*9/L"), "", "platelets: is in /uL, not in 10*9/L"),
        (_fact("size", "lt", 100, unit="kg"), "", "size: takes no unit"),
    ],
)  # fmt: skip
def test_a_slip_is_named_with_its_place(expression: dict[str, Any], field: str, reason: str) -> None:
    assert _problems(expression) == [("i1", f"expression{field}", reason, True)]


@pytest.mark.parametrize(
    "expression",
    [
        FLAG,
        _fact("flag", "is_known"),
        {"any_of": [FLAG, _fact("flag", "is_known")]},
        {"all_of": [_fact("size", "gt", 5), _fact("size", "lt", 6)]},
        {"all_of": [_fact("set", "has_any", ["a"]), _fact("set", "has_any", ["b"])]},
        {"all_of": [_fact("set", "exists"), {"not": _fact("set", "has_any", ["a", "b"])}]},
        {"all_of": [{"exists": SELECTED}, {"not": {"exists": {"event": "events", "within": "P60D"}}}]},
        {"days_since": SELECTED, "op": "ge", "value": 60},
        {"last": SELECTED, "field": "kind", "op": "not_in", "value": ["a"]},
        _fact("platelets", "lt", 100, unit="/uL"),
        _fact("age", "between", [18, 18]),
    ],
)
def test_what_is_sound_is_called_no_slip(expression: dict[str, Any]) -> None:
    assert _problems(expression, minimum_age="18 Years", maximum_age="18 Years") == []


def test_a_number_without_its_unit_is_a_warning() -> None:
    assert _problems(_fact("platelets", "lt", 100)) == [("i1", "expression", "platelets: say the unit, /uL", False)]


def test_two_criteria_that_nobody_meets_together_are_named_together() -> None:
    assert _problems(_fact("size", "lt", 2), FLAG, _fact("size", "gt", 2)) == [
        ("i3", "expression", "can't be met together with i1", True)
    ]


def test_a_criterion_against_the_structured_sex_is_named() -> None:
    assert _problems(_fact("sex", "eq", "male"), sex="female") == [
        ("i1", "expression", "can't be met together with sex", True)
    ]


def test_a_stricter_age_than_the_structured_one_is_a_warning_that_says_both() -> None:
    assert _problems(_fact("age", "between", [18, 65]), minimum_age="18 Years") == [
        (
            "i1",
            "expression",
            "age from 18 to 65 years; but the structured age says: age at least 18 years",
            False,
        )
    ]


def test_several_age_criteria_together_may_say_what_the_structured_age_says() -> None:
    assert (
        _problems(_fact("age", "ge", 18), _fact("age", "le", 65), minimum_age="18 Years", maximum_age="65 Years") == []
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Age between 18 and 65 years", True),
        ("Aged 18-65", True),
        ("Patients 18 – 65 years of age", True),
        ("Age 18 to 80 years", False),
        ("Visits every 18 to 65 days", False),
        ("Age-related pain, score 3 to 30 mg", False),
        ("On average 18 to 65 patients", False),
    ],
)
def test_an_unparsed_sentence_about_another_age_is_a_warning(text: str, said: bool) -> None:
    limits = {"minimum_age": "18 Years", "maximum_age": "80 Years"}
    criteria = {"criteria": [{"id": "i1", "kind": "inclusion", "text": text}]}
    found = lint("T-1", Eligibility.strict_data(limits | criteria), WORDS)
    assert [(each.field, each.error) for each in found] == ([("text", False)] if said else [])


def test_the_shipped_trials_have_one_warning_and_no_error() -> None:
    words = load_vocabulary(files("programs") / "cedars-sinai-csf")
    found = [str(each) for name, one in load_trial_files().items() for each in lint(name, one, words)]
    assert found == [
        "NCT07283536: criterion i2: expression: age from 18 to 65 years; "
        "but the structured age says: age at least 18 years"
    ]


@given(expressions, pictures)
def test_what_is_called_never_or_always_true_is_so_for_everybody(expression: dict[str, Any], known: Picture) -> None:
    criteria = Eligibility.strict_data({"criteria": [{"id": "i1", "kind": "inclusion", "expression": expression}]})
    said = [each.reason for each in lint("T-1", criteria, WORDS) if each.field == "expression"]
    truth = compile_criterion(criteria.criteria[0])(known)
    if "can never be true" in said:
        assert truth is not TRUE
    if "is always true" in said:
        assert truth is TRUE or any(isinstance(known.value(name), Unknown) or name == "events" for name in FACTS)


_parts = st.lists(
    st.tuples(st.sampled_from(["lt", "le", "gt", "ge", "eq"]), st.integers(0, 4), st.booleans()), min_size=1, max_size=4
)


@given(_parts, st.sampled_from(["all_of", "any_of"]))
def test_of_one_fact_every_contradiction_and_tautology_is_found(parts: list[tuple[str, int, bool]], node: str) -> None:
    atoms = [_fact("size", op, value) for op, value, _ in parts]
    tree = {node: [{"not": each} if turned else each for each, (_, _, turned) in zip(atoms, parts, strict=True)]}
    criteria = Eligibility.strict_data({"criteria": [{"id": "i1", "kind": "inclusion", "expression": tree}]})
    judge = compile_criterion(criteria.criteria[0])
    halves = [whole + half for whole, half in product(range(-1, 6), (0, 0.5))]
    truths = {judge(Picture(AS_OF, {"size": each})) for each in halves}
    reasons = [each.reason for each in lint("T-1", criteria, WORDS) if each.field == "expression"]
    assert ("can never be true" in reasons) == (TRUE not in truths)
    assert ("is always true" in reasons) == (truths == {TRUE})
