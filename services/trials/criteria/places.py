"""Where a part of a tree stands: ``expression.any_of.0.where``."""

from collections.abc import Iterator
from typing import NamedTuple

from schemas.expressions import AllOf, AnyOf, AtLeast, AtMost, Expression, Not, children, selection


class Place(NamedTuple):
    """``event``: the events whose conditions the part belongs to, or None outside of ``where``."""

    field: str
    part: Expression
    event: str | None


def places(expression: Expression, field: str = "expression", event: str | None = None) -> Iterator[Place]:
    """Every part, what contains before what is contained."""
    yield Place(field, expression, event)
    for at, part in enumerate(children(expression)):
        step = "not" if isinstance(expression, Not) else f"{_key(expression)}.{at}"
        yield from places(part, f"{field}.{step}", event)
    if isinstance(expression, AllOf | AnyOf | Not | AtLeast | AtMost):
        return
    if (asked := selection(expression)) is not None and asked.where is not None:
        yield from places(asked.where, f"{field}.where", asked.event)


def _key(expression: Expression) -> str:
    return "of" if isinstance(expression, AtLeast | AtMost) else next(iter(type(expression).model_fields))
