"""The numbers for which an ordered comparison holds, as spans between cuts.

A cut is a place between two numbers that lie next to each other: ``(6, BEFORE)`` parts all below 6 from 6, and
``(6, AFTER)`` parts 6 from all above. A span goes from a cut to a cut. Dates are cut by their ordinals.
"""

from collections.abc import Sequence
from datetime import date

from schemas.expressions import Compared, Op, Scalar, is_number

BEFORE, AFTER = 0, 1
INFINITY = float("inf")

Cut = tuple[float, int]
Span = tuple[Cut, Cut]

LOWEST: Cut = (-INFINITY, BEFORE)
HIGHEST: Cut = (INFINITY, AFTER)
"""After infinity, because "never" is for ever ago."""


def number_spans(atom: Compared) -> tuple[Span, ...] | None:
    """Where a number makes the comparison true, and false elsewhere; None when it says nothing of a number."""
    if atom.op is Op.IS_KNOWN:
        return ((LOWEST, HIGHEST),)
    values = [each for each in _operands(atom) if isinstance(each, int | float) and is_number(each)]
    return _spans(atom.op, values) if values else None


def date_spans(atom: Compared) -> tuple[Span, ...] | None:
    """The same for a date, in ordinals; None when it says nothing of a date."""
    if atom.op is Op.IS_KNOWN:
        return ((LOWEST, HIGHEST),)
    try:
        return _spans(atom.op, [date.fromisoformat(str(each)).toordinal() for each in _operands(atom)])
    except ValueError:
        return None


def cuts_of(spans: tuple[Span, ...] | None) -> set[Cut]:
    """Where truth changes."""
    return {cut for span in spans or () for cut in span} - {LOWEST, HIGHEST}


def _operands(atom: Compared) -> tuple[Scalar | None, ...]:
    return atom.value if isinstance(atom.value, tuple) else (atom.value,)


def _spans(op: Op, values: Sequence[float]) -> tuple[Span, ...] | None:
    first = values[0] if values else 0
    match op:
        case Op.LT:
            return ((LOWEST, (first, BEFORE)),)
        case Op.LE:
            return ((LOWEST, (first, AFTER)),)
        case Op.GT:
            return (((first, AFTER), HIGHEST),)
        case Op.GE:
            return (((first, BEFORE), HIGHEST),)
        case Op.EQ | Op.IN:
            return tuple(((each, BEFORE), (each, AFTER)) for each in sorted(set(values)))
        case Op.NOT_IN:
            return _between(sorted(set(values)))
        case Op.BETWEEN:
            return (((first, BEFORE), (values[1], AFTER)),) if first <= values[1] else ()
    return None


def _between(points: Sequence[float]) -> tuple[Span, ...]:
    starts = [LOWEST, *((each, AFTER) for each in points)]
    ends = [*((each, BEFORE) for each in points), HIGHEST]
    return tuple(zip(starts, ends, strict=True))
