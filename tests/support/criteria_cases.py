"""Random trees and pictures for Hypothesis, a way of learning more, and a second, naive evaluator.

The naive one goes by the meaning: it lists every world that could be behind a picture's incomplete events, and walks
trees without closures. It shares no code with ``services.trials.criteria``.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from hypothesis import strategies as st

from schemas.expressions import Op
from services.trials.facts.picture import Happening, Picture, Unknown

AS_OF = date(2027, 3, 16)
CODES = ("a", "b", "c")
FACTS = ("flag", "size", "kind", "set", "day", "events")

_compare = st.one_of(
    st.tuples(st.sampled_from(["eq", "lt", "le", "gt", "ge"]), st.integers(0, 4)),
    st.tuples(st.just("between"), st.lists(st.integers(0, 4), min_size=2, max_size=2)),
    st.tuples(st.sampled_from(["in", "not_in"]), st.lists(st.integers(0, 4), min_size=1, max_size=3)),
    st.tuples(st.just("is_known"), st.none()),
)
_codes = st.one_of(
    st.tuples(st.just("eq"), st.sampled_from(CODES)),
    st.tuples(st.sampled_from(["in", "not_in"]), st.lists(st.sampled_from(CODES), min_size=1, max_size=2)),
    st.tuples(st.just("is_known"), st.none()),
)
_sets = st.one_of(
    st.tuples(st.sampled_from(["has_any", "has_all"]), st.lists(st.sampled_from(CODES), min_size=1, max_size=2)),
    st.tuples(st.sampled_from(["exists", "is_known"]), st.none()),
)
_flags = st.one_of(
    st.tuples(st.just("eq"), st.booleans()), st.tuples(st.sampled_from(["exists", "is_known"]), st.none())
)
_dates = st.tuples(
    st.sampled_from(["eq", "lt", "le", "gt", "ge"]),
    st.integers(0, 6).map(lambda days: (AS_OF - timedelta(days=days)).isoformat()),
)


def _atom(subject: dict[str, Any], comparisons: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return comparisons.map(lambda each: subject | {"op": each[0]} | ({} if each[1] is None else {"value": each[1]}))


def _nodes(atoms: st.SearchStrategy[dict[str, Any]], leaves: int) -> st.SearchStrategy[dict[str, Any]]:
    def joined(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
        several = st.lists(inner, min_size=1, max_size=4)
        return st.one_of(
            several.map(lambda each: {"all_of": each}),
            several.map(lambda each: {"any_of": each}),
            inner.map(lambda each: {"not": each}),
            st.tuples(st.integers(0, 4), several).map(lambda each: {"at_least": each[0], "of": each[1]}),
            st.tuples(st.integers(0, 4), several).map(lambda each: {"at_most": each[0], "of": each[1]}),
        )

    return st.recursive(atoms, joined, max_leaves=leaves)


_where = _nodes(st.one_of(_atom({"field": "kind"}, _codes), _atom({"field": "size"}, _compare)), 3)
_selection = st.fixed_dictionaries(
    {"event": st.just("events")}, optional={"where": _where, "within": st.sampled_from(["P2D", "P1W", "P1M"])}
)
_simple = st.one_of(
    _atom({"fact": "flag"}, _flags),
    _atom({"fact": "size"}, _compare),
    _atom({"fact": "kind"}, _codes),
    _atom({"fact": "set"}, _sets),
    _atom({"fact": "day"}, _dates),
    _atom({"fact": "events"}, st.tuples(st.sampled_from(["exists", "is_known"]), st.none())),
    _atom({"days_since": {"fact": "day"}}, _compare),
    _atom({"fact": "flag"}, _compare),  # of a type that the value hasn't
)
_eventful = st.one_of(
    _selection.map(lambda each: {"exists": each}),
    _selection.flatmap(lambda each: _atom({"count": each}, _compare)),
    _selection.flatmap(lambda each: _atom({"days_since": each}, _compare)),
    _selection.flatmap(lambda each: _atom({"last": each, "field": "kind"}, _codes)),
)
expressions = _nodes(st.one_of(_simple, _eventful), 8)
"""As JSON."""

_happenings = st.builds(
    Happening,
    st.none() | st.integers(0, 40).map(lambda days: AS_OF - timedelta(days=days)),
    st.fixed_dictionaries({}, optional={"kind": st.sampled_from(CODES), "size": st.integers(0, 4)}),
)
_unknown = st.sampled_from(Unknown)
_values: dict[str, st.SearchStrategy[Any]] = {
    "flag": st.booleans(),
    "size": st.integers(0, 4) | st.sampled_from([0.5, 2.5]),
    "kind": st.sampled_from((*CODES, "d")),
    "set": st.frozensets(st.sampled_from(CODES)),
    "day": st.integers(0, 6).map(lambda days: AS_OF - timedelta(days=days)),
    "events": st.lists(_happenings, max_size=3).map(tuple),
}
pictures = st.fixed_dictionaries({}, optional={name: _unknown | each for name, each in _values.items()}).map(
    lambda values: Picture(AS_OF, values)
)


@st.composite
def learnt(draw: st.DrawFn) -> tuple[Picture, Picture]:
    """A picture, and one in which more is known and nothing that was known is another."""
    before = draw(pictures)
    after: dict[str, Any] = {}
    for name, every in _values.items():
        value = before.value(name)
        if isinstance(value, Unknown):
            after[name] = draw(every | st.just(value))
        else:
            after[name] = tuple(draw(_more(each)) for each in value) if isinstance(value, tuple) else value
    return before, Picture(AS_OF, after)


@st.composite
def _more(draw: st.DrawFn, event: Happening) -> Happening:
    other = draw(_happenings)
    return Happening(event.on or other.on, {**other.fields, **event.fields})


def naive(expression: dict[str, Any], picture: Picture) -> int:
    """0, 1, 2 for false, unknown, true."""
    for key, join in (("all_of", min), ("any_of", max)):
        if key in expression:
            return join(naive(each, picture) for each in expression[key])
    if "not" in expression:
        return 2 - naive(expression["not"], picture)
    if "of" in expression:
        return _of(expression, [naive(each, picture) for each in expression["of"]])
    if "fact" in expression:
        value = picture.value(expression["fact"])
        return 1 if isinstance(value, Unknown) else _holds(expression, value)
    if "fact" in expression.get("days_since", {}):
        value = picture.value(expression["days_since"]["fact"])
        return _holds(expression, (AS_OF - value).days) if isinstance(value, date) else 1
    return _of_events(expression, picture)


def _of(expression: dict[str, Any], truths: list[int]) -> int:
    """By all ways in which what is unknown could turn out."""
    reached = {_count(expression, turned) for turned in _turned(truths)}
    return reached.pop() if len(reached) == 1 else 1


def _count(expression: dict[str, Any], truths: list[int]) -> int:
    number = truths.count(2)
    return 2 * int(number >= expression["at_least"] if "at_least" in expression else number <= expression["at_most"])


def _turned(truths: list[int]) -> list[list[int]]:
    if not truths:
        return [[]]
    first = [0, 2] if truths[0] == 1 else [truths[0]]
    return [[each, *rest] for each in first for rest in _turned(truths[1:])]


def _of_events(expression: dict[str, Any], picture: Picture) -> int:
    asked = next(key for key in ("exists", "count", "last", "days_since") if key in expression)
    events = picture.value("events")
    if not isinstance(events, tuple):
        return 1
    selected = [(_selected(expression[asked], each), each) for each in events]
    if expression.get("op") == "is_known":
        return _is_known(asked, expression, selected)
    reached = {each for chosen in _chosen(selected) for each in _answer(asked, expression, chosen)}
    return reached.pop() if len(reached) == 1 else 1


def _is_known(asked: str, expression: dict[str, Any], selected: list[tuple[int, Happening]]) -> int:
    """Whether every world has one and the same answer; the last event of none isn't known but absent."""
    found: set[Any] = set()
    for chosen in _chosen(selected):
        if asked == "count":
            found.add(len(chosen))
        elif not chosen:
            found.add("none")
        else:
            for each in _lasts(chosen):
                found.add(each.on if asked == "days_since" else each.fields.get("kind"))
    if len(found) > 1 or None in found:
        return 1
    return 0 if asked == "last" and "none" in found else 2


def _answer(asked: str, expression: dict[str, Any], chosen: list[Happening]) -> frozenset[int]:
    if asked == "exists":
        return frozenset({2 if chosen else 0})
    if asked == "count":
        return frozenset({_holds(expression, len(chosen))})
    if not chosen and asked == "last":
        return frozenset({2 if expression["op"] == "not_in" else 0})
    if not chosen:
        return frozenset({_holds(expression, float("inf"))})
    if asked == "last":
        values = [each.fields.get("kind") for each in _lasts(chosen)]
        return frozenset(1 if each is None else _holds(expression, each) for each in values)
    return frozenset(1 if each.on is None else _holds(expression, (AS_OF - each.on).days) for each in _lasts(chosen))


def _lasts(chosen: list[Happening]) -> list[Happening]:
    """Each that none of the others is known to come after."""
    return [each for each in chosen if not any(each.on and other.on and other.on > each.on for other in chosen)]


def _chosen(selected: list[tuple[int, Happening]]) -> list[list[Happening]]:
    """Every set of events that could be the selected ones."""
    if not selected:
        return [[]]
    (truth, event), rest = selected[0], _chosen(selected[1:])
    return [
        [*([event] if taken else []), *each]
        for taken in {0: [False], 1: [False, True], 2: [True]}[truth]
        for each in rest
    ]


def _selected(selection: dict[str, Any], event: Happening) -> int:
    truths = [2]
    if "where" in selection:
        truths.append(_where_holds(selection["where"], event))
    if "within" in selection:
        first = {"P2D": date(2027, 3, 14), "P1W": date(2027, 3, 9), "P1M": date(2027, 2, 16)}[selection["within"]]
        truths.append(1 if event.on is None else 2 * (event.on >= first))
    return min(truths)


def _where_holds(where: dict[str, Any], event: Happening) -> int:
    for key, join in (("all_of", min), ("any_of", max)):
        if key in where:
            return join(_where_holds(each, event) for each in where[key])
    if "not" in where:
        return 2 - _where_holds(where["not"], event)
    if "of" in where:
        return _of(where, [_where_holds(each, event) for each in where["of"]])
    return _holds(where, event.fields[where["field"]]) if where["field"] in event.fields else 1


def _holds(atom: dict[str, Any], value: Any) -> int:
    """Of a known value."""
    op = Op(atom["op"])
    operand: Any = atom.get("value")
    first = operand[0] if isinstance(operand, list) else operand
    if op is Op.IS_KNOWN:
        return 2
    if op is Op.EXISTS:
        return 1 if isinstance(value, int | float | str | date) and not isinstance(value, bool) else 2 * bool(value)
    if op in (Op.HAS_ANY, Op.HAS_ALL):
        found = [each in value for each in operand]
        return 2 * (any(found) if op is Op.HAS_ANY else all(found))
    if isinstance(value, date):
        value = value.isoformat()
    kinds = [bool if isinstance(each, bool) else str if isinstance(each, str) else float for each in (value, first)]
    if kinds[0] is not kinds[1] or isinstance(value, frozenset | tuple):
        return 1
    within = operand if isinstance(operand, list) else [operand, operand]
    held: dict[Op, bool] = {
        Op.EQ: value == operand,
        Op.IN: value in within,
        Op.NOT_IN: value not in within,
        Op.LT: value < first,
        Op.LE: value <= first,
        Op.GT: value > first,
        Op.GE: value >= first,
        Op.BETWEEN: bool(first <= value <= within[-1]),
    }
    return 2 * held[op]
