"""How one operator compares a known value. A value of another type than the operator's is unknown, never an error."""

import operator
from collections.abc import Callable
from datetime import date
from typing import Any

from schemas.expressions import Op, is_number
from services.trials.criteria.truth import FALSE, TRUE, UNKNOWN, Truth

Test = Callable[[Any], Truth]

_ORDER: dict[Op, Callable[[Any, Any], bool]] = {
    Op.EQ: operator.eq,
    Op.LT: operator.lt,
    Op.LE: operator.le,
    Op.GT: operator.gt,
    Op.GE: operator.ge,
}


def comparison(op: Op, operand: Any) -> Test:
    """``operand`` as ``schemas.expressions`` checked it: its shape fits ``op``. The value tested is a known one."""
    if op is Op.IS_KNOWN:
        return lambda value: TRUE
    if op is Op.EXISTS:
        return _exists
    if op in (Op.HAS_ANY, Op.HAS_ALL):
        return _of_set(op, frozenset(operand))
    return _of_one(_check(op), operand)


def _check(op: Op) -> Callable[[Any, Any], bool]:
    if op is Op.IN:
        return lambda value, operand: value in operand
    if op is Op.NOT_IN:
        return lambda value, operand: value not in operand
    if op is Op.BETWEEN:
        return lambda value, operand: operand[0] <= value <= operand[1]
    return _ORDER[op]


def _exists(value: Any) -> Truth:
    """Whether a set or list holds something, or a boolean is true."""
    return (TRUE if value else FALSE) if isinstance(value, bool | frozenset | tuple) else UNKNOWN


def _of_set(op: Op, named: frozenset[Any]) -> Test:
    def test(value: Any) -> Truth:
        if not isinstance(value, frozenset):
            return UNKNOWN
        found = not named.isdisjoint(value) if op is Op.HAS_ANY else named <= value
        return TRUE if found else FALSE

    return test


def _of_one(check: Callable[[Any, Any], bool], operand: Any) -> Test:
    first = operand[0] if isinstance(operand, tuple) else operand
    types: tuple[type, ...] = (int, float) if is_number(first) else (type(first),)
    dates = _dates(operand)

    def test(value: Any) -> Truth:
        if type(value) in types:  # not isinstance: a boolean is no number
            return TRUE if check(value, operand) else FALSE
        if dates is not None and type(value) is date:
            return TRUE if check(value, dates) else FALSE
        return UNKNOWN

    return test


def _dates(operand: Any) -> Any:
    """The operand as dates, or None if it isn't written as such."""
    try:
        if isinstance(operand, tuple):
            return tuple(date.fromisoformat(each) for each in operand)
        return date.fromisoformat(operand)
    except (TypeError, ValueError):
        return None
