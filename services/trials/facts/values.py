"""The words of the picture: what was recorded, and what a value can be. Days are civil, in the program's zone."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum

NEVER = math.inf
"""Days, months or years since the last event of a list that is known to be empty: more than any number."""


class Unknown(Enum):
    """Why nothing is known. All three count the same in a criterion."""

    MISSING = "missing"
    STALE = "stale"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Happening:
    """One dated clinical event, such as one blood patch. ``on=None`` or an absent field is unknown."""

    on: date | None
    fields: Mapping[str, str | int | float | bool] = field(default_factory=dict, hash=False)


Known = bool | int | float | str | date | frozenset[str] | tuple[Happening, ...]
"""An empty set or tuple is known: there is none."""

Value = Known | Unknown


@dataclass(frozen=True, slots=True)
class RecordedFact:
    """What one source said of one fact. ``valid_until``: the first day on which it no longer holds.

    ``observed_at`` puts observations of one day in order; nothing civil is judged by it.
    """

    name: str
    value: Known = field(repr=False)
    source: str = field(repr=False)
    observed_on: date
    valid_until: date | None = None
    unit: str | None = None
    observed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Traits:
    """What trials know of the person: from the patient's record, never from recorded facts. ``sex`` as in FHIR."""

    birth_date: date | None = field(default=None, repr=False)
    sex: str | None = field(default=None, repr=False)
    deceased: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """What is known of a patient on ``as_of``. ``behind``: the recorded facts that a value, or a conflict, rests on."""

    as_of: date
    values: Mapping[str, Value] = field(repr=False)
    behind: Mapping[str, tuple[RecordedFact, ...]] = field(default_factory=dict, repr=False)

    def value(self, name: str) -> Value:
        """What is known of a fact; ``Unknown.MISSING`` for one that nobody told."""
        return self.values.get(name, Unknown.MISSING)
