"""What criteria ask of a patient, one thing at a time.

An input is one thing of which a patient's picture may know a value; it is known or not by itself. That a fact can have
values of several types makes several inputs of it: a number says nothing to a criterion that names a code.
"""

from collections.abc import Iterator
from datetime import date
from enum import Enum
from typing import NamedTuple

from schemas.expressions import Atom, Count, DaysSince, Exists, Fact, Op, Selection, is_number, selection
from services.trials.index.spans import BEFORE, HIGHEST, Cut, Span, date_spans, number_spans


class Sort(Enum):
    """What is asked of ``name``: its value by type, the days since its date, or of its events whether there are any,
    how many are selected, or how long ago the last one selected was.
    """

    NUMBER = "number"
    DATE = "date"
    SINCE = "since"
    FLAG = "flag"
    CODE = "code"
    CODES = "codes"
    NO_EVENT = "no event"
    COUNT = "count"
    DAYS = "days"


class Input(NamedTuple):
    """``selected``: the selection, written out, of counts and days; else empty."""

    sort: Sort
    name: str
    selected: str = ""


def inputs_of(atom: Atom) -> Iterator[Input]:
    """The inputs of which some value alone could make the atom true or false."""
    events = selection(atom)
    if events is not None:
        yield Input(Sort.NO_EVENT, events.event)
        if isinstance(atom, Count | Exists):
            yield Input(Sort.COUNT, events.event, written(events))
        elif isinstance(atom, DaysSince):
            yield Input(Sort.DAYS, events.event, written(events))
    elif isinstance(atom, Fact):
        yield from (Input(sort, atom.fact) for sort in _sorts(atom))
    elif isinstance(atom, DaysSince) and not isinstance(atom.days_since, Selection):
        yield Input(Sort.SINCE, atom.days_since.fact)


def _sorts(atom: Fact) -> Iterator[Sort]:
    if atom.op is Op.EXISTS:
        yield from (Sort.FLAG, Sort.CODES, Sort.NO_EVENT)
    elif atom.op in (Op.HAS_ANY, Op.HAS_ALL):
        yield Sort.CODES
    elif atom.op is not Op.IS_KNOWN:  # which never is false, and rarely turned
        first = atom.value[0] if isinstance(atom.value, tuple) else atom.value
        if is_number(first):
            yield Sort.NUMBER
        elif atom.op in (Op.EQ, Op.IN, Op.NOT_IN):
            yield Sort.FLAG if isinstance(first, bool) else Sort.CODE
        if isinstance(first, str) and first[0].isdigit() and date_spans(atom) is not None:
            yield Sort.DATE


def written(events: Selection) -> str:
    """A selection as text. Selections themselves can't tell ``true`` from 1 when they are compared."""
    return events.model_dump_json()


def spans_for(asked: Input, atom: Atom) -> tuple[Span, ...]:
    """Where a number, a day or a count makes the atom true; elsewhere it is false. ``asked`` is one of its inputs."""
    if isinstance(atom, Exists):
        return ((ONE, HIGHEST),)
    return (date_spans(atom) if asked.sort is Sort.DATE else number_spans(atom)) or ()


ONE: Cut = (1, BEFORE)


def named_values(atom: Atom) -> frozenset[bool | str]:
    """The codes, or the truth value, that a comparison names."""
    if not isinstance(atom, Fact):
        return frozenset()
    values = atom.value if isinstance(atom.value, tuple) else (atom.value,)
    return frozenset({True}) if atom.op is Op.EXISTS else frozenset(x for x in values if isinstance(x, bool | str))


def sort_of(value: object) -> Sort | None:
    """The type of a known value; None of a list of events and of what no fact can be."""
    if isinstance(value, bool | str):
        return Sort.CODE if isinstance(value, str) else Sort.FLAG
    if is_number(value):
        return Sort.NUMBER
    if isinstance(value, frozenset):
        return Sort.CODES
    return Sort.DATE if isinstance(value, date) else None
