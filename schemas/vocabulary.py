"""The facts of a program: which there are, what each can hold, how long it stays valid, and which follow from others.

The vocabulary is program data (``facts.yaml``, read by ``schemas.vocabulary_files``). A program without one knows
``PERSON`` alone. Days and durations are civil, in the program's zone.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from schemas.base import Contract
from schemas.expressions import Unit
from schemas.text import Code, Line

FieldType = Literal["boolean", "integer", "number", "code"]
FactType = Literal["boolean", "integer", "number", "code", "codes", "date", "events"]
Derivation = Literal["days-since", "months-since", "years-since"]

ValidFor = Annotated[str, StringConstraints(pattern=r"^P[1-9][0-9]{0,3}[DW]$")]
"""Whole days or weeks: ``P28D``."""

_NUMERIC = ("integer", "number")
_UNITS: Mapping[Derivation, str] = {"days-since": "d", "months-since": "mo", "years-since": "a"}
OF_EVENT = "on"
"""The name of an event's date, so no field can have it."""

VISIT_TYPE = "visit-type"
"""The one field that appointments tell; what it can hold are the program's visit types."""

MISFITS = "misfits"
"""Type of the error about names that don't fit together; its context has them under ``by_name``, with reasons."""


class _Shape(Contract):
    """What a value can be.

    ``label`` is read inside a sentence. ``values``: what a code can be, each with its label; none means any code.
    ``unit`` is UCUM; ``minimum`` and ``maximum`` may be reached: they catch slips, a person's value lies between.
    """

    label: Line
    type: FactType
    unit: Unit | None = None
    values: dict[Code, Line] = Field(default_factory=dict)
    minimum: float | None = None
    maximum: float | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.type not in _NUMERIC and (self.unit, self.minimum, self.maximum) != (None, None, None):
            raise ValueError(f"{self.type}: takes no unit, minimum or maximum")
        if self.type not in ("code", "codes") and self.values:
            raise ValueError(f"{self.type}: takes no values")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError("the minimum is above the maximum")
        return self


class FieldTerm(_Shape):
    """One thing that is told of an event."""

    type: FieldType


class Term(_Shape):
    """One fact. Of ``latest``, the newest observation counts; else sources that differ are in conflict.

    An event list is told whole: the empty one says that there was none.

    ``source: appointments``, of one list at most: beside whoever records it, the program's own appointments tell it.
    Each completed one is an event on the day of its start, with the program's visit type where ``VISIT_TYPE`` is named.
    """

    valid_for: ValidFor | None = None
    latest: bool = False
    source: Literal["appointments"] | None = None
    fields: dict[Code, FieldTerm] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _events(self) -> Self:
        if self.type == "events":
            if self.latest:
                raise ValueError("events: the lists of several sources are merged, so none is the latest")
            if OF_EVENT in self.fields:
                raise ValueError(f"events: '{OF_EVENT}' is the event's date, not a field")
        elif self.fields:
            raise ValueError(f"{self.type}: takes no fields")
        return self

    @model_validator(mode="after")
    def _appointments(self) -> Self:
        if self.source is None:
            return self
        if self.type != "events":
            raise ValueError(f"{self.type}: appointments are told as events")
        if untold := sorted(self.fields.keys() - {VISIT_TYPE}):
            raise ValueError(f"appointments don't tell '{untold[0]}', only '{VISIT_TYPE}'")
        if any(each.type != "code" for each in self.fields.values()):
            raise ValueError(f"'{VISIT_TYPE}' is a code, of the program's visit types")
        return self

    @cached_property
    def valid_days(self) -> int | None:
        """How many days a value holds, counted from its observation."""
        if self.valid_for is None:
            return None
        return int(re.sub(r"\D", "", self.valid_for)) * (7 if self.valid_for.endswith("W") else 1)


class Derived(Contract):
    """Whole days, months or years from a date, or from the last event of a list, to the day of judgement."""

    label: Line
    derive: Derivation
    of: Code

    def term(self) -> Term:
        """What it holds."""
        return Term(label=self.label, type="integer", unit=_UNITS[self.derive], minimum=0)


_SEXES = {"female": "female", "male": "male", "other": "other"}
PERSON: Mapping[str, Term] = MappingProxyType(
    {
        "birth-date": Term(label="date of birth", type="date"),
        "sex": Term(label="sex", type="code", values=_SEXES),
    }
)
"""Facts of every program, from the patient's record: never recorded, never defined by a program."""

AGES: Mapping[str, Derived] = MappingProxyType(
    {
        "age": Derived(label="age", derive="years-since", of="birth-date"),
        "age-in-months": Derived(label="age in months", derive="months-since", of="birth-date"),
    }
)


class Vocabulary(Contract):
    """A program's facts and what is derived from them; those of the person come on top."""

    facts: dict[Code, Term] = Field(default_factory=dict)
    derived: dict[Code, Derived] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if wrong := list(_misfits(self)):
            reasons = "; ".join(f"{name}: {reason}" for name, reason in wrong)
            raise PydanticCustomError(MISFITS, "{reasons}", {"reasons": reasons, "by_name": wrong})
        return self

    def with_visit_types(self, names: Mapping[str, str]) -> Self:
        """With these, by code, as what the field of appointments can hold."""
        name = self.of_appointments
        if name is None or VISIT_TYPE not in (fields := self.facts[name].fields):
            return self
        field = fields[VISIT_TYPE].model_copy(update={"values": dict(names)})
        term = self.facts[name].model_copy(update={"fields": {VISIT_TYPE: field}})
        return type(self)(facts={**self.facts, name: term}, derived=self.derived)

    @cached_property
    def derivations(self) -> Mapping[str, Derived]:
        """Those of the program, and the ages."""
        return {**AGES, **self.derived}

    @cached_property
    def of_appointments(self) -> str | None:
        """The fact that the program's appointments tell."""
        return next((name for name, each in self.facts.items() if each.source), None)

    @cached_property
    def terms(self) -> Mapping[str, Term]:
        """Every name that a criterion may ask, with what it holds."""
        derived = {name: each.term() for name, each in self.derivations.items()}
        return {**PERSON, **self.facts, **derived}


def _misfits(vocabulary: Vocabulary) -> Iterator[tuple[str, str]]:
    """Names that don't fit together, each with the reason."""
    facts, derived = vocabulary.facts, vocabulary.derived
    for name in (*facts, *derived):
        if name in PERSON or name in AGES:
            yield name, "every program has it from the patient's record"
    for name in sorted(facts.keys() & derived.keys()):
        yield name, "is both a fact and derived"
    for name in [name for name, each in facts.items() if each.source][1:]:
        yield name, f"the program's appointments tell '{vocabulary.of_appointments}' already"
    for name, each in derived.items():
        if reason := _wrong_input(name, each.of, vocabulary):
            yield name, reason


def _wrong_input(name: str, of: str, vocabulary: Vocabulary) -> str | None:
    if of in vocabulary.derived:
        circle = _circle(name, vocabulary.derived)
        return f"comes from itself: {circle}" if circle else f"needs a date or events; '{of}' is derived itself"
    term = vocabulary.facts.get(of) or PERSON.get(of)
    if term is None:
        return f"comes from '{of}', which is no fact"
    return None if term.type in ("date", "events") else f"needs a date or events; '{of}' is of type {term.type}"


def _circle(name: str, derived: Mapping[str, Derived]) -> str | None:
    path = [name]
    while (of := derived[path[-1]].of) in derived:
        path.append(of)
        if of == name:
            return " → ".join(path)
        if path.count(of) > 1:
            return None  # the circle is further down, and named there
    return None
