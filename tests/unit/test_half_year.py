"""Half a year of many patients and a hundred trials: index and moments say what asking every pair says.

The 88 records of the registry and the 12 trials of the fixture; a thousand patients in CI, eighty elsewhere. Birthdays,
facts, consents given and withdrawn, deaths, closures. Only patients whose event or moment has come are judged again;
each Monday everybody is asked one by one.
"""

import json
import os
import random
import uuid
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from schemas.criteria import Eligibility
from schemas.patient import ConsentDecision, EnrolmentStatus, Fact, PatientStatus
from schemas.protected import Protected
from schemas.trial_files import load_trial_files
from schemas.trials import RecruitmentStatus, TrialState
from services.trials.domain import Consent, Enrolment, Facts, Known, Patient
from services.trials.index import PatientIndex, TrialIndex, cut_points, windows
from services.trials.judging import Judged, Shelf, judge, personal, see
from services.trials.matching.verdict import Matcher, Verdict
from services.trials.registry.records import read_records
from services.trials.registry.trial import RegistryTrial
from tests.support.programs import CEDARS
from tests.support.research import OFFERS

RECORDS = Path(__file__).parents[1] / "data" / "ctgov-v2" / "spine-disc-open-88.json"
OFFER = OFFERS[CEDARS.public_code]
ZONE = ZoneInfo(CEDARS.zone)
START, DAYS = date(2027, 1, 1), 182
PEOPLE = 1000 if "CI" in os.environ else 80
Pairs = dict[str, tuple[Verdict, tuple[str, ...]]]


def noon(day: date) -> datetime:
    return datetime.combine(day, time(12), ZONE).astimezone(UTC)


def trials() -> dict[str, TrialState]:
    """All recruit, so that all are matched; ids made from the registry's."""
    found: dict[str, Eligibility] = {
        each.registry_id: each.eligibility
        for each in read_records(RECORDS.read_bytes())
        if isinstance(each, RegistryTrial)
    }
    found |= {name: each.eligibility() for name, each in load_trial_files().items()}
    return {
        (trial_id := str(uuid.uuid5(uuid.NAMESPACE_URL, name))): TrialState(
            trial_id=trial_id, version=1, registry_id=name, title=name, status=RecruitmentStatus.RECRUITING,
            criteria_version="1.0", eligibility=eligibility,
        )
        for name, eligibility in found.items()
    }  # fmt: skip


class People:
    """Made-up patients, from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.known = {f"p{number}": self._one(START) for number in range(PEOPLE)}

    def _one(self, day: date) -> Known:
        born = START - timedelta(days=self.random.randrange(10 * 365, 90 * 365))
        patient = Patient(PatientStatus.ACTIVE, Protected(born), Protected(self.random.choice(["female", "male"])))
        known = Known(patient, (Enrolment(CEDARS.public_code, EnrolmentStatus.OPEN),))
        known = replace(known, facts=(self._facts(day, self.random.randrange(12)),))
        return self.consent(known, day, ConsentDecision.PERMIT) if self.random.random() < 0.9 else known

    def _facts(self, day: date, number: int) -> Facts:
        names = self.random.sample(sorted(OFFER.vocabulary.facts), number)
        told = [each for name in names if (each := self._fact(name, day)) is not None]
        return Facts(tuple(told))

    def _fact(self, name: str, day: date) -> Fact | None:
        term, pick = OFFER.vocabulary.facts[name], self.random
        value: Any
        if term.type == "boolean":
            value = pick.random() < 0.5
        elif term.type in ("integer", "number"):
            low, high = term.minimum or 0, min(term.maximum or 100, 400)
            value = pick.randint(int(low), max(int(low), int(high)))
        elif term.type in ("code", "codes"):
            codes = sorted(term.values) or ["en", "fr"]
            value = pick.choice(codes) if term.type == "code" else pick.sample(codes, pick.randrange(len(codes)))
        elif term.type == "date":
            value = (day - timedelta(days=pick.randrange(400))).isoformat()
        else:
            ons = [(day - timedelta(days=pick.randrange(200))).isoformat() for _ in range(pick.randrange(3))]
            value = [{"on": on} if pick.random() < 0.8 else {} for on in ons]
        said = {
            "name": name, "value": value, "unit": term.unit, "source": pick.choice(["chart", "form"]),
            "observed_at": noon(day).isoformat(),
        }  # fmt: skip
        return Fact.strict_json(json.dumps(said))

    def consent(self, known: Known, day: date, decision: ConsentDecision) -> Known:
        return replace(known, consents=(Consent(decision, noon(day), None),))

    def something_happens(self, name: str, day: date) -> None:
        """A fact, a consent given or withdrawn, a death, a new patient in the place of another."""
        known, kind = self.known[name], self.random.random()
        if kind < 0.7:
            known = replace(known, facts=(*known.facts, self._facts(day, 2)))
        elif kind < 0.8:
            known = self.consent(known, day, ConsentDecision.DENY)
        elif kind < 0.9:
            known = self.consent(known, day, ConsentDecision.PERMIT)
        elif kind < 0.95:
            known = replace(known, patient=replace(known.patient, status=PatientStatus.DECEASED))
        else:
            known = self._one(day)
        self.known[name] = known


class Half:
    """The catalogue and what was judged so far; the reverse index besides."""

    def __init__(self, open_trials: dict[str, TrialState]) -> None:
        self.trials = open_trials
        self.index = TrialIndex({name: each.eligibility for name, each in open_trials.items()})
        self.matchers = {name: Matcher(each.eligibility) for name, each in open_trials.items()}
        self.people: PatientIndex[str] = PatientIndex(OFFER.vocabulary.derivations)
        self.stored: dict[str, Pairs] = {}
        self.next: dict[str, datetime | None] = {}

    def close(self, name: str) -> None:
        self.index.change({name: None})
        del self.trials[name], self.matchers[name]
        for pairs in self.stored.values():
            pairs.pop(name, None)

    @property
    def shelf(self) -> Shelf:
        asked = [each.eligibility for each in self.trials.values()]
        return Shelf(self.index, self.trials, cut_points(asked), windows(asked))

    def judge(self, people: People, names: set[str], day: date) -> None:
        shelf, pictures = self.shelf, {}
        for name in names:
            judged = judge(people.known[name], OFFERS, {CEDARS.public_code: shelf}, noon(day))
            self.stored[name], self.next[name] = _pairs(judged), judged.next_change
            pictures[name] = (
                None if judged.closed[CEDARS.public_code] else see(people.known[name], OFFER, noon(day)).picture
            )
        self.people.change(pictures)

    def due(self, day: date) -> set[str]:
        return {name for name, moment in self.next.items() if moment is not None and moment <= noon(day)}


def _pairs(judged: Judged) -> Pairs:
    return {name: (each.verdict.verdict, each.verdict.unknown) for name, each in judged.found.items()}


def asked_one_by_one(half: Half, known: Known, day: date) -> Pairs:
    seen = see(known, OFFER, noon(day)).picture
    if personal(known, OFFER, seen):
        return {}
    verdicts = {name: matcher.verdict(seen) for name, matcher in half.matchers.items()}
    return {
        name: (each.verdict, each.unknown) for name, each in verdicts.items() if each.verdict is not Verdict.INELIGIBLE
    }


@pytest.mark.timeout(600)
def test_over_half_a_year_the_index_and_the_moments_miss_nothing() -> None:
    people, half = People(seed=7), Half(trials())
    assert len(half.trials) == 100
    half.judge(people, set(people.known), START)
    by_time = 0
    for day in (START + timedelta(days=number) for number in range(1, DAYS)):
        due = half.due(day)
        by_time += len(due)
        touched = {people.random.choice(sorted(people.known)) for _ in range(15)}
        for name in touched:
            people.something_happens(name, day)
        half.judge(people, due | touched, day)
        if day.day == 15:
            half.close(people.random.choice(sorted(half.trials)))
        if day.weekday() == 0:
            compare(half, people, day)
    assert by_time > PEOPLE // 4


def compare(half: Half, people: People, day: date) -> None:
    truth = {name: asked_one_by_one(half, known, day) for name, known in people.known.items()}
    assert half.stored == truth
    for name, state in half.trials.items():
        eligible, possible = half.people.match(state.eligibility, day)
        expected = {who: pairs[name][0] for who, pairs in truth.items() if name in pairs}
        assert dict.fromkeys(eligible, Verdict.ELIGIBLE) | dict.fromkeys(possible, Verdict.POSSIBLE) == expected
