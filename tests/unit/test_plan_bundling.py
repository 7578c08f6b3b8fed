"""An ask for forms and a reminder in one mail: which, when, and when not."""

from dataclasses import replace
from datetime import timedelta

import pytest

from schemas.appointment import Modality
from schemas.envelope import Origin
from services.notifier.difference import Changes
from services.notifier.domain import Appointment, Ledger, Paperwork, Plan
from services.notifier.plan import plan
from tests.support.charts import LONG_AGO, NEW_YORK, at, chart, edited, forms, local, patient, visit
from tests.support.desk import Desk
from tests.support.programs import CEDARS, PROGRAMS

START, BOOKED = "2027-03-16 09:30", "2027-02-20 09:00"
ARMED = Ledger(armed_at=LONG_AGO)
FIRST = visit("consultation", START, BOOKED)


def planned(*subjects: Appointment | Paperwork, now: str, ledger: Ledger = ARMED) -> Plan:
    return plan(chart(*subjects), PROGRAMS, ledger, at(now))


def request(made: Plan) -> tuple[str, str | None]:
    """When the request goes, and what it rides on: visit and step."""
    one = next(each for each in made.wanted if each.step == "request")
    ridden = next((each for each in made.wanted if each.dedup_key == one.rides), None)
    return local(one.due_at)[5:], f"{ridden.appointment_id}/{ridden.step}" if ridden else None


def dues(made: Plan, name: str = "visit") -> dict[str | None, str]:
    own = [each for each in made.wanted if each.appointment_id == name and not each.paperwork_id and not each.end]
    return {each.step: local(each.due_at)[5:] for each in own}


def test_the_one_reminder_moves_to_the_request_and_the_others_stay() -> None:
    made = planned(FIRST, forms(FIRST, "2027-03-01 11:00"), now="2027-03-01 11:00")
    assert request(made) == ("03-01 11:15", "visit/P14D")
    assert dues(made) == {"P14D": "03-01 11:15", "P3D": "03-13 10:00", "P1D": "03-15 10:00"}


def test_a_whole_day_apart_they_go_apart() -> None:
    assert request(planned(FIRST, forms(FIRST, "2027-03-01 09:45"), now="2027-03-01 09:45")) == ("03-01 10:00", None)
    made = planned(FIRST, forms(FIRST, "2027-03-01 09:46"), now="2027-03-01 09:46")
    assert request(made) == ("03-01 10:01", "visit/P14D")


def test_of_two_reminders_the_nearest_carries_the_request_on_either_side() -> None:
    early = visit("consultation", "2027-03-05 09:30", "2027-03-01 10:45", name="early")
    asked = forms(FIRST, "2027-03-01 11:05")
    assert request(planned(FIRST, early, asked, now="2027-03-01 11:05")) == ("03-01 11:20", "early/P14D")
    near = visit("consultation", "2027-03-05 15:30", "2027-03-01 11:10", name="near")
    made = planned(FIRST, early, near, asked, now="2027-03-01 11:10")
    assert request(made) == ("03-01 11:25", "near/P14D")


def test_a_late_mail_carries_its_request_even_in_place_of_the_last_reminder() -> None:
    wide = CEDARS.policy.late_booking.model_copy(update={"horizon": timedelta(days=2)})
    program = CEDARS.model_copy(update={"policy": CEDARS.policy.model_copy(update={"late_booking": wide})})
    late = visit("consultation", START, "2027-03-14 11:00")
    truth = chart(late, forms(late, "2027-03-14 11:05"))
    made = plan(truth, {program.public_code: program}, ARMED, at("2027-03-14 11:05"))
    assert request(made) == ("03-14 11:20", "visit/P1D")


def test_two_days_before_still_asks_and_a_day_before_never_does() -> None:
    video = visit("follow-up", START, BOOKED, modality=Modality.VIDEO)
    made = planned(video, forms(video, "2027-03-13 11:00"), now="2027-03-13 11:00")
    assert request(made) == ("03-13 11:15", "visit/P2D")
    made = planned(FIRST, forms(FIRST, "2027-03-14 12:00"), now="2027-03-14 12:00")
    assert request(made) == ("03-14 12:15", None)


def test_what_ended_carries_nothing() -> None:
    old = visit("consultation", START, "2027-03-06 09:30", origin=Origin.BACKFILL)
    assert request(planned(old, forms(old, "2027-03-06 09:31"), now="2027-03-06 09:31")) == ("03-06 09:46", None)


def test_a_reminder_waits_for_no_request_except_a_late_mail_for_half_an_hour() -> None:
    made = planned(FIRST, forms(FIRST, "2027-03-02 09:50"), now="2027-03-02 09:50")
    assert (request(made), dues(made)["P14D"]) == (("03-02 10:05", None), "03-02 10:00")
    late = visit("consultation", START, "2027-03-07 11:00")
    for asked, together in (("11:30", True), ("11:31", False)):
        made = planned(late, forms(late, f"2027-03-07 {asked}"), now="2027-03-07 11:00")
        assert (request(made)[1] == "visit/P14D") is together
        assert dues(made)["P14D"] == ("03-07 11:45" if together else "03-07 11:15")


def test_an_own_rung_rides_where_another_visits_step_is_due_at_the_same_instant() -> None:
    follow_up = visit("follow-up", "2027-03-16 14:00", BOOKED, name="other")
    made = planned(FIRST, follow_up, forms(FIRST, "2027-02-24 09:00"), now="2027-02-24 09:00")
    rung = next(each for each in made.wanted if each.dedup_key == "paperwork/forms/P7D")
    assert (local(rung.due_at), rung.rides) == ("2027-03-09 10:00", "reminder/other/20270316T210000Z/P7D")


def test_an_own_rung_takes_another_visits_step_along_where_the_clocks_change_between_them() -> None:
    """Twenty-three hours apart: gone alone, it would cost the reminder its room in the week."""
    video = visit("follow-up", "2027-03-20 09:30", BOOKED, modality=Modality.VIDEO)
    surgery = visit("surgery", "2027-03-17 09:30", BOOKED, name="other")
    asked = forms(video, "2027-02-24 09:00")
    desk = Desk(chart(video, surgery, asked), at("2027-02-24 09:00"))
    desk.until(at("2027-03-14 12:00"))
    assert local(desk.sent[-1].at) == "2027-03-13 10:00"
    assert set(desk.sent[-1].keys) == {"reminder/other/20270317T163000Z/P3D", "paperwork/forms/P7D"}
    full = CEDARS.policy.paperwork.model_copy(update={"max_asks": 1})
    program = CEDARS.model_copy(update={"policy": CEDARS.policy.model_copy(update={"paperwork": full})})
    made = plan(chart(video, surgery, asked), {program.public_code: program}, ARMED, at("2027-02-24 09:00"))
    assert dues(made, "other")["P3D"] == "03-14 10:00"


@pytest.mark.parametrize("now", ["2027-03-01 11:15", "2027-03-01 12:00"])
def test_heard_of_late_nothing_is_moved_into_the_past_and_what_was_moved_in_time_stays(now: str) -> None:
    asked = forms(FIRST, "2027-03-01 11:00")
    made = planned(FIRST, asked, now=now)
    assert (request(made), dues(made)["P14D"]) == (("03-01 11:15", None), "03-02 10:00")
    desk = Desk(chart(FIRST, asked), at("2027-03-01 11:00"))
    desk.now = at(now)
    assert desk.replan() == Changes()


def test_what_stands_for_its_day_is_not_moved_into_the_past() -> None:
    desk = Desk(chart(FIRST), at(BOOKED))
    made = planned(FIRST, forms(FIRST, "2027-03-01 11:00"), now="2027-03-01 12:00", ledger=desk.ledger)
    assert dues(made)["P14D"] == "03-02 10:00"


def test_what_was_edited_and_asked_for_in_one_sitting_settles_together() -> None:
    sitting = "2027-03-01 11:00"
    assert request(planned(edited(FIRST, sitting), forms(FIRST, sitting), now=sitting)) == ("03-01 11:15", "visit/P14D")
    later = edited(FIRST, "2027-03-01 11:01")
    assert request(planned(later, forms(FIRST, sitting), now="2027-03-01 11:01")) == ("03-01 11:15", None)


def test_nothing_is_moved_to_before_arming() -> None:
    asked = forms(FIRST, "2027-03-01 11:00")
    for armed, due in (("2027-03-01 11:15", "03-01 11:15"), ("2027-03-01 11:16", "03-02 10:00")):
        made = planned(FIRST, asked, now="2027-03-01 11:00", ledger=Ledger(armed_at=at(armed)))
        assert dues(made)["P14D"] == due


def test_a_late_mail_waits_for_no_request_that_is_of_no_use() -> None:
    late = visit("consultation", "2027-03-16 17:30", "2027-03-15 11:00")
    made = planned(late, forms(late, "2027-03-15 11:05"), now="2027-03-15 11:05")
    alone = planned(late, now="2027-03-15 11:05")
    assert dues(made) == dues(alone)


def test_they_go_apart_where_it_is_night_for_one_of_them() -> None:
    eastern = visit("consultation", START, BOOKED, name="eastern", zone=NEW_YORK)
    asked = replace(forms(FIRST, "2027-03-01 18:30"), appointment_id="visit")
    here = visit("surgery", "2027-04-20 09:30", BOOKED)
    truth = chart(here, eastern, asked, person=patient(zone=None))
    made = plan(truth, PROGRAMS, ARMED, at("2027-03-01 18:30"))
    assert request(made) == ("03-01 18:45", None)
    assert dues(made, "eastern")["P14D"] == "03-02 07:00"
