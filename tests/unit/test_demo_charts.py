"""The demo's people have the facts of the fixture's patients, and its trials the fixture's criteria."""

from collections.abc import Mapping
from datetime import date, datetime
from importlib.resources import files
from typing import Any

import pytest

from schemas.patient import Fact
from schemas.vocabulary_files import load_vocabularies
from services.trials.facts.picture import Picture, picture
from services.trials.facts.reading import read_facts
from services.trials.facts.values import Traits
from services.trials.matching.verdict import verdict
from standalone.demo.charts import FISTULA, FISTULA_BUT_ONE, LOW_PRESSURE
from standalone.demo.story import CAST, CEDARS, END, START
from tests.support.fixture_trials import in_fixture_form, read_expected, read_trials

ROLES = {
    "Frank": (LOW_PRESSURE, "p09_k2_two_true_one_unknown"),
    "Grace": (FISTULA, "p05_cvf"),
    "Ivan": (FISTULA, "p05_cvf"),
    "Hana": (FISTULA_BUT_ONE, "p07_cvf_pregnancy_unknown"),
}
EXPECTED = read_expected()


def seen(name: str, chart: Mapping[str, Any], day: datetime) -> Picture:
    vocabulary = load_vocabularies(files("programs"), demo=True)[CEDARS]
    told = []
    for fact, said in chart.items():
        value, unit = said if isinstance(said, tuple) else (said, None)
        told.append(Fact(name=fact, value=value, unit=unit, source="Demo desk", observed_at=START))
    facts, problems = read_facts(told, vocabulary, "America/Los_Angeles", day.date())
    assert not problems
    traits = Traits(date.fromisoformat(CAST[name].born), None, deceased=False)
    return picture(facts, traits, vocabulary, day.date())


@pytest.mark.parametrize("trial", ["TEST-ICHD-1", "TEST-CVF-1"])
@pytest.mark.parametrize("name", ROLES)
def test_the_storys_people_get_the_verdicts_of_the_fixtures_patients(name: str, trial: str) -> None:
    chart, patient = ROLES[name]
    for day in (START, END):
        found = verdict(read_trials()[trial].eligibility, seen(name, chart, day))
        assert in_fixture_form(found) == EXPECTED[patient, trial]
