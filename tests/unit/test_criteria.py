"""The language: what is refused and why, what a reader makes of what it can't read, and what atoms over events mean."""

import json
import re
from datetime import date
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import ValidationError

from schemas.bounded import MAX_LEVELS, TooDeepError, loads
from schemas.criteria import AgeLimit, Criterion, Eligibility, Status
from schemas.expressions import MAX_DEPTH, MAX_NODES
from schemas.trial_files import load_trial_file
from schemas.yaml_files import ProgramFilesError
from services.trials.criteria.evaluate import compile_criterion
from services.trials.criteria.truth import FALSE, TRUE, UNKNOWN, Truth
from services.trials.facts.picture import Happening, Picture, Unknown, Value

AS_OF = date(2027, 3, 16)
YES = {"fact": "flag", "op": "eq", "value": True}


def _criterion(expression: object, **more: object) -> Criterion:
    return Criterion.strict_data({"id": "i1", "kind": "inclusion", "expression": expression, **more})


def _nested(levels: int) -> dict[str, Any]:
    tree: dict[str, Any] = YES
    for _ in range(levels - 1):
        tree = {"not": tree}
    return tree


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ({}, "needs one of all_of"),
        ("pregnant", "needs one of all_of"),
        ({"fact": "a", "op": "is", "value": 1}, "expression.Fact.op"),
        ({"fact": "a", "op": "eq", "value": 1, "within": "P1D"}, "takes op, value, unit, fact, not within"),
        ({"all_of": [YES], "any_of": [YES]}, "takes all_of, not any_of"),
        ({"fact": "A fact", "op": "exists"}, "fact"),
        ({"fact": "a", "op": "exists", "value": True}, "'exists' takes no value"),
        ({"fact": "a", "op": "in", "value": []}, "takes a list of values of one type"),
        ({"fact": "a", "op": "in", "value": [1, "b"]}, "takes a list of values of one type"),
        ({"fact": "a", "op": "in", "value": 1}, "takes a list of values of one type"),
        ({"fact": "a", "op": "between", "value": [1]}, "takes a low and a high"),
        ({"fact": "a", "op": "between", "value": [1, "2027-01-01"]}, "takes a low and a high"),
        ({"fact": "a", "op": "le", "value": "high"}, "takes a number or a date"),
        ({"fact": "a", "op": "le", "value": True}, "takes a number or a date"),
        ({"fact": "a", "op": "le", "value": "2027-02-31"}, "takes a number or a date"),
        ({"fact": "a", "op": "eq"}, "takes one value"),
        ({"fact": "a", "op": "eq", "value": float("nan")}, "finite"),
        ({"field": "level", "op": "exists"}, "only inside 'where'"),
        ({"exists": {"event": "e", "where": {"any_of": [YES]}}}, "asks fields of the event only"),
        ({"exists": {"event": "e", "within": "60 days"}}, "within"),
        ({"count": {"event": "e"}, "op": "has_any", "value": ["a"]}, "is compared with a number"),
        ({"count": {"event": "e"}, "op": "ge", "value": 1, "unit": "d"}, "takes no unit"),
        ({"days_since": {"fact": "a"}, "op": "le", "value": "2027-01-01"}, "is compared with a number"),
        ({"at_least": -1, "of": [YES]}, "greater than or equal to 0"),
        (_nested(MAX_DEPTH + 1), f"criterion i1: the expression is more than {MAX_DEPTH} deep"),
        (_nested(1000), f"criterion i1: the expression is more than {MAX_DEPTH} deep"),
        ({"all_of": [YES] * MAX_NODES}, f"criterion i1: the expression has more than {MAX_NODES} parts"),
    ],
)
def test_a_tree_that_means_nothing_is_refused_with_a_reason(expression: object, reason: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(reason)):
        _criterion(expression)


def test_a_tree_may_be_as_deep_and_as_large_as_it_says() -> None:
    assert _criterion(_nested(MAX_DEPTH)).expression is not None
    assert _criterion({"all_of": [YES] * (MAX_NODES - 1)}).expression is not None


def test_a_criterion_reads_what_it_writes() -> None:
    asked = {"event": "e", "where": {"not": {"field": "level", "op": "eq", "value": "a"}}, "within": "P60D"}
    every = _criterion(
        {
            "all_of": [
                YES,
                {"fact": "a", "op": "between", "value": [1, 2.5], "unit": "cm[H2O]"},
                {"any_of": [{"exists": asked}, {"count": asked, "op": "in", "value": [1, 2]}]},
                {"at_most": 1, "of": [{"last": asked, "field": "level", "op": "not_in", "value": ["b"]}]},
                {"at_least": 1, "of": [{"days_since": {"fact": "a"}, "op": "ge", "value": 3}]},
                {"not": {"days_since": asked, "op": "is_known"}},
            ]
        }
    )
    assert Criterion.strict_json(every.model_dump_json()) == every
    assert Criterion.strict_data(every.model_dump()) == every


def test_the_language_has_a_json_schema() -> None:
    schema = json.dumps(Eligibility.model_json_schema(by_alias=True))
    assert all(f'"{key}"' in schema for key in ("all_of", "not", "at_least", "days_since", "within"))


@pytest.mark.parametrize(
    "expression",
    [
        {"fact": "a", "op": "newer", "value": 1},
        {"fact": "a", "op": "eq", "value": 1, "newer": True},
        {"newer": []},
        _nested(MAX_DEPTH + 1),
    ],
)
def test_a_tolerant_reader_takes_what_it_cannot_read_as_unknown_and_never_reads_a_part(expression: object) -> None:
    written = json.dumps({"id": "i1", "kind": "inclusion", "text": "as written", "expression": expression, "newer": 1})
    read = Criterion.tolerant_json(written)
    assert (read.expression, read.status, read.text) == (None, Status.UNPARSED, "as written")
    assert compile_criterion(read)(Picture(AS_OF, {"a": 1})) is UNKNOWN


def test_a_criterion_is_unparsed_when_it_has_no_expression_and_only_then() -> None:
    assert _criterion(None).status is Status.UNPARSED
    assert _criterion(YES).status is Status.MANUAL
    assert _criterion(YES, status="parsed").status is Status.PARSED
    for wrong in ({"expression": YES, "status": "unparsed"}, {"expression": None, "status": "manual"}):
        with pytest.raises(ValidationError, match="criterion i1: 'unparsed'"):
            Criterion.strict_data({"id": "i1", "kind": "inclusion", **wrong})


def test_ids_are_distinct_within_a_cohort_and_never_those_of_the_structured_criteria() -> None:
    one, other = {"id": "i1", "kind": "inclusion"}, {"id": "a", "name": "A"}
    Eligibility.strict_data({"cohorts": [other | {"criteria": [one]}, {"id": "b", "name": "B", "criteria": [one]}]})
    for wrong, name in (
        ({"criteria": [one, one]}, "i1"),
        ({"criteria": [one], "cohorts": [other | {"criteria": [one]}]}, "i1"),
        ({"criteria": [{"id": "age", "kind": "inclusion"}]}, "age"),
        ({"cohorts": [other, other]}, "cohort a"),
    ):
        with pytest.raises(ValidationError, match=f"{name}: the id stands twice"):
            Eligibility.strict_data(wrong)


@pytest.mark.parametrize("text", ["18 Years", "1 Year", "18 years", " 18 Years "])
def test_an_age_is_read_as_registries_write_it(text: str) -> None:
    assert AgeLimit.model_validate(text).unit == "years"


@pytest.mark.parametrize("text", ["N/A", "18", "Years", "-1 Years", "18 Fortnights"])
def test_what_is_no_age_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="is no age"):
        AgeLimit.model_validate(text)


def test_json_nested_a_thousand_deep_is_refused_by_line_and_by_the_criterion_before_it() -> None:
    criterion = '{"id": "i1", "kind": "inclusion", "text": "{[", "expression": ' + '{"not": ' * 1000
    with pytest.raises(TooDeepError, match=f"^i1: has more than {MAX_LEVELS} levels$") as refused:
        loads(f'{{"criteria": [\n{{"id": "i0"}},\n{criterion}')
    assert refused.value.line == 3
    assert loads('{"text": "' + "[" * 1000 + '", "quote": "\\""}')["quote"] == '"'
    with pytest.raises(ValueError, match="Unterminated"):
        loads('{"text": "' + '\\"' * 100_000)


def _refused(text: str, folder: Path) -> str:
    (folder / "T-1.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ProgramFilesError) as refused:
        load_trial_file(cast("Traversable", folder / "T-1.yaml"))
    return str(refused.value)


_FILE = "trial: T-1\ncriteria:\n  - id: i1\n    kind: inclusion\n    expression: "


def test_yaml_nested_too_deeply_is_refused_by_file_line_and_criterion(tmp_path: Path) -> None:
    for levels in (40, 1000, 5000):
        tree = "{not: " * levels + "{fact: a, op: exists}" + "}" * levels
        problem = _refused(_FILE + tree, tmp_path)
        assert problem.startswith("T-1.yaml:")
        assert "i1" in problem
        assert "more than" in problem


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        (
            "\n      all_of:\n        - {fact: a, op: exists}\n        - {fact: a, op: le, value: high}\n",
            "T-1.yaml:8: criterion i1: criteria.0.expression.all_of.1: 'le' takes a number or a date",
        ),
        ("{fact: a, op: nearly, value: 3}", "T-1.yaml:5: criterion i1: criteria.0.expression.op: Input should be"),
        ("{fact: a, op: eq, value: 1}\n    anker: true", "criterion i1: criteria.0.anker: Extra inputs"),
        ("{}\nnovel: 1", "T-1.yaml:6: novel: Extra inputs are not permitted"),
    ],
)
def test_a_problem_in_a_file_names_line_criterion_and_field(expression: str, problem: str, tmp_path: Path) -> None:
    assert problem in _refused(_FILE + expression, tmp_path)


def test_in_a_file_numbers_and_booleans_are_typed_in_expressions_only(tmp_path: Path) -> None:
    file = tmp_path / "T-2.yaml"
    values = "[true, 'true', 3, '3', 2.5, no, 2027-03-16]"
    parts = "".join(f"\n        - {{fact: a, op: eq, value: {each}}}" for each in values[1:-1].split(", "))
    file.write_text(f"trial: T-2\ntitle: 2008\n{_FILE[11:]}\n      any_of:{parts}\n", encoding="utf-8")
    read = load_trial_file(cast("Traversable", file))
    expression: Any = read.criteria[0].expression
    assert read.title == "2008"
    assert [each.value for each in expression.any_of] == [True, "true", 3, "3", 2.5, "no", "2027-03-16"]


def _patch(on: str | None, **fields: str | int) -> Happening:
    return Happening(date.fromisoformat(on) if on else None, fields)


RECENT, OLD, UNDATED = _patch("2027-03-10", level="t"), _patch("2026-06-01", level="c"), _patch(None, level="t")
BLANK, SIZED = _patch("2027-03-12", size=2), _patch("2027-03-01", level="t", size=1)
NONE: tuple[Happening, ...] = ()

THORACIC = {"event": "e", "where": {"field": "level", "op": "eq", "value": "t"}}
IN_60_DAYS = {"event": "e", "within": "P60D"}
LEVEL_OF_LAST = {"last": {"event": "e"}, "field": "level"}
SINCE = {"days_since": {"event": "e"}}


@pytest.mark.parametrize(
    ("expression", "events", "truth"),
    [
        ({"exists": THORACIC}, Unknown.MISSING, UNKNOWN),
        ({"exists": THORACIC}, Unknown.CONFLICT, UNKNOWN),
        ({"exists": THORACIC}, NONE, FALSE),
        ({"exists": THORACIC}, (OLD,), FALSE),
        ({"exists": THORACIC}, (OLD, RECENT), TRUE),
        ({"exists": THORACIC}, (OLD, BLANK), UNKNOWN),
        ({"exists": IN_60_DAYS}, (OLD, UNDATED), UNKNOWN),
        ({"exists": IN_60_DAYS}, (_patch("2027-01-15"),), TRUE),
        ({"exists": IN_60_DAYS}, (_patch("2027-01-14"),), FALSE),
        ({"exists": {"event": "e", "within": "P1M"}}, (_patch("2027-02-16"),), TRUE),
        ({"exists": {"event": "e", "within": "P1M"}}, (_patch("2027-02-15"),), FALSE),
        ({"exists": {"event": "e"}}, 5, UNKNOWN),
        ({"count": THORACIC, "op": "ge", "value": 1}, (RECENT, BLANK), TRUE),
        ({"count": THORACIC, "op": "ge", "value": 2}, (RECENT, BLANK), UNKNOWN),
        ({"count": THORACIC, "op": "ge", "value": 3}, (RECENT, BLANK), FALSE),
        ({"count": THORACIC, "op": "eq", "value": 0}, NONE, TRUE),
        ({"count": THORACIC, "op": "is_known"}, (RECENT, BLANK), UNKNOWN),
        ({**LEVEL_OF_LAST, "op": "eq", "value": "t"}, (OLD, RECENT), TRUE),
        ({**LEVEL_OF_LAST, "op": "eq", "value": "t"}, (RECENT, OLD), TRUE),
        ({**LEVEL_OF_LAST, "op": "eq", "value": "t"}, (RECENT, BLANK), UNKNOWN),
        ({**LEVEL_OF_LAST, "op": "eq", "value": "t"}, (RECENT, UNDATED), TRUE),
        ({**LEVEL_OF_LAST, "op": "eq", "value": "t"}, (OLD, UNDATED), UNKNOWN),
        ({**LEVEL_OF_LAST, "op": "eq", "value": "t"}, (RECENT, _patch("2027-03-10", level="c")), UNKNOWN),
        ({**LEVEL_OF_LAST, "op": "eq", "value": "t"}, NONE, FALSE),
        ({**LEVEL_OF_LAST, "op": "not_in", "value": ["t"]}, NONE, TRUE),
        ({**LEVEL_OF_LAST, "op": "is_known"}, NONE, FALSE),
        ({**LEVEL_OF_LAST, "op": "is_known"}, (RECENT,), TRUE),
        ({"last": THORACIC, "field": "size", "op": "eq", "value": 1}, (SIZED, BLANK), UNKNOWN),
        ({**SINCE, "op": "le", "value": 6}, (OLD, RECENT), TRUE),
        ({**SINCE, "op": "le", "value": 5}, (OLD, RECENT), FALSE),
        ({**SINCE, "op": "le", "value": 6}, (RECENT, UNDATED), UNKNOWN),
        ({**SINCE, "op": "le", "value": 9999}, NONE, FALSE),
        ({**SINCE, "op": "between", "value": [0, 9999]}, NONE, FALSE),
        ({**SINCE, "op": "in", "value": [1, 2]}, NONE, FALSE),
        ({**SINCE, "op": "ge", "value": 9999}, NONE, TRUE),
        ({**SINCE, "op": "not_in", "value": [1, 2]}, NONE, TRUE),
        ({"days_since": THORACIC, "op": "le", "value": 6}, (OLD, BLANK), UNKNOWN),
        ({"days_since": THORACIC, "op": "ge", "value": 4}, (OLD, BLANK), TRUE),
        ({"fact": "e", "op": "exists"}, NONE, FALSE),
        ({"fact": "e", "op": "exists"}, (UNDATED,), TRUE),
        ({"fact": "e", "op": "is_known"}, NONE, TRUE),
        ({"fact": "e", "op": "is_known"}, Unknown.STALE, UNKNOWN),
    ],
)
def test_atoms_over_events(expression: dict[str, Any], events: Value, truth: Truth) -> None:
    assert compile_criterion(_criterion(expression))(Picture(AS_OF, {"e": events})) is truth


@pytest.mark.parametrize(
    ("comparison", "value", "truth"),
    [
        ({"op": "le", "value": 6}, 6, TRUE),
        ({"op": "lt", "value": 6}, 6, FALSE),
        ({"op": "between", "value": [5, 28]}, 28, TRUE),
        ({"op": "between", "value": [5, 28]}, 5, TRUE),
        ({"op": "le", "value": 6}, True, UNKNOWN),
        ({"op": "le", "value": 6}, "6", UNKNOWN),
        ({"op": "le", "value": 6}, Unknown.STALE, UNKNOWN),
        ({"op": "eq", "value": True}, 1, UNKNOWN),
        ({"op": "eq", "value": 1}, True, UNKNOWN),
        ({"op": "eq", "value": "a"}, frozenset({"a"}), UNKNOWN),
        ({"op": "has_any", "value": ["a", "b"]}, frozenset({"b"}), TRUE),
        ({"op": "has_all", "value": ["a", "b"]}, frozenset({"b"}), FALSE),
        ({"op": "has_any", "value": ["a"]}, frozenset(), FALSE),
        ({"op": "has_any", "value": ["a"]}, "a", UNKNOWN),
        ({"op": "exists"}, frozenset(), FALSE),
        ({"op": "exists"}, False, FALSE),
        ({"op": "exists"}, 3, UNKNOWN),
        ({"op": "ge", "value": "2027-03-01"}, date(2027, 3, 1), TRUE),
        ({"op": "lt", "value": "2027-03-01"}, date(2027, 3, 1), FALSE),
        ({"op": "eq", "value": "2027-03-01"}, date(2027, 3, 1), TRUE),
        ({"op": "eq", "value": "a"}, date(2027, 3, 1), UNKNOWN),
        ({"op": "not_in", "value": ["a"]}, "b", TRUE),
    ],
)
def test_atoms_over_facts(comparison: dict[str, Any], value: Value, truth: Truth) -> None:
    assert compile_criterion(_criterion({"fact": "x", **comparison}))(Picture(AS_OF, {"x": value})) is truth
