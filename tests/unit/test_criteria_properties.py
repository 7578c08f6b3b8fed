"""Laws that hold for every tree and every picture. More examples: ``--hypothesis-profile=thorough``."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.criteria import Criterion
from schemas.expressions import AllOf, AnyOf, AtLeast, AtMost, Expression, Fact, Not, Op
from services.trials.criteria.evaluate import compile_criterion, evaluate
from services.trials.criteria.explain import explain, facts_of
from services.trials.criteria.truth import FALSE, TRUE, UNKNOWN, Truth, turned
from services.trials.facts.picture import Picture, Unknown
from tests.support.criteria_cases import AS_OF, expressions, learnt, naive, pictures


def _tree(expression: dict[str, Any], kind: str = "inclusion") -> Criterion:
    return Criterion.strict_data({"id": "i1", "kind": kind, "expression": expression})


def _judge(expression: dict[str, Any], picture: Picture) -> Truth:
    return compile_criterion(_tree(expression))(picture)


@given(expressions, pictures)
def test_it_is_what_a_naive_evaluator_says(expression: dict[str, Any], picture: Picture) -> None:
    assert _judge(expression, picture) == naive(expression, picture)


@given(expressions, learnt())
def test_learning_a_fact_never_turns_true_to_false_or_back(
    expression: dict[str, Any], known: tuple[Picture, Picture]
) -> None:
    before, after = (_judge(expression, each) for each in known)
    assert before is UNKNOWN or after is before


@given(expressions, pictures)
def test_not_not_is_the_same(expression: dict[str, Any], picture: Picture) -> None:
    assert _judge({"not": {"not": expression}}, picture) is _judge(expression, picture)


@given(expressions, pictures)
def test_an_exclusion_is_met_when_nothing_excludes(expression: dict[str, Any], picture: Picture) -> None:
    judge = compile_criterion(_tree(expression, "exclusion"))
    assert judge(picture) is turned(_judge(expression, picture))


@given(expressions, expressions, expressions, pictures)
def test_the_laws_of_kleenes_logic(p: dict[str, Any], q: dict[str, Any], r: dict[str, Any], picture: Picture) -> None:
    def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
        return _judge(one, picture) is _judge(other, picture)

    assert same({"all_of": [p, q]}, {"all_of": [q, p]})
    assert same({"any_of": [p, q]}, {"any_of": [q, p]})
    assert same({"all_of": [p, {"all_of": [q, r]}]}, {"all_of": [p, q, r]})
    assert same({"any_of": [p, {"any_of": [q, r]}]}, {"any_of": [p, q, r]})
    assert same({"not": {"all_of": [p, q]}}, {"any_of": [{"not": p}, {"not": q}]})
    assert same({"not": {"any_of": [p, q]}}, {"all_of": [{"not": p}, {"not": q}]})
    assert same({"all_of": [p, {"any_of": [q, r]}]}, {"any_of": [{"all_of": [p, q]}, {"all_of": [p, r]}]})
    assert same({"all_of": [p, {"any_of": [p, q]}]}, p)
    assert same({"at_least": 1, "of": [p, q, r]}, {"any_of": [p, q, r]})
    assert same({"at_least": 3, "of": [p, q, r]}, {"all_of": [p, q, r]})
    assert same({"at_most": 1, "of": [p, q, r]}, {"not": {"at_least": 2, "of": [p, q, r]}})
    assert min(_judge(p, picture), _judge(q, picture)) is _judge({"all_of": [p, q]}, picture)
    assert max(_judge(p, picture), _judge(q, picture)) is _judge({"any_of": [p, q]}, picture)


def _flags(truths: tuple[Truth, ...]) -> tuple[tuple[Expression, ...], Picture]:
    known = {f"f{at}": truth is TRUE for at, truth in enumerate(truths) if truth is not UNKNOWN}
    return tuple(Fact(fact=f"f{at}", op=Op.EQ, value=True) for at in range(len(truths))), Picture(AS_OF, known)


def _all_worlds(truths: tuple[Truth, ...]) -> list[int]:
    """How many could be true."""
    ways = [(0, 1) if each is UNKNOWN else (int(each is TRUE),) for each in truths]
    return [sum(each) for each in product(*ways)]


@given(st.lists(st.sampled_from(Truth), max_size=7).map(tuple), st.integers(0, 8))
def test_at_least_and_at_most_are_what_all_worlds_agree_on(truths: tuple[Truth, ...], number: int) -> None:
    parts, picture = _flags(truths)
    for node, holds in (
        (AtLeast(at_least=number, of=parts), {count >= number for count in _all_worlds(truths)}),
        (AtMost(at_most=number, of=parts), {count <= number for count in _all_worlds(truths)}),
    ):
        expected = UNKNOWN if len(holds) == 2 else TRUE if True in holds else FALSE
        assert evaluate(node, picture) is expected


@pytest.mark.parametrize("truths", list(product(Truth, repeat=3)))
def test_and_is_the_least_or_the_greatest_and_not_turns(truths: tuple[Truth, ...]) -> None:
    parts, picture = _flags(truths)
    assert evaluate(AllOf(all_of=parts), picture) is min(truths)
    assert evaluate(AnyOf(any_of=parts), picture) is max(truths)
    assert evaluate(Not(part=parts[0]), picture) == 2 - truths[0]


@given(expressions, pictures)
def test_a_falsifying_set_falsifies_alone_and_none_smaller_does(expression: dict[str, Any], picture: Picture) -> None:
    criterion = _tree(expression)
    explained = explain(criterion, picture)
    if explained.truth is not FALSE:
        assert explained.falsified_by == ()
        return
    judge = compile_criterion(criterion)
    names = [each for each in facts_of(criterion) if not isinstance(picture.value(each), Unknown)]
    smallest = min(
        sum(taken)
        for taken in product((0, 1), repeat=len(names))
        if judge(_some(picture, [name for name, take in zip(names, taken, strict=True) if take])) is FALSE
    )
    assert judge(_some(picture, explained.falsified_by)) is FALSE
    assert len(explained.falsified_by) == smallest


def _some(picture: Picture, names: list[str] | tuple[str, ...]) -> Picture:
    return Picture(picture.as_of, {name: picture.value(name) for name in names})


@given(expressions, learnt())
def test_what_one_new_fact_settled_was_among_the_deciding_facts(
    expression: dict[str, Any], known: tuple[Picture, Picture]
) -> None:
    before, after = known
    criterion = _tree(expression)
    explained = explain(criterion, before)
    for name in facts_of(criterion):
        told = Picture(AS_OF, {**before.values, name: after.value(name)})
        if explained.truth is UNKNOWN and compile_criterion(criterion)(told) is not UNKNOWN:
            assert name in explained.decided_by
