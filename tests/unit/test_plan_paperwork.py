"""The ladder of asks for forms, by example."""

from dataclasses import replace

import pytest

from schemas.appointment import AppointmentStatus
from schemas.envelope import Origin
from schemas.outcomes import DeliveryState, Kind
from services.notifier.domain import Appointment, Ledger, Reason, Wanted
from services.notifier.plan import plan
from tests.support.charts import LONG_AGO, at, cancelled, chart, edited, forms, local, moved, received, visit
from tests.support.desk import Desk
from tests.support.programs import PROGRAMS

START, ARMED = "2027-03-16 09:30", Ledger(armed_at=LONG_AGO)


def asks(appointment: Appointment | None, asked: str) -> dict[str | None, Wanted]:
    request = forms(appointment, asked)
    truth = chart(appointment, request) if appointment else chart(request)
    return {each.step: each for each in plan(truth, PROGRAMS, ARMED, at(asked)).wanted if each.paperwork_id}


def dues(found: dict[str | None, Wanted]) -> dict[str | None, str]:
    return {step: local(each.due_at)[5:] for step, each in found.items()}


def test_rungs_ride_on_steps_and_the_one_at_seven_days_goes_alone() -> None:
    found = asks(visit("consultation", START, "2027-02-24 09:00"), "2027-02-24 09:00")
    assert dues(found) == {"request": "02-24 09:15", "P14D": "03-02 10:00", "P7D": "03-09 10:00", "P3D": "03-13 10:00"}
    assert [step for step, each in found.items() if each.rides is None] == ["request", "P7D"]
    assert {local(each.useful_until) for step, each in found.items() if each.rides is None} == {"2027-03-15 00:00"}


def test_a_follow_up_asks_at_its_seven_day_step_and_no_more() -> None:
    found = asks(visit("follow-up", START, "2027-02-24 09:00"), "2027-02-24 09:00")
    assert dues(found) == {"request": "02-24 09:15", "P7D": "03-09 10:00"}
    assert found["P7D"].rides == "reminder/visit/20270316T163000Z/P7D"


def test_a_request_without_a_visit_is_asked_once() -> None:
    assert dues(asks(None, "2027-02-24 09:00")) == {"request": "02-24 09:15"}


def test_a_late_booking_and_its_request_are_one_mail() -> None:
    booking = visit("consultation", START, "2027-03-07 11:00")
    desk = Desk(chart(booking), at("2027-03-07 11:00"))
    desk.hear(chart(booking, forms(booking, "2027-03-07 11:05")), at=at("2027-03-07 11:05"))
    desk.until(at("2027-03-17 12:00"))
    assert [(local(each.at), each.kind) for each in desk.sent] == [
        ("2027-03-07 11:20", Kind.LATE_BOOKING),
        ("2027-03-11 10:00", Kind.PAPERWORK),
        ("2027-03-13 10:00", Kind.REMINDER_PAPERWORK),
        ("2027-03-15 10:00", Kind.REMINDER),
    ]


def test_a_rung_too_early_after_the_last_ask_moves_or_gives_way_to_the_next() -> None:
    assert dues(asks(visit("consultation", START, "2027-02-20 09:00"), "2027-03-06 09:00"))["P7D"] == "03-10 10:00"
    near = asks(visit("consultation", START, "2027-02-20 09:00"), "2027-03-08 09:00")
    assert dues(near) == {"request": "03-08 09:15", "P3D": "03-13 10:00"}


def test_a_request_the_day_before_a_step_takes_the_step_along() -> None:
    booking = visit("consultation", START, "2027-02-20 09:00")
    desk = Desk(chart(booking), at("2027-02-20 09:00"))
    desk.hear(chart(booking, forms(booking, "2027-03-01 11:00")), at=at("2027-03-01 11:00"))
    desk.until(at("2027-03-05 12:00"))
    assert [(local(each.at), each.kind) for each in desk.sent] == [("2027-03-01 11:15", Kind.REMINDER_PAPERWORK)]
    assert desk.sent[0].keys[1] == "paperwork/forms/request"


def test_the_day_before_asks_for_nothing() -> None:
    booking = visit("consultation", START, "2027-02-20 09:00")
    assert dues(asks(booking, "2027-03-14 15:00")) == {"request": "03-14 15:15"}
    assert asks(booking, "2027-03-14 15:00")["request"].rides is None
    assert asks(booking, "2027-03-15 08:00") == {}


def test_forms_that_arrive_stop_the_asking_and_the_worklist() -> None:
    booking = visit("consultation", START, "2027-02-24 09:00")
    asked = forms(booking, "2027-02-24 09:00")
    desk = Desk(chart(booking, asked), at("2027-02-24 09:00"))
    desk.until(at("2027-03-12 10:00"))
    assert [each.code for each in desk.made.tasks] == ["paperwork_missing"]
    desk.hear(chart(booking, received(asked, "2027-03-12 11:00")), at=at("2027-03-12 11:00"))
    assert desk.made.tasks == ()
    last = desk.row("paperwork/forms/P3D")
    assert (last.state, last.reason) == (DeliveryState.CANCELLED, Reason.PAPERWORK_RECEIVED)


@pytest.mark.parametrize("later", ["2027-03-13 15:00", "2027-03-15 15:00"])
def test_staff_hear_at_once_of_forms_asked_for_within_four_days(later: str) -> None:
    booking = visit("consultation", START, "2027-02-20 09:00")
    made = plan(chart(booking, forms(booking, later)), PROGRAMS, ARMED, at(later))
    assert [(each.code, local(each.due_at)) for each in made.tasks] == [("paperwork_missing", later)]


def test_before_four_days_staff_hear_nothing_and_the_plan_says_when_to_look_again() -> None:
    booking = visit("surgery", "2027-03-16 09:30", "2027-03-10 09:00")
    made = plan(chart(booking, forms(booking, "2027-03-10 09:00")), PROGRAMS, ARMED, at("2027-03-10 12:00"))
    assert made.tasks == ()
    assert made.replan_at
    assert made.replan_at <= at("2027-03-12 09:00")


def test_a_visit_that_is_off_or_over_ends_its_asks() -> None:
    booking = visit("consultation", START, "2027-02-24 09:00")
    asked = forms(booking, "2027-02-24 09:00")
    for after, reason in (
        (cancelled(booking, "2027-02-24 09:05"), Reason.VISIT_CANCELLED),
        (edited(booking, "2027-02-24 09:05", status=AppointmentStatus.FULFILLED), Reason.SUPERSEDED),
    ):
        desk = Desk(chart(booking, asked), at("2027-02-24 09:00"))
        desk.hear(chart(after, asked), at=at("2027-02-24 09:05"))
        assert {each.reason for each in desk.ledger.deliveries if each.paperwork_id} == {reason}


def test_a_moved_visit_takes_its_open_rungs_along_and_repeats_none() -> None:
    booking = visit("consultation", START, "2027-02-24 09:00", told=True)
    asked = forms(booking, "2027-02-24 09:00")
    desk = Desk(chart(booking, asked), at("2027-02-24 09:00"))
    later = moved(booking, "2027-03-30 09:30", "2027-03-05 12:00")
    desk.hear(chart(later, asked), at=at("2027-03-05 12:00"))
    desk.until(at("2027-03-31 12:00"))
    keys = [key for each in desk.sent for key in each.keys if key.startswith("paperwork")]
    assert keys == [f"paperwork/forms/{rung}" for rung in ("request", "P14D", "P7D", "P3D")]
    own = next(each for each in desk.sent if "paperwork/forms/P7D" in each.keys)
    assert local(own.at) == "2027-03-23 10:00"


def test_a_backfilled_request_waits_for_its_next_rung() -> None:
    booking = visit("consultation", START, "2027-02-20 09:00")
    request = replace(forms(booking, "2027-02-24 09:00"), origin=Origin.BACKFILL)
    made = plan(chart(booking, request), PROGRAMS, ARMED, at("2027-02-24 09:00"))
    first = next(each for each in made.wanted if each.step == "request")
    assert first.end is Reason.BEFORE_ARMING
