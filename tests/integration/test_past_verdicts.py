"""Any past verdict is made again from the store: from a match's stamp, and as of a day."""

import random
from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from chassis.settings import StoreSettings
from schemas.criteria import Criterion, Eligibility, Kind
from schemas.patient import ConsentDecision, EnrolmentStatus, PatientStatus
from services.trials.desk import trial_id
from services.trials.tables import past_subjects
from standalone.commands.errors import Failure
from standalone.replaying import Asked, Replay, replay
from tests.support.research import Research, research

TRIAL = "TEST-CVF-1"
TYPES = ("type-1", "type-2", "type-3")


@pytest.fixture
async def desk(store_settings: StoreSettings) -> AsyncIterator[Research]:
    async with research(store_settings) as one:
        yield one


def asks_for(*types: str) -> Eligibility:
    expression = {"fact": "leak-type", "op": "in", "value": list(types)}
    return Eligibility(
        minimum_age="18 Years", criteria=(
            Criterion(id="i1", kind=Kind.INCLUSION, text="Leak.", expression=expression),
            Criterion.model_validate({
                "id": "i2", "kind": "inclusion", "text": "Recent.",
                "expression": {"days_since": {"fact": "symptom-onset"}, "op": "le", "value": 60},
            }),
        ),
    )  # fmt: skip


async def again(desk: Research, patient_id: str, day: date | None = None, **versions: Any) -> Replay:
    [found] = await replay(desk.trials, Asked(desk.tenant, patient_id, TRIAL, day, **versions))
    return found


async def test_each_step_of_a_match_is_made_again_from_its_stamp(desk: Research) -> None:
    chance = random.Random(7)
    await desk.publish(TRIAL, asks_for("type-3"))
    patients = [await desk.admit() for _ in range(4)]
    for _ in range(150):
        desk.clock.advance_to(desk.clock.now() + timedelta(hours=chance.choice([1, 10, 200])))
        one = chance.choice(patients)
        act = chance.randrange(6)
        if act < 3:
            onset = (desk.clock.now() - timedelta(days=chance.choice([1, 50, 90]))).date().isoformat()
            await desk.hear(desk.facts(one, leak_type=chance.choice(TYPES), symptom_onset=onset))
        elif act == 3:
            await desk.hear(desk.consent(one, chance.choice([ConsentDecision.PERMIT, ConsentDecision.DENY])))
        elif act == 4:
            await desk.hear(desk.enrolment(one, chance.choice([EnrolmentStatus.OPEN, EnrolmentStatus.CLOSED])))
        elif (wanted := asks_for(*chance.sample(TYPES, 2))) != await published(desk):
            await desk.publish(TRIAL, wanted)
        await desk.work()
    steps = await desk.told("match.found", "match.changed", "match.withdrawn")
    assert len(steps) > 15
    assert len({each["criteria_version"] for _, each in steps}) > 3
    for name, each in steps:
        versions = {name: each[name] for name in ("facts_version", "criteria_version")}
        day = date.fromisoformat(each["as_of"])
        if each["withdrawn"] == "enrolment_closed":
            with pytest.raises(Failure, match="in no program"):
                await again(desk, each["patient_id"], day, **versions)
            continue
        found = await again(desk, each["patient_id"], day, **versions)
        if name == "match.withdrawn":
            assert found.verdict.verdict == "ineligible" or found.closed, each
        else:
            assert (found.verdict.verdict, found.closed) == (each["verdict"], []), each


async def published(desk: Research) -> Eligibility | None:
    async with desk.trials.store.write() as connection:
        await desk.trials.resources.catalogue.catch_up(connection)
    found = desk.trials.resources.catalogue.get(desk.tenant, trial_id(desk.tenant, TRIAL))
    return found.eligibility if found else None


async def test_a_day_is_judged_by_what_was_known_and_published_by_its_end(desk: Research) -> None:
    patient_id = await desk.admit(leak_type="type-1", symptom_onset="2027-02-20")
    desk.clock.advance_to(desk.clock.now() + timedelta(days=2))
    await desk.publish(TRIAL, asks_for("type-3"))
    desk.clock.advance_to(desk.clock.now() + timedelta(days=2))
    await desk.hear(desk.facts(patient_id, leak_type="type-3", symptom_onset="2027-02-20"))
    desk.clock.advance_to(desk.clock.now() + timedelta(days=2))
    await desk.publish(TRIAL, asks_for("type-1"))
    days = [date(2027, 2, 26) + timedelta(days=number) for number in range(0, 7)]
    found = [await again(desk, patient_id, day) for day in days]
    assert [(each.verdict.verdict, each.criteria_version) for each in found] == [
        ("eligible", "2.0"), ("eligible", "2.0"),  # nothing was published yet: judged by what counts now
        ("ineligible", "1.0"), ("ineligible", "1.0"), ("eligible", "1.0"), ("eligible", "1.0"),
        ("ineligible", "2.0"),
    ]  # fmt: skip
    assert [bool(each.note) for each in found] == [True, True, *[False] * 5]
    with pytest.raises(Failure, match="in no program"):
        await again(desk, patient_id, date(2027, 2, 25))
    with pytest.raises(Failure, match=r"criteria of version 9\.0"):
        await again(desk, patient_id, criteria_version="9.0")
    with pytest.raises(Failure, match="from 1 to 2"):
        await again(desk, patient_id, facts_version=3)


async def test_of_an_erased_patient_no_past_is_left(desk: Research) -> None:
    await desk.publish(TRIAL, asks_for("type-3"))
    patient_id = await desk.admit(leak_type="type-3", symptom_onset="2027-02-20")
    await desk.hear(desk.patient(patient_id, status=PatientStatus.ERASED))
    async with desk.trials.store.read() as connection:
        mine = past_subjects.c.patient_id == patient_id
        assert (await connection.execute(select(func.count()).where(mine))).scalar_one() == 0
    with pytest.raises(Failure):
        await again(desk, patient_id)
