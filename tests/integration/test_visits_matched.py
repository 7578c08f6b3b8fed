"""The program's own appointments as a fact: a completed visit turns a verdict, and so do its removal and time."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from chassis.settings import StoreSettings
from schemas.appointment import AppointmentStatus
from schemas.criteria import Eligibility
from schemas.patient import PatientStatus
from services.trials.tables import past_subjects, subjects
from standalone.replaying import Asked, replay
from tests.support.coordinating import coordinators
from tests.support.research import NOON, Research, research

TRIAL = "TEST-VISITS-1"
VISIT = "program-visit"
S = AppointmentStatus
LAST_WEEK = NOON - timedelta(days=7)
RECENT: dict[str, Any] = {"days_since": {"event": VISIT}, "op": "le", "value": 90}


@pytest.fixture
async def desk(store_settings: StoreSettings) -> AsyncIterator[Research]:
    async with research(store_settings) as one:
        yield one


def asks(*expressions: dict[str, Any], kind: str = "inclusion") -> Eligibility:
    criteria = [{"id": f"c{number}", "kind": kind, "expression": each} for number, each in enumerate(expressions, 1)]
    return Eligibility.strict_data({"criteria": criteria})


def seen(op: str, number: int, where: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"count": {"event": VISIT, "within": "P90D", "where": where}, "op": op, "value": number}


async def test_a_visit_matches_when_it_is_completed_and_no_more_when_it_was_entered_in_error(desk: Research) -> None:
    await desk.publish(TRIAL, asks(RECENT, seen("ge", 1)))
    ana = await desk.admit()
    assert await desk.pairs(ana) == {TRIAL: "possible"}
    await desk.hear(desk.visit(ana, LAST_WEEK, S.BOOKED, "appointment.scheduled"))
    await desk.hear(desk.visit(ana, LAST_WEEK, S.ARRIVED, "appointment.arrived"))
    assert await desk.pairs(ana) == {TRIAL: "possible"}
    await desk.hear(desk.visit(ana, LAST_WEEK))
    assert await desk.pairs(ana) == {TRIAL: "eligible"}
    await desk.hear(desk.visit(ana, LAST_WEEK, S.ENTERED_IN_ERROR, "appointment.removed"))
    assert await desk.pairs(ana) == {TRIAL: "possible"}
    told = await desk.told("match.found", "match.changed", "match.withdrawn")
    assert [(name, data["verdict"]) for name, data in told] == [
        ("match.found", "possible"), ("match.changed", "eligible"), ("match.changed", "possible"),
    ]  # fmt: skip


async def test_a_match_that_rests_on_one_visit_of_two_is_withdrawn_when_that_one_was_an_error(desk: Research) -> None:
    await desk.publish(TRIAL, asks(seen("ge", 2)))
    ana = await desk.admit()
    other = "7d3f7f0e-0a65-4a46-8f0b-4f7f0b8f9c11"
    await desk.hear(desk.visit(ana, LAST_WEEK), desk.visit(ana, NOON - timedelta(days=3), visit_id=other))
    assert await desk.pairs(ana) == {TRIAL: "eligible"}
    await desk.hear(
        desk.visit(ana, NOON - timedelta(days=3), S.ENTERED_IN_ERROR, "appointment.removed", visit_id=other)
    )
    assert await desk.pairs(ana) == {TRIAL: "(not_eligible)"}


async def test_events_in_any_order_and_twice_end_in_the_same_match(desk: Research) -> None:
    await desk.publish(TRIAL, asks(RECENT))
    ana = await desk.admit()
    booked = desk.visit(ana, LAST_WEEK, S.BOOKED, "appointment.scheduled")
    completed = desk.visit(ana, LAST_WEEK)
    removed = desk.visit(ana, LAST_WEEK, S.ENTERED_IN_ERROR, "appointment.removed")
    await desk.hear(completed, booked)
    await desk.hear(booked)
    assert await desk.pairs(ana) == {TRIAL: "eligible"}
    await desk.hear(removed)
    await desk.hear(completed)
    assert await desk.pairs(ana) == {TRIAL: "possible"}


async def test_time_alone_withdraws_a_match_that_rests_on_a_visit(desk: Research) -> None:
    await desk.publish(TRIAL, asks(RECENT))
    ana = await desk.admit()
    await desk.hear(desk.visit(ana, datetime(2027, 2, 20, 5, 0, tzinfo=UTC)))  # the 19th in Los Angeles
    desk.clock.advance_to(datetime(2027, 5, 21, 6, 59, tzinfo=UTC))
    await desk.work()
    assert await desk.pairs(ana) == {TRIAL: "eligible"}
    desk.clock.advance_to(datetime(2027, 5, 21, 7, 0, tzinfo=UTC))
    await desk.work()
    assert await desk.pairs(ana) == {TRIAL: "(not_eligible)"}
    (withdrawn,) = await desk.told("match.withdrawn")
    assert withdrawn[1]["as_of"] == "2027-05-21"


async def test_a_visit_of_another_program_doesnt_count(desk: Research) -> None:
    await desk.publish(TRIAL, asks(RECENT))
    ana = await desk.admit()
    await desk.hear(desk.visit(ana, LAST_WEEK, program="r4w8t3"))
    assert await desk.pairs(ana) == {TRIAL: "possible"}


async def test_the_type_of_a_visit_can_be_asked_and_is_unknown_where_nobody_told_it(desk: Research) -> None:
    await desk.publish(TRIAL, asks(seen("ge", 1, {"field": "visit-type", "op": "eq", "value": "consultation"})))
    pairs = []
    for visit_type in ("consultation", "surgery", None):
        one = await desk.admit()
        await desk.hear(desk.visit(one, LAST_WEEK, visit_type=visit_type))
        pairs.append((await desk.pairs(one))[TRIAL])
    assert pairs == ["eligible", "(not_eligible)", "possible"]


async def test_whom_nobody_saw_stands_as_unknown_to_an_exclusion_until_a_record_says_that_there_was_none(
    desk: Research,
) -> None:
    await desk.publish(TRIAL, asks({"exists": {"event": VISIT}}, kind="exclusion"))
    ana = await desk.admit()
    assert await desk.pairs(ana) == {TRIAL: "possible"}
    await desk.hear(desk.facts(ana, program_visit=[]))
    assert await desk.pairs(ana) == {TRIAL: "eligible"}
    await desk.hear(desk.visit(ana, LAST_WEEK))
    assert await desk.pairs(ana) == {TRIAL: "(not_eligible)"}


async def test_a_trial_that_comes_later_finds_who_was_seen(desk: Research) -> None:
    ana, bea = await desk.admit(), await desk.admit()
    await desk.hear(desk.visit(ana, LAST_WEEK), desk.visit(bea, NOON - timedelta(days=200)))
    await desk.publish(TRIAL, asks(RECENT))
    await desk.work()
    assert (await desk.pairs(ana), await desk.pairs(bea)) == ({TRIAL: "eligible"}, {})


async def test_a_coordinator_reads_the_criterion_in_words_and_where_the_visit_is_known_from(desk: Research) -> None:
    await desk.publish(TRIAL, asks(seen("ge", 1), RECENT))
    ana = await desk.admit()
    await desk.hear(desk.visit(ana, LAST_WEEK))
    async with coordinators(desk) as room:
        (match,) = (await room.get(f"/v1/trials/{TRIAL}/matches")).json()["matches"]
        why = (await room.get(f"/v1/trials/{TRIAL}/matches/{match['match_id']}")).json()
    counted, recent = (each for each in why["criteria"] if each["id"].startswith("c"))
    assert counted["sentence"] == "visit to the program in the last 90 days: number at least 1"
    assert recent["sentence"] == "days since the last visit to the program at most 90"
    (fact,) = counted["facts"]
    assert (fact["label"], fact["value"]) == ("visit to the program", "1 (February 2027, Follow-up)")
    assert fact["sources"] == [{"source": "the program's appointments", "observed_on": "2027-02-26"}]


async def test_a_past_verdict_is_made_again_from_the_visits_of_its_time(desk: Research) -> None:
    await desk.publish(TRIAL, asks(RECENT))
    ana = await desk.admit()
    await desk.hear(desk.visit(ana, LAST_WEEK))
    desk.clock.advance_to(NOON + timedelta(days=1))
    await desk.hear(desk.visit(ana, LAST_WEEK, S.CANCELLED, "appointment.cancelled"))
    verdicts = []
    for day in (date(2027, 2, 26), date(2027, 2, 27)):
        (found,) = await replay(desk.trials, Asked(desk.tenant, ana, TRIAL, day))
        verdicts.append(found.verdict.verdict)
    assert verdicts == ["eligible", "possible"]


async def test_what_is_kept_of_a_visit_is_sealed_and_goes_with_the_patient(desk: Research) -> None:
    ana = await desk.admit()
    await desk.hear(desk.visit(ana, LAST_WEEK))

    async def kept() -> list[bytes]:
        async with desk.trials.store.read() as connection:
            return [
                bytes(row.state)
                for table in (subjects, past_subjects)
                for row in await connection.execute(select(table.c.state).where(table.c.subject.like("appointment/%")))
            ]

    states = await kept()
    assert len(states) == 2
    assert not any(word in state for state in states for word in (b"follow-up", b"2027", b"fulfilled", b"k7q2m9"))
    await desk.hear(desk.patient(ana, status=PatientStatus.ERASED))
    assert await kept() == []
