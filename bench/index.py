"""The index beside asking each pair: time for one patient and for one trial, build time, memory, growth.

The limit is the shortest loop over all trials, or all patients, that stops at a pair's first criterion that is false.
Times are those of the processor, so that neighbours on the machine don't count as waiting.
"""

import gc
import math
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from statistics import fmean
from typing import TypeVar

from bench import made
from bench.figures import Figure
from schemas.criteria import Eligibility
from services.trials.criteria.truth import FALSE
from services.trials.facts.picture import Picture
from services.trials.index import PatientIndex, TrialIndex
from services.trials.matching.verdict import Matcher

T = TypeVar("T")
MANY = 50_000
GROWTH = (1_000, 3_000, 10_000, 30_000, MANY, 100_000)
_MS, _S = "ms", "s"


def figures() -> Iterator[Figure]:
    """One index of trials grows from step to step; at ``MANY`` all else is measured."""
    trials, patients = made.trials(GROWTH[-1]), made.patients(MANY)
    yield from _memory(trials[:1000], patients[:1000])
    index: TrialIndex[int] = TrialIndex()
    building = 0.0
    for number in GROWTH:
        building += _timed(partial(index.change, {slot: trials[slot] for slot in range(len(index), number)}))[0]
        if number == MANY:
            yield from _at_full_size(index, building, trials[:MANY], patients)
        yield from _growth(index, patients[:200])


def _at_full_size(
    by_patient: TrialIndex[int], building: float, trials: list[Eligibility], patients: list[Picture]
) -> Iterator[Figure]:
    by_trial: PatientIndex[int] = PatientIndex(made.DERIVATIONS)
    building += _timed(partial(by_trial.change, dict(enumerate(patients))))[0]
    yield Figure("start with 50,000 trials and 50,000 patients", building, _S, 60)
    gc.freeze()
    yield from _one_patient(by_patient, trials, patients[:1000])
    yield from _one_trial(by_trial, trials[:300], patients)
    spent = [_timed(partial(by_patient.change, {0: one}))[0] for one in trials[:100]]
    yield Figure("one trial replaced among 50,000, p50", _quantile(spent, 0.5) * 1e3, _MS)
    spent = [_timed(partial(by_trial.change, {0: one}))[0] for one in patients[:100]]
    yield Figure("one patient replaced among 50,000, p50", _quantile(spent, 0.5) * 1e3, _MS)
    gc.unfreeze()


def _one_patient(index: TrialIndex[int], trials: list[Eligibility], patients: list[Picture]) -> Iterator[Figure]:
    matchers = [Matcher(each) for each in trials[:5000]]
    scale = len(trials) / len(matchers)
    _short(matchers, patients[:1])
    brute = _timed(lambda: _short(matchers, patients[:10]))[0] / 10 * scale
    first = [_timed(partial(index.match, one))[0] for one in patients]
    spent = [_timed(partial(index.match, one))[0] for one in patients]
    left = [_timed(partial(index.candidates, one))[0] for one in patients]
    yield Figure("one patient against 50,000 trials, p50", _quantile(spent, 0.5) * 1e3, _MS, brute * 1e3)
    yield Figure("one patient against 50,000 trials, p99", _quantile(spent, 0.99) * 1e3, _MS, brute * 1e3)
    yield Figure("… of that the candidates alone, p99", _quantile(left, 0.99) * 1e3, _MS, brute * 1e3)
    yield Figure("… when its trials are asked for the first time, p99", _quantile(first, 0.99) * 1e3, _MS, brute * 1e3)
    yield Figure("… trials left to judge, mean", fmean(len(index.candidates(one)) for one in patients), "trials")
    yield Figure("… trials that match, mean", fmean(len(index.match(one)) for one in patients), "trials")
    nobody = Picture(made.AS_OF, {})
    index.match(nobody)
    taken = _timed(partial(index.match, nobody))[0]
    yield Figure("a patient of whom nothing is known, so that all trials match", taken * 1e3, _MS, brute * 1e3)


def _one_trial(index: PatientIndex[int], trials: list[Eligibility], patients: list[Picture]) -> Iterator[Figure]:
    matchers = [Matcher(each) for each in trials[:10]]
    _short(matchers, patients[:1])
    brute = _timed(lambda: _short(matchers, patients))[0] / len(matchers)
    spent = [_timed(partial(index.match, one, made.AS_OF))[0] for one in trials]
    left = [_timed(partial(index.candidates, one, made.AS_OF))[0] for one in trials]
    yield Figure("one trial against 50,000 patients, candidates, p50", _quantile(left, 0.5) * 1e3, _MS, brute * 1e3)
    yield Figure("one trial against 50,000 patients, candidates, p99", _quantile(left, 0.99) * 1e3, _MS, brute * 1e3)
    yield Figure("one trial against 50,000 patients, exactly, p50", _quantile(spent, 0.5) * 1e3, _MS, brute * 1e3)
    yield Figure("one trial against 50,000 patients, exactly, p99", _quantile(spent, 0.99) * 1e3, _MS, brute * 1e3)


def _short(matchers: Iterable[Matcher], patients: Iterable[Picture]) -> int:
    """How many pairs aren't ineligible, by asking each, as briefly as can be."""
    return sum(
        all(judge(picture) is not FALSE for _, judge in matcher.shared) for matcher in matchers for picture in patients
    )


def _memory(trials: list[Eligibility], patients: list[Picture]) -> Iterator[Figure]:
    """Beside the trials' and patients' own definitions."""
    tracemalloc.start()
    by_patient = TrialIndex(dict(enumerate(trials)))
    by_trial: PatientIndex[int] = PatientIndex(made.DERIVATIONS)
    by_trial.change(dict(enumerate(patients)))
    yield Figure(
        "memory of the index for 1,000 trials and 1,000 patients", tracemalloc.get_traced_memory()[0] / 1e6, "MB"
    )
    for one in patients:
        by_patient.match(one)
    yield Figure("… with the trials made ready to be judged", tracemalloc.get_traced_memory()[0] / 1e6, "MB")
    tracemalloc.stop()


def _growth(index: TrialIndex[int], patients: list[Picture]) -> Iterator[Figure]:
    gc.freeze()
    found = [len(index.match(one)) for one in patients]
    spent = [_timed(partial(index.match, one))[0] for one in patients]
    yield Figure(f"{len(index):,} trials: one patient, mean", fmean(spent) * 1e3, _MS)
    yield Figure(f"{len(index):,} trials: matches of one patient, mean", fmean(found), "trials")
    gc.unfreeze()


def _timed(act: Callable[[], T]) -> tuple[float, T]:
    started = time.thread_time()
    result = act()
    return time.thread_time() - started, result


def _quantile(values: Iterable[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.floor(len(ordered) * part))]
