"""Criteria of a trial: each keeps its sentence; one without an expression stays, and nobody knows whether it holds.

What a criterion asks is an expression (``schemas/expressions.py``). An exclusion's expression says what excludes.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, ValidationError, ValidationInfo, model_validator
from pydantic.functional_validators import ModelWrapValidatorHandler

from schemas.base import Contract
from schemas.expressions import Tree, too_large
from schemas.text import Code, Line

RESERVED = frozenset({"age", "sex"})
"""Ids of the structured criteria, which a registry's record holds in fields of their own."""

_AGE = re.compile(r"(\d{1,9}) (year|month|week|day|hour|minute)s?", re.IGNORECASE)


class Kind(StrEnum):
    """What it means that the expression is true."""

    INCLUSION = "inclusion"
    EXCLUSION = "exclusion"


class Status(StrEnum):
    """Where the expression comes from: a parser, a person, or there is none."""

    PARSED = "parsed"
    MANUAL = "manual"
    UNPARSED = "unparsed"


class Criterion(Contract):
    """One condition. ``anchor``: must be true before anybody is invited. ``waivable``: a coordinator may waive it.

    Without a ``status`` it is manual where there is an expression. A tolerant reader who can't read an expression takes
    the criterion as unparsed: unknown for everybody, so nobody is taken for eligible.
    """

    id: Code
    kind: Kind
    text: Annotated[str, StringConstraints(max_length=200_000)] = ""
    expression: Tree | None = None
    status: Status = Status.UNPARSED
    anchor: bool = False
    waivable: bool = False

    @model_validator(mode="wrap")
    @classmethod
    def _readable(cls, data: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        if not isinstance(data, Mapping) or data.get("expression") is None:
            return handler(data)
        try:
            if reason := too_large(data["expression"]):
                raise ValueError(f"criterion {str(data.get('id'))[:63]}: the expression {reason}")
            return handler({"status": Status.MANUAL, **data})
        except (ValidationError, ValueError):
            if info.context and info.context.get("tolerant"):
                return handler({**data, "expression": None, "status": Status.UNPARSED})
            raise

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if (self.expression is None) != (self.status is Status.UNPARSED):
            raise ValueError(f"criterion {self.id}: 'unparsed' says that there is no expression, and only that")
        return self


class Cohort(Contract):
    """A group within a trial: the shared criteria and its own."""

    id: Code
    name: Line
    criteria: tuple[Criterion, ...] = ()


class AgeUnit(StrEnum):
    """As registries name them."""

    YEARS = "years"
    MONTHS = "months"
    WEEKS = "weeks"
    DAYS = "days"
    HOURS = "hours"
    MINUTES = "minutes"


class AgeLimit(Contract):
    """An age by calendar; may be given as a registry writes it: ``18 Years``."""

    number: Annotated[int, Field(ge=0)]
    unit: AgeUnit

    @model_validator(mode="before")
    @classmethod
    def _written(cls, data: Any) -> Any:
        if not isinstance(data, str):
            return data
        if (found := _AGE.fullmatch(data.strip())) is None:
            raise ValueError("is no age such as '18 Years'")
        return {"number": int(found[1]), "unit": f"{found[2].lower()}s"}


class Eligibility(Contract):
    """All that a verdict depends on. A trial is any of its cohorts; without cohorts it is the shared criteria alone.

    ``sex`` is FHIR's code, absent when everybody may take part. A maximum of 65 years includes the 65th year.
    """

    minimum_age: AgeLimit | None = None
    maximum_age: AgeLimit | None = None
    sex: Annotated[str, StringConstraints(pattern="^(female|male)$")] | None = None
    criteria: tuple[Criterion, ...] = ()
    cohorts: tuple[Cohort, ...] = ()

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for cohort in self.cohorts or (Cohort(id="all", name="all"),):
            if twice := _twice([*RESERVED, *(each.id for each in (*self.criteria, *cohort.criteria))]):
                raise ValueError(f"criterion {twice}: the id stands twice, or is a structured criterion's")
        if twice := _twice([each.id for each in self.cohorts]):
            raise ValueError(f"cohort {twice}: the id stands twice")
        return self

    def every(self) -> Iterator[Criterion]:
        """The shared criteria, then the cohorts' own."""
        yield from self.criteria
        for cohort in self.cohorts:
            yield from cohort.criteria


def _twice(ids: list[str]) -> str | None:
    return next((each for each, times in Counter(ids).items() if times > 1), None)
