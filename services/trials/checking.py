"""A draft against the vocabularies of the programs it is for, each problem once. Pure."""

from collections.abc import Iterator

from schemas.trials import TrialState
from services.trials.criteria.lint import Problem, lint
from services.trials.domain import Offers
from services.trials.scoping import vocabularies


def check(draft: TrialState, tenant: str, offers: Offers) -> tuple[Problem, ...]:
    """Every problem, errors first; where several programs have the same, it is told once."""
    found = [
        problem
        for vocabulary in vocabularies(offers, tenant, draft.programs).values()
        for problem in lint(draft.registry_id, draft.eligibility, vocabulary)
    ]
    return tuple(sorted(dict.fromkeys([*_nothing_asked(draft), *found]), key=lambda each: not each.error))


def _nothing_asked(draft: TrialState) -> Iterator[Problem]:
    """A trial that shrank to nothing would be open to everybody."""
    eligibility = draft.eligibility
    empty = [each.id for each in eligibility.cohorts if not each.criteria] if eligibility.cohorts else ["all"]
    if not eligibility.criteria:
        for cohort in empty:
            yield Problem(draft.registry_id, cohort, "criteria", "there is none, so everybody would be eligible")
