"""The language of criteria: what a criterion asks of a patient, as a tree that travels on ``trials.catalog.v1``.

Atoms ask a recorded fact, the dated events of one kind, or one field of an event; nodes join them. Nothing in a tree is
ignored, by a tolerant reader neither: a condition that was left out would make another criterion of it. A tree is at
most ``MAX_DEPTH`` mappings deep and ``MAX_NODES`` large, checked before it is walked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    StringConstraints,
    Tag,
    model_validator,
)

from schemas.base import Contract
from schemas.text import Code

MAX_DEPTH = 32
MAX_NODES = 1000

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Op(StrEnum):
    """How a value is compared."""

    EQ = "eq"
    IN = "in"
    NOT_IN = "not_in"
    HAS_ANY = "has_any"
    HAS_ALL = "has_all"
    LT = "lt"
    LE = "le"
    GT = "gt"
    GE = "ge"
    BETWEEN = "between"
    EXISTS = "exists"
    IS_KNOWN = "is_known"


ORDERED = frozenset({Op.LT, Op.LE, Op.GT, Op.GE})
LISTED = frozenset({Op.IN, Op.NOT_IN, Op.HAS_ANY, Op.HAS_ALL})
BARE = frozenset({Op.EXISTS, Op.IS_KNOWN})

Number = StrictInt | Annotated[float, Field(strict=True, allow_inf_nan=False)]
Scalar = StrictBool | Number | Annotated[str, StringConstraints(min_length=1, max_length=200)]
Unit = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,40}$")]
"""A UCUM code, such as ``cm[H2O]``."""

Within = Annotated[str, StringConstraints(pattern=r"^P[1-9][0-9]{0,3}[DWMY]$")]
"""Days, weeks, months or years back from the day of judgement, by calendar, both ends included: ``P60D``."""


class Node(Contract):
    """Base of all parts of a tree: nothing unknown is passed over."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_alias=True, validate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _nothing_else(cls, data: Any) -> Any:
        taken = {field.alias or name: name for name, field in cls.model_fields.items()}
        if isinstance(data, Mapping) and (unknown := data.keys() - taken.keys() - {*taken.values()}):
            raise ValueError(f"takes {', '.join(taken)}, not {', '.join(sorted(map(str, unknown)))}")
        return data


class Compared(Node):
    """An operator and what it compares with. A date is written ``2027-03-16``."""

    op: Op
    value: Scalar | tuple[Scalar, ...] | None = None
    unit: Unit | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if reason := _misfit(self.op, self.value):
            raise ValueError(f"'{self.op}' {reason}")
        return self


def _misfit(op: Op, value: object) -> str | None:
    if op in BARE:
        return None if value is None else "takes no value"
    if op in LISTED:
        return None if isinstance(value, tuple) and value and _alike(value) else "takes a list of values of one type"
    if op is Op.BETWEEN:
        fits = isinstance(value, tuple) and len(value) == 2 and all(map(_sortable, value)) and _alike(value)
        return None if fits else "takes a low and a high number or date"
    if op in ORDERED:
        return None if _sortable(value) else "takes a number or a date"
    return None if value is not None and not isinstance(value, tuple) else "takes one value"


def _sortable(value: object) -> bool:
    return is_number(value) or (isinstance(value, str) and _is_date(value))


def _is_date(text: str) -> bool:
    """The parser alone would take week dates and dates without hyphens too."""
    try:
        return _DATE.fullmatch(text) is not None and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _alike(values: tuple[object, ...]) -> bool:
    return len({float if is_number(each) else type(each) for each in values}) == 1


def is_number(value: object) -> bool:
    """A boolean is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


class Fact(Compared):
    """One recorded or derived fact of the patient."""

    fact: Code


class EventField(Compared):
    """One field of the event at hand; only inside ``where``."""

    field: Code


class Selection(Node):
    """The events of one kind for which ``where`` holds and which happened ``within`` the time before the judgement."""

    event: Code
    where: Expression | None = None
    within: Within | None = None

    @model_validator(mode="after")
    def _of_fields(self) -> Self:
        if self.where is not None and any(not isinstance(each, EventField) for each in atoms(self.where)):
            raise ValueError("'where' asks fields of the event only: {field, op, value}")
        return self


class FactDate(Node):
    """The date that a fact holds."""

    fact: Code


class _Counting(Compared):
    @model_validator(mode="after")
    def _numbers(self) -> Self:
        values = self.value if isinstance(self.value, tuple) else (self.value,)
        if self.op in (Op.HAS_ANY, Op.HAS_ALL, Op.EXISTS) or (
            self.op is not Op.IS_KNOWN and not all(map(is_number, values))
        ):
            raise ValueError("is compared with a number: eq, in, not_in, lt, le, gt, ge, between or is_known")
        if self.unit is not None:
            raise ValueError("takes no unit")
        return self


class Count(_Counting):
    """How many such events there are."""

    count: Selection


class Exists(Node):
    """At least one such event."""

    exists: Selection


class Last(Compared):
    """A field of the latest such event."""

    last: Selection
    field: Code


class DaysSince(_Counting):
    """Whole days from the date of a fact, or of the latest such event, to the day of judgement."""

    days_since: Selection | FactDate


class AllOf(Node):
    """True when every part is."""

    all_of: tuple[Expression, ...]


class AnyOf(Node):
    """True when one part is."""

    any_of: tuple[Expression, ...]


class Not(Node):
    """True when the part is false."""

    part: Expression = Field(alias="not")


class AtLeast(Node):
    """True when ``at_least`` parts are."""

    at_least: Annotated[StrictInt, Field(ge=0)]
    of: tuple[Expression, ...]


class AtMost(Node):
    """True when no more than ``at_most`` parts are."""

    at_most: Annotated[StrictInt, Field(ge=0)]
    of: tuple[Expression, ...]


_BY_KEY: dict[str, type[Node]] = {
    "all_of": AllOf,
    "any_of": AnyOf,
    "not": Not,
    "part": Not,
    "at_least": AtLeast,
    "at_most": AtMost,
    "count": Count,
    "exists": Exists,
    "last": Last,
    "days_since": DaysSince,
    "fact": Fact,
    "field": EventField,  # after "last", which has a field too
}


def _kind(data: Any) -> str | None:
    if isinstance(data, Node):
        return type(data).__name__
    found = (model for key, model in _BY_KEY.items() if isinstance(data, Mapping) and key in data)
    return next((model.__name__ for model in found), None)


Expression = Annotated[
    Annotated[AllOf, Tag("AllOf")]
    | Annotated[AnyOf, Tag("AnyOf")]
    | Annotated[Not, Tag("Not")]
    | Annotated[AtLeast, Tag("AtLeast")]
    | Annotated[AtMost, Tag("AtMost")]
    | Annotated[Count, Tag("Count")]
    | Annotated[Exists, Tag("Exists")]
    | Annotated[Last, Tag("Last")]
    | Annotated[DaysSince, Tag("DaysSince")]
    | Annotated[Fact, Tag("Fact")]
    | Annotated[EventField, Tag("EventField")],
    Discriminator(
        _kind,
        custom_error_type="no_expression",
        custom_error_message=(
            "needs one of all_of, any_of, not, at_least, at_most, fact, count, exists, last, days_since"
        ),
    ),
]
Atom = Fact | EventField | Count | Exists | Last | DaysSince


def children(expression: Expression) -> tuple[Expression, ...]:
    """The parts that a node joins; none of an atom (a selection's ``where`` is no part)."""
    match expression:
        case AllOf(all_of=parts) | AnyOf(any_of=parts) | AtLeast(of=parts) | AtMost(of=parts):
            return parts
        case Not(part=part):
            return (part,)
    return ()


def atoms(expression: Expression) -> Iterator[Atom]:
    """All atoms in the order in which they are written; fields inside a ``where`` are not among them."""
    waiting = [expression]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Fact | EventField | Count | Exists | Last | DaysSince):
            yield each
        waiting.extend(reversed(children(each)))


def selection(atom: Atom) -> Selection | None:
    """The events that an atom asks."""
    match atom:
        case Count(count=found) | Exists(exists=found) | Last(last=found) | DaysSince(days_since=Selection() as found):
            return found
    return None


def too_large(data: object) -> str | None:
    """Why a tree is refused before it is walked, or None. Takes plain mappings and models, without recursion."""
    waiting, nodes = [(data, 1)], 0
    while waiting:
        each, depth = waiting.pop()
        if isinstance(each, Mapping | BaseModel):
            nodes += 1
            if depth > MAX_DEPTH:
                return f"is more than {MAX_DEPTH} deep"
            if nodes > MAX_NODES:
                return f"has more than {MAX_NODES} parts"
            parts = each.values() if isinstance(each, Mapping) else vars(each).values()
            waiting.extend((part, depth + 1) for part in parts)
        elif isinstance(each, list | tuple):
            waiting.extend((part, depth) for part in each)
    return None


def _whole(tree: Expression) -> Expression:
    if any(isinstance(each, EventField) for each in atoms(tree)):
        raise ValueError("a field is asked only inside 'where'")
    return tree


Tree = Annotated[Expression, AfterValidator(_whole)]
"""A whole expression. Of what comes from outside, ``too_large`` is asked first: it would be walked by recursion."""

_MODELS: tuple[type[Node], ...] = (Selection, *_BY_KEY.values())
for _model in _MODELS:
    _model.model_rebuild()
