"""What an import says of each record."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from schemas.trials import RecruitmentStatus
from services.trials.registry.records import Refused, read_records
from services.trials.registry.report import Line, Outcome, Stored, compare, totals
from services.trials.registry.trial import RegistryTrial

FILE = Path(__file__).parents[1] / "data/ctgov-v2/spine-disc-open-88.json"
DAY = date(2025, 3, 1)


@pytest.fixture(scope="module")
def trial() -> RegistryTrial:
    found = next(read_records(json.dumps(json.loads(FILE.read_text("utf-8"))[0]).encode()))
    assert isinstance(found, RegistryTrial)
    return found.model_copy(update={"last_update": DAY})


def stored(trial: RegistryTrial) -> dict[str, Stored]:
    return {trial.registry_id: Stored(trial.digest, trial.last_update)}


def changed(trial: RegistryTrial, **fields: Any) -> RegistryTrial:
    return trial.model_copy(update=fields)


def test_a_trial_that_isnt_stored_is_new(trial: RegistryTrial) -> None:
    assert compare(trial, {}) == Line(trial.registry_id, Outcome.NEW)


def test_the_same_record_again_is_the_same(trial: RegistryTrial) -> None:
    assert compare(trial, stored(trial)).outcome is Outcome.SAME


def test_a_new_date_alone_changes_nothing(trial: RegistryTrial) -> None:
    assert compare(changed(trial, last_update=date(2026, 1, 1)), stored(trial)).outcome is Outcome.SAME


@pytest.mark.parametrize(
    "fields",
    [
        {"minimum_age": None},
        {"sites": ()},
        {"brief_title": "x"},
        {"sex": "male"},
        {"criteria": ()},
        {"conditions": ()},
        {"healthy_volunteers": True},
        {"eligibility_text": "x"},
        {"study_type": None},
        {"overall_status": RecruitmentStatus.NOT_YET_RECRUITING},
    ],
)
def test_whatever_else_is_kept_changes_the_digest(trial: RegistryTrial, fields: dict[str, Any]) -> None:
    assert changed(trial, **fields).digest != trial.digest


def test_a_changed_record_is_changed(trial: RegistryTrial) -> None:
    assert compare(changed(trial, sex="male"), stored(trial)).outcome is Outcome.CHANGED


@pytest.mark.parametrize("fields", [{"overall_status": RecruitmentStatus.COMPLETED}, {"criteria": ()}])
def test_a_record_that_nobody_can_match_is_closed(trial: RegistryTrial, fields: dict[str, Any]) -> None:
    closed = changed(trial, **fields)
    assert compare(closed, stored(trial)).outcome is Outcome.CLOSED
    assert compare(closed, {}).outcome is Outcome.CLOSED
    assert compare(closed, stored(closed)).outcome is Outcome.SAME


def test_an_older_record_is_refused_and_says_why(trial: RegistryTrial) -> None:
    line = compare(changed(trial, sex="male", last_update=date(2025, 2, 1)), stored(trial))
    assert line.outcome is Outcome.REFUSED
    assert line.reason == "NCT05287867: is of 2025-02-01; what is stored is of 2025-03-01"


def test_a_record_without_a_date_is_compared_all_the_same(trial: RegistryTrial) -> None:
    assert compare(changed(trial, sex="male", last_update=None), stored(trial)).outcome is Outcome.CHANGED


def test_a_refused_record_keeps_its_reason(trial: RegistryTrial) -> None:
    assert compare(Refused("NCT1", "why"), stored(trial)) == Line("NCT1", Outcome.REFUSED, "why")


def test_warnings_come_with_every_outcome(trial: RegistryTrial) -> None:
    warned = changed(trial, warnings=("look",))
    assert compare(warned, {}).warnings == compare(warned, stored(trial)).warnings == ("look",)


def test_totals_name_all_outcomes(trial: RegistryTrial) -> None:
    lines = [compare(trial, {}), compare(Refused(None, "why"), {}), compare(trial, {})]
    assert totals(lines) == {
        Outcome.NEW: 2,
        Outcome.CHANGED: 0,
        Outcome.SAME: 0,
        Outcome.CLOSED: 0,
        Outcome.REFUSED: 1,
    }
