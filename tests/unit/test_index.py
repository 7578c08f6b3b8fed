"""The index, both ways, is as good as asking each pair: on any trees, facts, unknowns, updates and deletions."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.criteria import Eligibility
from services.trials.facts.picture import Picture, Value
from services.trials.index import PatientIndex, TrialIndex
from services.trials.matching.verdict import Verdict, verdict
from tests.support.made_trials import AS_OF, DERIVATIONS, eligibilities, known, plain_eligibilities, seen, usual

_KEYS = st.integers(0, 4)
_TRIALS = st.dictionaries(_KEYS, st.none() | eligibilities | plain_eligibilities | plain_eligibilities, max_size=5)
_PATIENTS = st.dictionaries(_KEYS, st.none() | known | usual | usual, max_size=4)
_STEPS = st.lists(st.tuples(_TRIALS, _PATIENTS, st.integers(0, 400)), min_size=1, max_size=4)
_LIMITS = st.sampled_from([256, 256, 1, 2, 0])
thorough = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def _present(old: Mapping[int, Any], changes: Mapping[int, Any]) -> dict[int, Any]:
    return {key: value for key, value in {**old, **changes}.items() if value is not None}


def _every_pair(trials: Mapping[int, Eligibility], pictures: Mapping[int, Picture]) -> dict[tuple[int, int], Any]:
    verdicts = {(p, t): verdict(trial, picture) for t, trial in trials.items() for p, picture in pictures.items()}
    return {pair: found for pair, found in verdicts.items() if found.verdict is not Verdict.INELIGIBLE}


@thorough
@given(_STEPS, _LIMITS, _LIMITS)
def test_a_patient_gets_the_verdicts_that_asking_each_trial_gives(
    steps: list[tuple[dict[int, Eligibility | None], dict[int, dict[str, Value] | None], int]],
    limit: int,
    selections: int,
) -> None:
    trials: dict[int, Eligibility] = {}
    index: TrialIndex[int] = TrialIndex(limit=limit, selections=selections)
    for changed, patients, _ in steps:
        index.change(changed)
        trials = _present(trials, changed)
        pictures = {key: seen(told, AS_OF) for key, told in patients.items() if told is not None}
        expected = _every_pair(trials, pictures)
        assert {(p, t): found for p, each in pictures.items() for t, found in index.match(each).items()} == expected


@thorough
@given(_STEPS)
def test_a_trial_gets_the_patients_that_asking_each_gives_on_any_later_day(
    steps: list[tuple[dict[int, Eligibility | None], dict[int, dict[str, Value] | None], int]],
) -> None:
    told: dict[int, dict[str, Value]] = {}
    index: PatientIndex[int] = PatientIndex(DERIVATIONS)
    day = AS_OF
    for trials, changed, later in steps:
        index.change({key: None if each is None else seen(each, day) for key, each in changed.items()})
        told = _present(told, changed)
        day += timedelta(days=later)
        live = {key: each for key, each in trials.items() if each is not None}
        expected = _every_pair(live, {key: seen(each, day) for key, each in told.items()})
        for trial, eligibility in live.items():
            eligible, possible = index.match(eligibility, day)
            found = {(p, trial): Verdict.ELIGIBLE for p in eligible} | {(p, trial): Verdict.POSSIBLE for p in possible}
            assert found == {pair: each.verdict for pair, each in expected.items() if pair[1] == trial}
