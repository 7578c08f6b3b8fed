"""The verdict on one patient and one trial: what the criteria, age and sex say. Gates are beside it (``gates.py``)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from schemas.criteria import Cohort, Criterion, Eligibility
from services.trials.criteria.evaluate import Judge, compile_criterion
from services.trials.criteria.explain import Tree
from services.trials.criteria.structured import structured
from services.trials.criteria.truth import FALSE, UNKNOWN, Truth
from services.trials.facts.picture import Picture


class Verdict(StrEnum):
    """All true; none false and some unknown; some false."""

    ELIGIBLE = "eligible"
    POSSIBLE = "possible"
    INELIGIBLE = "ineligible"


@dataclass(frozen=True, slots=True)
class TrialVerdict:
    """The verdict of the cohort that comes nearest, with its criteria's ids in the order of the trial.

    ``truths``: whether each criterion is met, so of an exclusion true when nothing excludes. ``cohort`` is None for a
    trial without cohorts.
    """

    verdict: Verdict
    failed: tuple[str, ...]
    unknown: tuple[str, ...]
    truths: Mapping[str, Truth]
    cohort: str | None = None


@dataclass(frozen=True)
class Matcher:
    """A trial's eligibility made ready to be asked of many patients."""

    eligibility: Eligibility

    @cached_property
    def shared(self) -> tuple[tuple[Criterion, Judge], ...]:
        """Age and sex first, then what every cohort asks."""
        return _compiled((*structured(self.eligibility), *self.eligibility.criteria))

    @cached_property
    def cohorts(self) -> tuple[tuple[Cohort | None, tuple[tuple[Criterion, Judge], ...]], ...]:
        """Each cohort with its own criteria; one without name or criteria for a trial without cohorts."""
        return tuple((each, _compiled(each.criteria)) for each in self.eligibility.cohorts) or ((None, ()),)

    def criteria(self) -> Iterator[Criterion]:
        """All of them, the structured ones first."""
        yield from structured(self.eligibility)
        yield from self.eligibility.every()

    @cached_property
    def trees(self) -> tuple[tuple[Tree, ...], ...]:
        """The criteria of each cohort, to be judged in worlds that aren't."""
        shared = tuple(Tree.of(criterion) for criterion, _ in self.shared)
        return tuple((*shared, *(Tree.of(criterion) for criterion, _ in own)) for _, own in self.cohorts)

    def verdict(self, picture: Picture) -> TrialVerdict:
        """Of several cohorts the best: least failed, then least unknown, then the first."""
        return self._best({criterion.id: judge(picture) for criterion, judge in self.shared}, picture)

    def match(self, picture: Picture) -> TrialVerdict | None:
        """The verdict, or None for an ineligible patient: the first criterion that fails ends the asking."""
        shared: dict[str, Truth] = {}
        for criterion, judge in self.shared:
            truth = judge(picture)
            if truth is FALSE:
                return None
            shared[criterion.id] = truth
        found = self._best(shared, picture)
        return None if found.verdict is Verdict.INELIGIBLE else found

    def _best(self, shared: Mapping[str, Truth], picture: Picture) -> TrialVerdict:
        found = [_of_cohort(cohort, shared, own, picture) for cohort, own in self.cohorts]
        return found[0] if len(found) == 1 else min(found, key=_distance)


def verdict(eligibility: Eligibility, picture: Picture) -> TrialVerdict:
    """The verdict once; to ask one trial of many patients, keep a ``Matcher``."""
    return Matcher(eligibility).verdict(picture)


def _compiled(criteria: tuple[Criterion, ...]) -> tuple[tuple[Criterion, Judge], ...]:
    return tuple((each, compile_criterion(each)) for each in criteria)


def _of_cohort(
    cohort: Cohort | None, shared: Mapping[str, Truth], own: tuple[tuple[Criterion, Judge], ...], picture: Picture
) -> TrialVerdict:
    truths = {**shared, **{criterion.id: judge(picture) for criterion, judge in own}}
    return of_truths(truths, cohort.id if cohort else None)


def of_truths(truths: Mapping[str, Truth], cohort: str | None = None) -> TrialVerdict:
    """The verdict that follows from each criterion's truth."""
    failed = tuple(name for name, truth in truths.items() if truth is FALSE)
    unknown = tuple(name for name, truth in truths.items() if truth is UNKNOWN)
    found = Verdict.INELIGIBLE if failed else Verdict.POSSIBLE if unknown else Verdict.ELIGIBLE
    return TrialVerdict(found, failed, unknown, truths, cohort)


def _distance(found: TrialVerdict) -> tuple[int, int]:
    return len(found.failed), len(found.unknown)
