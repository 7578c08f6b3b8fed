"""How many of those who may be asked at all a trial would find, and at which criterion the others are lost.

Counted are patients of the given programs who consent; a patient of two programs counts once, with the better verdict.
Travel isn't counted: it belongs to a site and not to the criteria.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from schemas.criteria import Criterion, Eligibility
from services.trials.people import People

Patients = frozenset[str]

_NOBODY: Patients = frozenset()
_EVERYBODY = Eligibility()


@dataclass(frozen=True, slots=True)
class Counts:
    eligible: int
    possible: int
    ruled_out: int


@dataclass(frozen=True, slots=True)
class Stage:
    """One criterion in the order of the trial: how many it rules out of those before, and how many are left.

    ``unparsed``: nobody is lost here, because nobody knows the answer.
    """

    criterion: str
    cohort: str | None
    lost: int
    left: int
    unparsed: bool


def count(people: People, programs: Sequence[str], eligibility: Eligibility) -> Counts:
    """Exact; whoever tells it masks it."""
    eligible, possible = _match(people, programs, eligibility)
    everybody, _ = _match(people, programs, _EVERYBODY)
    return Counts(len(eligible), len(possible), len(everybody - eligible - possible))


def possible(people: People, programs: Sequence[str], eligibility: Eligibility) -> Patients:
    """Whom something that nobody knows keeps from being eligible."""
    return _match(people, programs, eligibility)[1]


def funnel(people: People, programs: Sequence[str], eligibility: Eligibility) -> list[Stage]:
    """What all cohorts ask, then each cohort's own. A conjunction isn't false for whom none of its parts is."""
    left, _ = _match(people, programs, _EVERYBODY)
    found: list[Stage] = []
    for name, asked, unparsed in _steps(eligibility, eligibility.criteria):
        left = _pass(people, programs, asked, left, unparsed, found, name, None)
    for cohort in eligibility.cohorts:
        own = left
        for name, asked, unparsed in _steps(_EVERYBODY, cohort.criteria):
            own = _pass(people, programs, asked, own, unparsed, found, name, cohort.name)
    return found


def _pass(
    people: People, programs: Sequence[str], asked: Eligibility, left: Patients, unparsed: bool, found: list[Stage],
    name: str, cohort: str | None,
) -> Patients:  # fmt: skip
    still = left if unparsed else left & frozenset().union(*_match(people, programs, asked))
    found.append(Stage(name, cohort, len(left) - len(still), len(still), unparsed))
    return still


def _steps(structured: Eligibility, criteria: Iterable[Criterion]) -> Iterator[tuple[str, Eligibility, bool]]:
    """Each criterion as a trial of its own, named."""
    if structured.minimum_age or structured.maximum_age:
        ages = Eligibility(minimum_age=structured.minimum_age, maximum_age=structured.maximum_age)
        yield "age", ages, False
    if structured.sex:
        yield "sex", Eligibility(sex=structured.sex), False
    for each in criteria:
        yield each.id, Eligibility(criteria=(each,)), each.expression is None


def _match(people: People, programs: Sequence[str], eligibility: Eligibility) -> tuple[Patients, Patients]:
    """Who is eligible, and who possibly is, in any of the programs."""
    eligible, possible = _NOBODY, _NOBODY
    for code in programs:
        true, could = people.match(code, eligibility)
        eligible, possible = eligible.union(true), possible.union(could)
    return eligible, possible - eligible
