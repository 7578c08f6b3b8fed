"""What is wrong with a trial's criteria before anybody is judged by them.

Errors keep a draft from being published, warnings are shown; each names trial, criterion and field.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from schemas.criteria import Criterion, Eligibility
from schemas.expressions import AllOf, AnyOf, AtLeast, AtMost, Expression, Not
from schemas.vocabulary import Vocabulary
from services.trials.criteria.lint_age import age_problems
from services.trials.criteria.lint_logic import dead_ends, never_together
from services.trials.criteria.lint_terms import term_problems, unit_unsaid
from services.trials.criteria.places import places


@dataclass(frozen=True, slots=True)
class Problem:
    """``field``: where in the criterion, ``expression.any_of.0``. Only an ``error`` keeps it from being published."""

    trial: str
    criterion: str
    field: str
    reason: str
    error: bool = True

    def __str__(self) -> str:
        return f"{self.trial}: criterion {self.criterion}: {self.field}: {self.reason}"


def lint(trial: str, eligibility: Eligibility, vocabulary: Vocabulary) -> tuple[Problem, ...]:
    """Every problem of single criteria in the order of the trial, then those between criteria."""
    found = [each for criterion in eligibility.every() for each in _criterion(trial, criterion, vocabulary)]
    broken = frozenset(each.criterion for each in found if each.error)
    together = never_together(eligibility, vocabulary, broken)
    ages = age_problems(eligibility, vocabulary, broken)
    return (
        *found,
        *(Problem(trial, name, "expression", reason) for name, reason in together),
        *(Problem(trial, name, field, reason, error=False) for name, field, reason in ages),
    )


def _criterion(trial: str, criterion: Criterion, vocabulary: Vocabulary) -> Iterator[Problem]:
    if criterion.expression is None:
        return
    errors = tuple(_errors(criterion.expression, vocabulary)) or dead_ends(criterion.expression, vocabulary)
    yield from (Problem(trial, criterion.id, field, reason) for field, reason in errors)
    for place in places(criterion.expression):
        if reason := unit_unsaid(place, vocabulary):
            yield Problem(trial, criterion.id, place.field, reason, error=False)


def _errors(expression: Expression, vocabulary: Vocabulary) -> Iterator[tuple[str, str]]:
    for place in places(expression):
        if reason := _shape(place.part):
            yield place.field, reason
        yield from ((place.field, each) for each in term_problems(place, vocabulary))


def _shape(part: Expression) -> str | None:
    """Nodes that join nothing, or whose number makes them mean nothing."""
    match part:
        case Not():
            return None
        case AllOf(all_of=()) | AnyOf(any_of=()) | AtLeast(of=()) | AtMost(of=()):
            return "is empty"
        case AtLeast(at_least=0):
            return "at least 0 is always true"
        case AtLeast(at_least=number, of=parts) if number > len(parts):
            return f"can never be true: at least {number} of {len(parts)}"
        case AtMost(at_most=number, of=parts) if number >= len(parts):
            return f"is always true: at most {number} of {len(parts)}"
    return None
