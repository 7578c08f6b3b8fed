"""The ages that criteria ask against the structured age of the registry's record: one of both may be a slip."""

import re
from collections.abc import Iterator

from schemas.criteria import AgeLimit, AgeUnit, Criterion, Eligibility
from schemas.vocabulary import Vocabulary
from services.trials.criteria.explain import Tree
from services.trials.criteria.lint_logic import about_one, meetings
from services.trials.criteria.questions import Asked, Question
from services.trials.criteria.structured import structured
from services.trials.criteria.text import sentence

_AGE = Question(Asked.VALUE, "age")
_ABOUT_AGE = re.compile(r"\bage[ds]?\b|\byears old\b|\byears of age\b", re.IGNORECASE)
_FROM_TO = re.compile(
    r"\b(\d{1,3})(?: years?)?(?: old)?\s?(?:-|–|to|and|through)\s?(\d{1,3})\b(?! ?(?:%|mg|months|weeks|days))"
)


def age_problems(
    eligibility: Eligibility, vocabulary: Vocabulary, broken: frozenset[str]
) -> Iterator[tuple[str, str, str]]:
    """Criterion, field and what both say. Of cohorts, which may narrow the age on purpose, only the shared ones."""
    limit = next((each for each in structured(eligibility) if each.id == "age"), None)
    said = sentence(limit, vocabulary) if limit else "any age"
    asked = about_one(each for each in eligibility.criteria if each.id not in broken).get(_AGE, [])
    if asked and _differ(asked, limit, vocabulary):
        ours = " and ".join(sentence(each.criterion, vocabulary) for each in asked)
        yield asked[0].criterion.id, "expression", f"{ours}; but the structured age says: {said}"
    for each in eligibility.criteria:
        if each.expression is None and (ages := _ages(each.text)) and ages != _years(eligibility):
            yield each.id, "text", f"age from {ages[0]} to {ages[1]}; but the structured age says: {said}"


def _differ(asked: list[Tree], limit: Criterion | None, vocabulary: Vocabulary) -> bool:
    structured_age = [Tree.of(limit)] if limit else []
    return any(
        all(met[: len(asked)]) != all(met[len(asked) :]) for met in meetings([*asked, *structured_age], vocabulary)
    )


def _ages(text: str) -> tuple[int, int] | None:
    found = _FROM_TO.search(text) if _ABOUT_AGE.search(text) else None
    ages = (int(found[1]), int(found[2])) if found else (0, 0)
    return ages if 0 < ages[0] < ages[1] <= 120 else None


def _years(eligibility: Eligibility) -> tuple[int | None, int | None]:
    return _in_years(eligibility.minimum_age), _in_years(eligibility.maximum_age)


def _in_years(limit: AgeLimit | None) -> int | None:
    return limit.number if limit and limit.unit is AgeUnit.YEARS else None
