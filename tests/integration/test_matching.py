"""Events in, transitions out: pairs are found, changed and withdrawn on a real store, and invited when they may be."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.settings import StoreSettings
from schemas.criteria import Criterion, Eligibility, Kind
from schemas.patient import ConsentDecision, EnrolmentStatus, PatientStatus
from schemas.trials import RecruitmentStatus
from services.trials import timers
from services.trials.desk import Desk, NotYetError
from services.trials.evaluating import Evaluator
from services.trials.registry.trial import RegistryTrial
from services.trials.store.catalogue import find_trial
from services.trials.store.patients import Locked
from services.trials.tables import leases
from tests.support.eventually import eventually
from tests.support.research import Research, beside, research

CVF, ICHD = "TEST-CVF-1", "TEST-ICHD-1"
FISTULA: dict[str, Any] = {
    "leak_type": "type-3", "digital_subtraction_myelography": "positive", "blood_patch": [{}, {}],
    "symptom_onset": "2025-11-20", "pregnant": False, "allergies": [], "anticoagulated": False, "embolization": [],
}  # fmt: skip


@pytest.fixture
async def desk(store_settings: StoreSettings) -> AsyncIterator[Research]:
    async with research(store_settings) as one:
        yield one


async def test_a_patient_who_meets_a_trial_is_found_and_told_once(desk: Research) -> None:
    await desk.publish(CVF)
    grace = await desk.admit(**FISTULA)
    assert await desk.pairs(grace) == {CVF: "eligible"}
    await desk.hear(desk.facts(grace, **FISTULA))
    found = await desk.told("match.found", "match.changed", "match.withdrawn")
    assert [(name, data["verdict"]) for name, data in found] == [("match.found", "eligible")]


async def test_a_trial_that_comes_later_finds_who_was_there(desk: Research) -> None:
    grace = await desk.admit(**FISTULA)
    assert await desk.pairs(grace) == {}
    await desk.publish(CVF)
    await desk.work()
    assert await desk.pairs(grace) == {CVF: "eligible"}


async def test_a_changed_trial_is_worked_off_at_a_set_rate_and_holds_up_nobody_else(
    store_settings: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timers, "WAVE", 2)
    async with research(store_settings, drain_per_second=50) as desk:
        there = [await desk.admit(**FISTULA) for _ in range(6)]
        await desk.publish(CVF)
        drain = desk.trials.drain
        assert (await drain.wave(), drain.status()["waiting"], drain.rest(2)) == (2, 4, 2 / 50)
        assert [bool(await desk.pairs(each)) for each in there].count(True) == 2
        assert await desk.pairs(await desk.admit(**FISTULA)) == {CVF: "eligible"}, "an event in between"
        assert drain.status()["waiting"] == 4
        await desk.work()
        assert [await desk.pairs(each) for each in there] == [{CVF: "eligible"}] * 6


async def test_a_fact_that_is_learned_turns_possible_into_eligible(desk: Research) -> None:
    await desk.publish(CVF)
    hana = await desk.admit(**{name: value for name, value in FISTULA.items() if name != "pregnant"})
    assert await desk.pairs(hana) == {CVF: "possible"}
    await desk.hear(desk.facts(hana, "visit", pregnant=False))
    assert await desk.pairs(hana) == {CVF: "eligible"}
    assert [name for name, _ in await desk.told("match.found", "match.changed")] == ["match.found", "match.changed"]


async def test_without_consent_nobody_is_matched(desk: Research) -> None:
    await desk.publish(CVF)
    ivan = await desk.admit(consents=False, **FISTULA)
    assert await desk.pairs(ivan) == {}
    assert len(desk.trials.resources.people) == 0


@pytest.mark.parametrize(
    ("what", "reason"),
    [("consent", "consent_withdrawn"), ("death", "deceased"), ("enrolment", "enrolment_closed"),
     ("facts", "not_eligible"), ("trial", "trial_closed"), ("restriction", "restricted")],
)  # fmt: skip
async def test_a_match_is_withdrawn_when_it_no_longer_stands(desk: Research, what: str, reason: str) -> None:
    await desk.publish(CVF)
    grace = await desk.admit(**FISTULA)
    if what == "consent":
        desk.clock.advance_to(desk.clock.now() + timedelta(minutes=1))
        await desk.hear(desk.consent(grace, ConsentDecision.DENY))
    elif what == "death":
        await desk.hear(desk.patient(grace, status=PatientStatus.DECEASED))
    elif what == "restriction":
        await desk.hear(desk.patient(grace, status=PatientStatus.RESTRICTED))
    elif what == "enrolment":
        await desk.hear(desk.enrolment(grace, EnrolmentStatus.CLOSED))
    elif what == "facts":
        await desk.hear(desk.facts(grace, **{**FISTULA, "anticoagulated": True}))
    else:
        await desk.publish(CVF, status=RecruitmentStatus.TERMINATED)
        await desk.work()
    assert await desk.pairs(grace) == {CVF: f"({reason})"}
    assert [name for name, _ in await desk.told("match.found", "match.withdrawn")] == ["match.found", "match.withdrawn"]


async def test_a_tombstone_keeps_the_reason_that_was_told(desk: Research) -> None:
    await desk.publish(CVF)
    grace = await desk.admit(**FISTULA)
    await desk.hear(desk.facts(grace, **{**FISTULA, "anticoagulated": True}))
    await desk.hear(desk.patient(grace, status=PatientStatus.DECEASED))
    assert await desk.pairs(grace) == {CVF: "(not_eligible)"}
    assert len(await desk.told("match.withdrawn")) == 1


async def test_time_alone_turns_a_verdict_without_an_event(desk: Research) -> None:
    await desk.publish(CVF)
    kim = await desk.admit(**{**FISTULA, "symptom_onset": "2026-12-10"})
    assert await desk.pairs(kim) == {}
    desk.clock.advance_to(datetime(2027, 3, 10, 7, 59, tzinfo=UTC))
    await desk.work()
    assert await desk.pairs(kim) == {}
    desk.clock.advance_to(datetime(2027, 3, 10, 8, 0, tzinfo=UTC))
    await desk.work()
    assert await desk.pairs(kim) == {CVF: "eligible"}
    assert date(2027, 3, 10).isoformat() == (await desk.told("match.found"))[0][1]["as_of"]


async def test_an_invitation_waits_for_a_second_person_and_is_asked_for_once(desk: Research) -> None:
    await desk.publish(CVF)
    grace = await desk.admit(**FISTULA)
    await desk.work()
    assert (await desk.invited(grace), await desk.told("message.requested")) == (["waiting"], [])
    with pytest.raises(NotYetError, match="second person"):
        await desk.release(CVF, by="publisher")
    await desk.release(CVF)
    await desk.work()
    await desk.hear(desk.facts(grace, "again", **FISTULA))
    await desk.work()
    (asked,) = await desk.told("message.requested")
    assert (asked[1]["approval_id"], asked[1]["expires_at"]) == ("IRB-1", "2027-03-03T17:00:00Z")
    assert await desk.invited(grace) == ["requested"]


async def test_a_request_is_withdrawn_when_its_match_is(desk: Research) -> None:
    await desk.publish(CVF)
    await desk.release(CVF)
    grace = await desk.admit(**FISTULA)
    await desk.work()
    await desk.hear(desk.patient(grace, status=PatientStatus.DECEASED))
    withdrawn = await desk.told("message.requested", "message.withdrawn")
    assert [(name, data["version"]) for name, data in withdrawn] == [("message.requested", 1), ("message.withdrawn", 2)]
    assert await desk.invited(grace) == ["withdrawn"]


async def test_an_invitation_of_a_program_whose_files_are_gone_waits(
    desk: Research, store_settings: StoreSettings
) -> None:
    await desk.publish(CVF)
    grace = await desk.admit(**FISTULA)
    await desk.release(CVF)
    async with beside(store_settings, offers={}) as without:
        assert await without.trials.inviter.wave() == 1
    assert (await desk.invited(grace), await desk.told("message.requested")) == (["waiting"], [])


async def test_an_instance_that_stops_lets_another_work_at_once(desk: Research, store_settings: StoreSettings) -> None:
    await desk.publish(CVF)
    grace = await desk.admit(**FISTULA)
    await desk.release(CVF)
    async with beside(store_settings) as stopped:
        stopping = asyncio.Event()
        working = asyncio.create_task(stopped.trials.drain.run(stopping))
        await eventually(stopped.trials.drain.leads)
        assert not await desk.trials.drain.leads()
        stopping.set()
        await working
    assert await desk.trials.drain.leads()
    assert await desk.pairs(grace) == {CVF: "eligible"}


async def test_an_instance_that_has_lost_its_lease_invites_nobody(desk: Research) -> None:
    """Two at once would each count the day's invitations without the other's."""
    await desk.publish(CVF)
    await desk.admit(**FISTULA)
    await desk.release(CVF)
    inviter = desk.trials.inviter
    assert await inviter.wave() == 1
    async with desk.trials.store.write() as connection:
        await connection.execute(update(leases).where(leases.c.name == inviter.name).values(token="another instance"))
    late = await desk.admit(**FISTULA)
    assert (await inviter.wave(), await desk.invited(late)) == (0, ["waiting"])


async def test_a_patient_is_invited_to_one_trial_in_thirty_days(desk: Research) -> None:
    for name in (CVF, ICHD):
        await desk.publish(name)
        await desk.release(name)
    both: dict[str, Any] = {"opening_pressure": (4, "cm[H2O]"), "meningeal_diverticulum": True, "distance": (120, "km"),
            "connective_tissue_disorder": "none"}  # fmt: skip
    lea = await desk.admit(**FISTULA, **both)
    assert await desk.pairs(lea) == {CVF: "eligible", ICHD: "eligible"}
    await desk.work()
    assert sorted(await desk.invited(lea)) == ["requested", "waiting"]
    desk.clock.advance_to(desk.clock.now() + timedelta(days=30))
    await desk.hear(desk.facts(lea, **FISTULA, **both))  # some of them were true for a month only
    await desk.work()
    assert await desk.invited(lea) == ["requested", "requested"]


async def test_replayed_and_reordered_events_end_in_the_same_pairs_and_tell_nothing_new(desk: Research) -> None:
    await desk.publish(CVF)
    grace = await desk.admit()
    first, second = desk.facts(grace, **FISTULA), desk.facts(grace, **{**FISTULA, "anticoagulated": True})
    await desk.hear(second, first)
    assert await desk.pairs(grace) == {CVF: "(not_eligible)"}
    told = await desk.told()
    await desk.hear(first)
    await desk.hear(second)
    assert await desk.told() == told


async def test_a_trial_without_any_criterion_is_not_published_since_everybody_would_be_eligible(desk: Research) -> None:
    with pytest.raises(NotYetError, match="no criteria"):
        await desk.publish("EMPTY-1", Eligibility())


async def test_time_turns_a_verdict_on_a_trial_that_came_after_the_patient(desk: Research) -> None:
    kim = await desk.admit(**{**FISTULA, "symptom_onset": "2026-12-10"})
    await desk.publish(CVF)
    await desk.work()
    assert await desk.pairs(kim) == {}
    desk.clock.advance_to(datetime(2027, 3, 10, 8, 0, tzinfo=UTC))
    await desk.work()
    assert await desk.pairs(kim) == {CVF: "eligible"}


async def test_a_closed_record_closes_the_trial_at_once_and_costs_no_draft(desk: Research) -> None:
    await desk.publish(CVF)
    grace = await desk.admit(**FISTULA)
    sentence = Criterion(id="i1", kind=Kind.INCLUSION, text="Is new in the record")
    record = RegistryTrial(
        registry_id=CVF, brief_title=CVF, overall_status=RecruitmentStatus.SUSPENDED, criteria=(sentence,)
    )
    async with desk.trials.store.write() as connection:
        await Desk(desk.trials.resources.publisher).take(connection, desk.tenant, [record], desk.clock.now())
    await desk.work()
    assert await desk.pairs(grace) == {CVF: "(trial_closed)"}
    async with desk.trials.store.read() as connection:
        stored = await find_trial(connection, desk.tenant, CVF)
    assert stored is not None
    assert stored.draft.eligibility.criteria == (sentence,)
    assert stored.published_by == "publisher"
    with pytest.raises(NotYetError, match="second person"):
        await desk.release(CVF, by="publisher")


class Interrupted:
    """An evaluator that fails once, as when the store is away."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.failed, self._evaluator = False, evaluator

    def __getattr__(self, name: str) -> Any:
        return getattr(self._evaluator, name)

    async def evaluate(self, connection: AsyncConnection, patients: Sequence[Locked]) -> None:
        if not self.failed:
            self.failed = True
            raise ConnectionRefusedError
        await self._evaluator.evaluate(connection, patients)


async def test_a_wave_that_an_outage_undid_is_done_again(desk: Research) -> None:
    grace = await desk.admit(**FISTULA)
    await desk.publish(CVF)
    drain = desk.trials.drain
    drain.evaluator = Interrupted(drain.evaluator)  # type: ignore[assignment]  # of which it uses what is here
    with pytest.raises(ConnectionRefusedError):
        await drain.wave()
    await desk.work()
    assert await desk.pairs(grace) == {CVF: "eligible"}
