"""The ladder of asks where its bounds touch: how many, how far apart, on whose mail, and what has gone out already."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import time
from typing import Any

import pytest

from schemas.appointment import Modality
from schemas.outcomes import DeliveryState, Kind
from schemas.programs import Program, Steps, Window
from services.notifier.difference import Changes
from services.notifier.domain import Appointment, Delivery, Ledger, Paperwork, Reason, Wanted
from services.notifier.plan import plan
from tests.support.charts import LONG_AGO, at, chart, forms, local, visit
from tests.support.desk import Desk
from tests.support.programs import CEDARS

S = DeliveryState
START, BOOKED = "2027-04-20 09:30", "2027-03-20 09:00"
ARMED = Ledger(armed_at=LONG_AGO)
CONSULTATION = visit("consultation", START, BOOKED)
VIDEO = visit("follow-up", START, BOOKED, modality=Modality.VIDEO)
"""It has steps two days and two hours before: only the rung at seven days, a mail of its own, reaches it."""


def program(hour: time | None = None, care: Window | None = None, **rules: Any) -> Program:
    """The program as shipped, with other rules for forms."""
    policy = CEDARS.policy
    paperwork = policy.paperwork.model_copy(update=rules)
    windows = policy.windows.model_copy(update={"care": care or policy.windows.care})
    changes = {"paperwork": paperwork, "windows": windows, "hour": hour or policy.hour}
    return CEDARS.model_copy(update={"policy": policy.model_copy(update=changes)})


def ladder(
    *subjects: Appointment | Paperwork, now: str, rules: Program = CEDARS, ledger: Ledger = ARMED
) -> dict[str | None, Wanted]:
    made = plan(chart(*subjects), {rules.public_code: rules}, ledger, at(now))
    return {each.step: each for each in made.wanted if each.paperwork_id == "forms"}


def dues(found: Mapping[str | None, Wanted]) -> dict[str | None, str]:
    return {step: local(each.due_at)[5:] for step, each in found.items()}


def asked(appointment: Appointment, when: str, rules: Program = CEDARS) -> dict[str | None, str]:
    return dues(ladder(appointment, forms(appointment, when), now=when, rules=rules))


def sent(step: str, day: str, **changes: Any) -> Delivery:
    """An ask that went out on that day at ten."""
    one = Delivery(
        step, f"paperwork/forms/{step}", Kind.PAPERWORK, CEDARS.public_code, S.SENT, None, at(f"2027-{day} 10:00"),
        at("2027-04-19 00:00"), "visit", "forms", step, entered_sending=True, ended_at=at(f"2027-{day} 10:00"),
    )  # fmt: skip
    return replace(one, **changes)


# the request


def test_each_edit_lets_the_request_settle_again() -> None:
    request = replace(forms(CONSULTATION, "2027-04-10 11:00"), changed_at=at("2027-04-10 11:10"))
    assert dues(ladder(CONSULTATION, request, now="2027-04-10 11:10"))["request"] == "04-10 11:25"
    later = replace(request, changed_at=at("2027-04-10 12:00"))
    assert dues(ladder(CONSULTATION, later, now="2027-04-10 12:00"))["request"] == "04-10 11:30"


def test_a_request_that_can_go_only_on_the_day_before_is_not_made() -> None:
    assert asked(CONSULTATION, "2027-04-18 18:50") == {}
    round_the_clock = program(care=Window(opens=time(0), closes=time(23)))
    assert asked(CONSULTATION, "2027-04-18 22:50", round_the_clock) == {}
    assert asked(CONSULTATION, "2027-04-18 22:40", round_the_clock) == {"request": "04-18 22:55"}


# which rungs, and on what they ride


def test_a_rung_rides_on_the_reminder_of_its_own_visit() -> None:
    before = visit("surgery", "2027-04-15 09:30", BOOKED, name="before")
    found = ladder(before, CONSULTATION, forms(CONSULTATION, BOOKED), now=BOOKED)
    assert found["P14D"].rides == "reminder/visit/20270420T163000Z/P14D"
    twin = replace(CONSULTATION, appointment_id="twin")
    found = ladder(twin, CONSULTATION, forms(CONSULTATION, BOOKED), now=BOOKED)
    assert found["P14D"].rides == "reminder/visit/20270420T163000Z/P14D"
    alone = visit("follow-up", START, BOOKED, modality=Modality.VIDEO)
    assert list(ladder(before, alone, forms(alone, BOOKED), now=BOOKED)) == ["request", "P7D"]


def test_a_rung_due_before_the_request_or_with_it_is_no_second_ask() -> None:
    desk = Desk(chart(CONSULTATION), at(BOOKED))
    late = forms(CONSULTATION, "2027-04-06 09:50")
    assert dues(ladder(CONSULTATION, late, now="2027-04-06 09:50", ledger=desk.ledger)) == {
        "request": "04-06 10:05", "P7D": "04-13 10:00", "P3D": "04-17 10:00",
    }  # fmt: skip
    twin = replace(CONSULTATION, appointment_id="twin")
    with_it = forms(CONSULTATION, "2027-04-06 09:45")
    found = ladder(twin, CONSULTATION, with_it, now="2027-04-06 09:45")
    assert found["request"].rides == "reminder/twin/20270420T163000Z/P14D"
    assert "P14D" not in found


def test_a_rung_whose_reminder_collapsed_asks_for_nothing() -> None:
    late = visit("consultation", START, "2027-04-16 15:00")
    assert asked(late, "2027-04-16 15:05") == {"request": "04-16 15:20"}


def test_a_reminder_that_carries_a_rung_of_its_own_is_not_asked_on_again() -> None:
    rules = program(rungs=("P14D", "P7D", "P6D"))
    steps = Steps(steps=("P14D", "P6D", "P1D"))
    near = CEDARS.visit_types["consultation"].model_copy(update={"steps": {"on-site": steps}})
    wide = rules.policy.model_copy(update={"bundle": rules.policy.bundle * 2})
    rules = rules.model_copy(update={"policy": wide, "visit_types": {"consultation": near}})
    assert list(asked(CONSULTATION, BOOKED, rules)) == ["request", "P14D", "P7D"]


# a rung of its own


def test_a_rung_of_its_own_is_not_made_up_for_once_its_day_or_the_request_has_passed_it() -> None:
    assert asked(VIDEO, "2027-04-13 09:45") == {"request": "04-13 10:00"}
    assert asked(VIDEO, "2027-04-13 11:00") == {"request": "04-13 11:15"}
    request = forms(VIDEO, "2027-04-01 09:00")
    assert "P7D" in ladder(VIDEO, request, now="2027-04-13 09:59")
    assert "P7D" not in ladder(VIDEO, request, now="2027-04-13 10:00")


def test_a_rung_of_its_own_that_was_planned_stays_wanted_when_it_falls_due() -> None:
    desk = Desk(chart(VIDEO, forms(VIDEO, "2027-04-01 09:00")), at("2027-04-01 09:00"))
    desk.until(at("2027-04-13 09:59"))
    desk.now = at("2027-04-13 10:30")
    assert desk.replan() == Changes()
    assert desk.row("forms/P7D").state is S.PLANNED


@pytest.mark.parametrize("own", ["P1D", "PT5H"])
def test_no_rung_of_its_own_asks_on_the_day_before_or_later(own: str) -> None:
    rules = program(rungs=("P7D", own), own=("P7D", own))
    assert list(asked(VIDEO, BOOKED, rules)) == ["request", "P7D"]
    assert asked(VIDEO, "2027-04-18 18:50", rules) == {}


def test_asks_are_days_apart_from_the_last_that_went_before() -> None:
    rules = program(rungs=("P9D", "P7D"), own=("P9D", "P7D"), max_own=3)
    assert asked(VIDEO, BOOKED, rules) == {"request": "03-20 09:15", "P9D": "04-11 10:00", "P7D": "04-15 10:00"}


def test_a_rung_that_need_not_move_is_not_crowded() -> None:
    steps = Steps(steps=("P14D", "P6D", "P1D"))
    near = CEDARS.visit_types["consultation"].model_copy(update={"steps": {"on-site": steps}})
    rules = program(rungs=("P14D", "P7D", "P6D")).model_copy(update={"visit_types": {"consultation": near}})
    assert asked(CONSULTATION, "2027-04-09 09:00", rules)["P7D"] == "04-13 10:00"
    assert "P7D" not in asked(CONSULTATION, "2027-04-10 09:00", rules)


def test_a_rung_that_would_move_past_its_use_is_not_made() -> None:
    assert asked(VIDEO, "2027-04-12 09:00", program(min_days_apart=6)) == {
        "request": "04-12 09:15", "P7D": "04-18 10:00",
    }  # fmt: skip
    assert asked(VIDEO, "2027-04-12 09:00", program(min_days_apart=7)) == {"request": "04-12 09:15"}
    midnight = Window(opens=time(0), closes=time(23))
    assert asked(VIDEO, "2027-04-12 09:00", program(time(0), midnight, min_days_apart=7)) == {"request": "04-12 09:15"}


@pytest.mark.parametrize(
    ("row", "due"),
    [
        (sent("P14D", "04-10"), "04-14 10:00"),
        (sent("P14D", "04-06", ended_at=at("2027-04-10 10:00")), "04-14 10:00"),
        (sent("P14D", "04-10", ended_at=None), "04-14 10:00"),
        (sent("P14D", "04-10", paperwork_id="others"), "04-13 10:00"),
        (sent("P14D", "04-10", state=S.FAILED), "04-13 10:00"),
    ],
)
def test_days_apart_count_from_when_an_ask_of_this_request_reached_the_patient(row: Delivery, due: str) -> None:
    ledger = replace(ARMED, deliveries=(row,))
    found = ladder(VIDEO, forms(VIDEO, "2027-04-01 09:00"), now="2027-04-11 09:00", ledger=ledger)
    assert dues(found)["P7D"] == due


# crowded


def test_a_rung_that_had_to_move_gives_way_only_to_an_ask_of_its_own_visit_that_is_coming() -> None:
    assert asked(VIDEO, "2027-04-13 09:00") == {"request": "04-13 09:15", "P7D": "04-17 10:00"}
    other = visit("surgery", START, BOOKED, name="other")
    found = ladder(other, VIDEO, forms(VIDEO, "2027-04-12 09:00"), now="2027-04-12 09:00")
    assert dues(found) == {"request": "04-12 09:15", "P7D": "04-16 10:00"}
    ledger = Ledger(armed_at=at("2027-04-17 10:01"))
    asked_for = forms(CONSULTATION, "2027-04-12 09:00")
    found = ladder(CONSULTATION, asked_for, now="2027-04-12 09:00", rules=program(min_days_apart=6), ledger=ledger)
    assert {step: each.end for step, each in found.items()} == {"request": Reason.BEFORE_ARMING, "P7D": None}


def test_an_earlier_reminder_frees_no_room_beside_a_later_one() -> None:
    desk = Desk(chart(CONSULTATION), at(BOOKED))
    desk.hear(chart(CONSULTATION, forms(CONSULTATION, "2027-04-12 09:00")), at=at("2027-04-12 09:00"))
    assert [each.step for each in desk.ledger.deliveries if each.paperwork_id] == ["request", "P3D"]


# how many


@pytest.mark.parametrize(
    ("rules", "steps"),
    [
        ({"max_asks": 1}, ["request"]),
        ({"max_asks": 2}, ["request", "P14D"]),
        ({"max_asks": 3}, ["request", "P14D", "P7D"]),
        ({"max_own": 1}, ["request", "P14D", "P3D"]),
        ({"max_asks": 2, "max_own": 1}, ["request", "P14D"]),
    ],
)
def test_no_more_asks_and_no_more_own_mails_than_the_policy_allows(rules: dict[str, Any], steps: list[str]) -> None:
    desk = Desk(chart(CONSULTATION, forms(CONSULTATION, BOOKED)), at(BOOKED), {CEDARS.public_code: program(**rules)})
    lefts = [wanted.asks_left for _, wanted in desk.inserted if wanted.paperwork_id]
    assert sorted(lefts, key=str, reverse=True) == [*reversed(range(len(steps)))]
    desk.until(at("2027-04-21 12:00"))
    keys = [key for each in desk.sent for key in each.keys if key.startswith("paperwork")]
    assert keys == [f"paperwork/forms/{step}" for step in steps]


def test_a_riding_ask_takes_no_own_mails_place() -> None:
    assert list(asked(VIDEO, BOOKED, program(max_own=1))) == ["request"]
    assert list(asked(CONSULTATION, BOOKED, program(max_own=2))) == ["request", "P14D", "P7D", "P3D"]


# staff


@pytest.mark.parametrize(("when", "due"), [("P0D", "04-20 09:00"), ("PT4H", "04-20 09:00"), ("P1D", "04-19 09:00")])
def test_staff_may_be_told_as_late_as_on_the_day_itself(when: str, due: str) -> None:
    rules = program(worklist_at=when)
    truth = chart(CONSULTATION, forms(CONSULTATION, BOOKED))
    made = plan(truth, {rules.public_code: rules}, ARMED, at("2027-04-20 09:10"))
    assert [(each.code, local(each.due_at)[5:]) for each in made.tasks] == [("paperwork_missing", due)]
