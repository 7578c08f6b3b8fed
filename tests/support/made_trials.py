"""Hypothesis strategies for trials and patients who needn't make sense: each atom, node and kind of value occurs.

Few names and values, so that criteria and patients meet. Pictures hold also values of a wrong type.
"""

from datetime import date, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from schemas.criteria import Eligibility
from schemas.vocabulary import AGES, Derived
from services.trials.facts.picture import Happening, Picture, Unknown, Value, derive

AS_OF = date(2027, 3, 16)

DERIVATIONS = {
    **AGES,
    "days-since-onset": Derived(label="days since onset", derive="days-since", of="onset"),
    "months-since-onset": Derived(label="months since onset", derive="months-since", of="onset"),
    "days-since-patch": Derived(label="days since the last patch", derive="days-since", of="patch"),
    "months-since-patch": Derived(label="months since the last patch", derive="months-since", of="patch"),
}
_NUMBERS = st.one_of(
    st.integers(-3, 9),
    st.sampled_from([0.5, 2.5, 2.25, 6.0, 5.601, 0.0625, -1.5, 1e300, 2**41, 10**400, -(2**41)]),
)
_CODES = st.sampled_from(["a", "b", "c", "d", "2027-03-01"])
_DAYS = st.integers(0, 900).map(lambda days: AS_OF - timedelta(days=days))
_BIRTHS = st.one_of(_DAYS, st.dates(date(1935, 1, 1), date(2026, 1, 1)), st.just(date(2004, 2, 29)))
_WHOLE = st.integers(-1, 40)
_ORDERED = st.sampled_from(["lt", "le", "gt", "ge", "eq"])
_KINDS = st.sampled_from(["patch", "surgery"])


def _lists(values: SearchStrategy[Any]) -> SearchStrategy[list[Any]]:
    return st.lists(values, min_size=1, max_size=3)


def _compared(values: SearchStrategy[Any]) -> SearchStrategy[dict[str, Any]]:
    """An operator for values that have an order."""
    between = st.tuples(values, values).map(lambda both: {"op": "between", "value": list(both)})
    return st.one_of(
        st.builds(lambda op, value: {"op": op, "value": value}, _ORDERED, values),
        st.builds(lambda op, value: {"op": op, "value": value}, st.sampled_from(["in", "not_in"]), _lists(values)),
        between,
        st.just({"op": "is_known"}),
    )


def _named(values: SearchStrategy[Any]) -> SearchStrategy[dict[str, Any]]:
    return st.one_of(
        st.builds(lambda value: {"op": "eq", "value": value}, values),
        st.builds(lambda op, value: {"op": op, "value": value}, st.sampled_from(["in", "not_in"]), _lists(values)),
        st.sampled_from([{"op": "is_known"}]),
    )


_SETS = st.one_of(
    st.builds(lambda op, value: {"op": op, "value": value}, st.sampled_from(["has_any", "has_all"]), _lists(_CODES)),
    st.sampled_from([{"op": "exists"}, {"op": "is_known"}]),
)
_WRITTEN = _DAYS.map(date.isoformat)


def _with(key: dict[str, Any]) -> Any:
    return lambda compared: {**key, **compared}


_FIELDS = st.one_of(
    _named(_CODES).map(_with({"field": "level"})),
    _compared(_NUMBERS).map(_with({"field": "relief"})),
    _named(st.booleans()).map(_with({"field": "targeted"})),
)


def _trees(leaves: SearchStrategy[dict[str, Any]], size: int) -> SearchStrategy[dict[str, Any]]:
    def more(part: SearchStrategy[dict[str, Any]]) -> SearchStrategy[dict[str, Any]]:
        parts = st.lists(part, min_size=0, max_size=4)
        return st.one_of(
            parts.map(lambda each: {"all_of": each}),
            parts.map(lambda each: {"any_of": each}),
            part.map(lambda each: {"not": each}),
            st.builds(lambda number, each: {"at_least": number, "of": each}, st.integers(0, 4), parts),
            st.builds(lambda number, each: {"at_most": number, "of": each}, st.integers(0, 4), parts),
        )

    return st.recursive(leaves, more, max_leaves=size)


_SELECTIONS = st.builds(
    lambda kind, where, within: (
        {"event": kind} | ({"where": where} if where else {}) | ({"within": within} if within else {})
    ),
    _KINDS,
    st.none() | _trees(_FIELDS, 3),
    st.none() | st.sampled_from(["P7D", "P3W", "P2M", "P1Y"]),
)
_DERIVED = st.sampled_from(sorted(DERIVATIONS))
_ATOMS = st.one_of(
    _compared(_NUMBERS).map(_with({"fact": "pressure"})),
    _compared(_WHOLE).flatmap(lambda compared: _DERIVED.map(lambda name: {"fact": name, **compared})),
    _named(_CODES).map(_with({"fact": "diagnosis"})),
    _named(st.booleans()).map(_with({"fact": "pregnant"})),
    _SETS.map(_with({"fact": "allergies"})),
    _compared(_WRITTEN).map(_with({"fact": "onset"})),
    st.sampled_from([{"fact": name, "op": "exists"} for name in ("pregnant", "allergies", "patch", "pressure")]),
    st.builds(lambda chosen: {"exists": chosen}, _SELECTIONS),
    st.builds(lambda chosen, compared: {"count": chosen, **compared}, _SELECTIONS, _compared(st.integers(0, 4))),
    st.builds(lambda chosen, compared: {"last": chosen, "field": "level", **compared}, _SELECTIONS, _named(_CODES)),
    st.builds(
        lambda chosen, compared: {"last": chosen, "field": "relief", **compared}, _SELECTIONS, _compared(_NUMBERS)
    ),
    st.builds(lambda chosen, compared: {"days_since": chosen, **compared}, _SELECTIONS, _compared(_WHOLE)),
    _compared(_WHOLE).map(_with({"days_since": {"fact": "onset"}})),
)


def _criteria(prefix: str) -> SearchStrategy[list[dict[str, Any]]]:
    one = st.builds(
        lambda kind, tree: {"kind": kind} | ({"expression": tree} if tree else {}),
        st.sampled_from(["inclusion", "exclusion"]),
        st.one_of(st.none(), _trees(_ATOMS, 6), _trees(_ATOMS, 6), _trees(_ATOMS, 6)),
    )
    return st.lists(one, max_size=3).map(
        lambda each: [{"id": f"{prefix}{number}", **criterion} for number, criterion in enumerate(each)]
    )


_LIMITS = st.none() | st.builds(
    lambda number, unit: f"{number} {unit}",
    st.sampled_from([0, 1, 6, 18, 23, 65]),
    st.sampled_from(["Years", "Months", "Weeks", "Days", "Hours"]),
)

eligibilities: SearchStrategy[Eligibility] = st.builds(
    lambda low, high, sex, criteria, cohorts: Eligibility.model_validate(
        {
            "minimum_age": low,
            "maximum_age": high,
            "sex": sex,
            "criteria": criteria,
            "cohorts": [
                {"id": f"c{number}", "name": f"cohort {number}", "criteria": own} for number, own in enumerate(cohorts)
            ],
        }
    ),
    _LIMITS,
    _LIMITS,
    st.sampled_from([None, None, None, "female", "male"]),
    _criteria("s"),
    st.one_of(st.just([]), st.just([]), st.lists(_criteria("o"), min_size=1, max_size=3)),
)

plain_eligibilities: SearchStrategy[Eligibility] = st.one_of(
    *(
        st.builds(
            lambda kind, tree: Eligibility.model_validate(
                {"criteria": [{"id": "one", "kind": kind, "expression": tree}]}
            ),
            st.sampled_from(["inclusion", "exclusion"]),
            atoms,
        )
        for atoms in (
            _compared(st.integers(0, 5)).map(_with({"fact": "pressure"})),
            _named(st.sampled_from("abc")).map(_with({"fact": "diagnosis"})),
            _named(st.booleans()).map(_with({"fact": "pregnant"})),
            _SETS.map(_with({"fact": "allergies"})),
            _ATOMS,
        )
    )
)
"""One criterion of one atom: what a fact alone decides."""

_HAPPENINGS = st.builds(
    Happening,
    st.none() | _DAYS | _DAYS,
    st.fixed_dictionaries({}, optional={"level": _CODES, "relief": _NUMBERS, "targeted": st.booleans()}),
)
_EVENTS = st.lists(_HAPPENINGS, max_size=3).map(tuple)
_UNKNOWN = st.sampled_from(list(Unknown))
_ANYTHING = st.one_of(_NUMBERS, _CODES, st.booleans(), st.frozensets(_CODES), _DAYS)

_USUAL: dict[str, SearchStrategy[Any]] = {
    "birth-date": _BIRTHS,
    "sex": st.sampled_from(["female", "male", "other"]),
    "pressure": st.integers(0, 5) | _NUMBERS,
    "diagnosis": _CODES,
    "pregnant": st.booleans(),
    "allergies": st.frozensets(_CODES, max_size=3),
    "onset": _DAYS,
    "patch": _EVENTS,
    "surgery": _EVENTS,
}
usual: SearchStrategy[dict[str, Value]] = st.fixed_dictionaries(_USUAL)
"""Everything is known, and of the right type."""

known: SearchStrategy[dict[str, Value]] = st.fixed_dictionaries(
    {},
    optional={
        name: values | values | _UNKNOWN | (_EVENTS if name in ("patch", "surgery") else _ANYTHING)
        for name, values in _USUAL.items()
    },
)
"""What is told of a patient; ``seen`` makes a picture of it."""


def seen(told: dict[str, Value], as_of: date) -> Picture:
    """The picture on a day, with what follows from days."""
    derived = {name: derive(each.derive, told[each.of], as_of) for name, each in DERIVATIONS.items() if each.of in told}
    return Picture(as_of, {**told, **derived})
