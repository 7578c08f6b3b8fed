"""Reminders on the bound: late or not, too close or not, settled or not, and which come first."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from schemas.appointment import AppointmentStatus, Modality
from schemas.outcomes import DeliveryState, Kind
from schemas.programs import Program, Steps
from services.notifier.domain import Appointment, Ledger, Plan, Reason
from services.notifier.keys import notice_key
from services.notifier.plan import plan
from services.notifier.plan.standing import lost_ground
from tests.support.charts import LONG_AGO, at, chart, edited, local, moved, patient, visit
from tests.support.desk import Desk
from tests.support.programs import CEDARS, PROGRAMS

S = DeliveryState
START, BOOKED = "2027-04-20 09:30", "2027-03-20 09:00"
ARMED = Ledger(armed_at=LONG_AGO)
SURGERY = visit("surgery", START, BOOKED, told=True)


def planned(appointment: Appointment, *, now: str | None = None, program: Program = CEDARS) -> Plan:
    moment = at(now) if now else appointment.booked_at
    return plan(chart(appointment), {program.public_code: program}, ARMED, moment)


def dues(made: Plan) -> dict[str | None, str]:
    return {each.step: local(each.due_at)[5:] for each in made.wanted if each.end is None}


def ends(made: Plan) -> dict[str | None, Reason]:
    return {each.step: each.end for each in made.wanted if each.end}


def with_steps(visit_type: str, modality: Modality, *steps: str) -> Program:
    changed = CEDARS.visit_types[visit_type].model_copy(update={"steps": {modality.value: Steps(steps=steps)}})
    return CEDARS.model_copy(update={"visit_types": {**CEDARS.visit_types, visit_type: changed}})


# late or not


@pytest.mark.parametrize(("booked", "late"), [("21:45", False), ("21:46", True)])
def test_a_booking_settles_before_half_a_day_is_counted(booked: str, late: bool) -> None:
    made = planned(visit("consultation", START, f"2027-04-05 {booked}"))
    kinds = {each.step: each.kind for each in made.wanted}
    assert (kinds["P14D"] is Kind.LATE_BOOKING) is late


@pytest.mark.parametrize(("booked", "late"), [("22:00", True), ("22:01", True), ("22:02", True), ("21:44", False)])
def test_a_booking_within_a_day_does_not_settle_and_one_exactly_a_day_ahead_does(booked: str, late: bool) -> None:
    program = with_steps("follow-up", Modality.VIDEO, "P2D", "PT12H")
    evening = visit("follow-up", "2027-04-20 22:00", f"2027-04-19 {booked}", modality=Modality.VIDEO)
    kinds = {each.step: each.kind for each in planned(evening, program=program).wanted}
    assert (kinds["PT12H"] is Kind.LATE_BOOKING) is late


@pytest.mark.parametrize(("booked", "due"), [("09:30", "09:45"), ("09:31", "09:31")])
def test_a_late_mail_settles_unless_the_visit_is_within_a_day(booked: str, due: str) -> None:
    assert dues(planned(visit("consultation", START, f"2027-04-19 {booked}"))) == {"P1D": f"04-19 {due}"}


@pytest.mark.parametrize(("booked", "ended"), [("13:45", {}), ("13:46", {"P3D": Reason.COLLAPSED})])
def test_a_step_exactly_a_gap_after_the_late_mail_goes(booked: str, ended: dict[str, Reason]) -> None:
    made = planned(visit("consultation", START, f"2027-04-16 {booked}"))
    assert ends(made) == ended
    assert [each.step for each in made.wanted].count("P3D") == 1


def test_the_gap_after_a_notice_counts_from_the_move_itself() -> None:
    booking = visit("follow-up", START, BOOKED, modality=Modality.VIDEO, told=True)
    desk = Desk(chart(booking), at(BOOKED))
    desk.hear(chart(moved(booking, "2027-04-17 18:30", "2027-04-16 20:00")), at=at("2027-04-16 20:00"))
    assert dues(desk.made)["PT2H"] == "04-17 16:30"
    assert ends(desk.made) == {"P2D": Reason.COLLAPSED}


@pytest.mark.parametrize(("start", "sent"), [("12:00", {}), ("12:01", {"P1D": "04-20 09:00"})])
def test_a_late_mail_that_could_go_only_when_it_has_lost_its_use_is_a_call(start: str, sent: dict[str, str]) -> None:
    made = planned(visit("consultation", f"2027-04-20 {start}", "2027-04-19 20:00"))
    assert dues(made) == sent
    assert bool(made.tasks) is not bool(sent)


@pytest.mark.parametrize(("booked", "sent"), [("12:00", {"PT2H": "04-20 12:00"}), ("12:01", {})])
def test_exactly_three_hours_ahead_a_mail_still_goes(booked: str, sent: dict[str, str]) -> None:
    made = planned(visit("follow-up", "2027-04-20 15:00", f"2027-04-20 {booked}", modality=Modality.VIDEO))
    assert dues(made) == sent
    assert bool(made.tasks) is not bool(sent)


# which come first


def test_the_last_step_and_a_late_mail_go_before_the_earlier_steps() -> None:
    assert {each.step: each.priority for each in planned(SURGERY).wanted} == {"P14D": 2, "P3D": 2, "P1D": 1}
    late = planned(visit("consultation", START, "2027-04-10 11:00"))
    assert {each.step: each.priority for each in late.wanted} == {"P14D": 1, "P3D": 2, "P1D": 1}


# the lead before a visit that is a day ahead on the recipient's clock


@pytest.mark.parametrize(
    ("modality", "due"), [(Modality.VIDEO, "2027-04-19T09:00"), (Modality.ON_SITE, "2027-04-18T18:00")]
)
def test_a_day_step_keeps_two_hours_of_lead_and_the_time_to_travel(modality: Modality, due: str) -> None:
    booking = visit("consultation", START, BOOKED, modality=modality, zone="Pacific/Auckland")
    booking = replace(booking, start=at("2027-04-20 09:00", "Pacific/Auckland"))
    program = with_steps("consultation", modality, "P3D", "P1D")
    truth = chart(booking, person=patient(zone="Pacific/Honolulu"))
    made = plan(truth, {program.public_code: program}, ARMED, booking.booked_at)
    assert {each.step: each.due_local for each in made.wanted}["P1D"] == due


# a new policy, and what the ledger says already


@pytest.mark.parametrize(
    ("now", "steps"),
    [("2027-04-18 09:59", ["P14D", "P3D", "P1D", "P2D"]), ("2027-04-18 10:00", ["P14D", "P3D", "P1D"])],
)
def test_a_step_that_a_new_policy_adds_is_planned_while_it_is_ahead(now: str, steps: Sequence[str]) -> None:
    desk = Desk(chart(SURGERY), at(BOOKED))
    desk.until(at(now))
    desk.programs = {CEDARS.public_code: with_steps("surgery", Modality.ON_SITE, "P14D", "P3D", "P2D", "P1D")}
    desk.replan()
    assert [each.step for each in desk.ledger.deliveries] == steps


def test_a_claimed_delivery_stays_wanted() -> None:
    desk = Desk(chart(SURGERY), at(BOOKED))
    rows = tuple(replace(each, state=S.CLAIMED) for each in desk.ledger.deliveries)
    made = plan(desk.truth, PROGRAMS, replace(desk.ledger, deliveries=rows), desk.now)
    assert (len(made.wanted), made.unwanted) == (3, {})


@pytest.mark.parametrize("state", [S.MISSED, S.FAILED, S.SENT, S.BOUNCED])
def test_what_is_over_is_not_wanted_again_though_sending_was_never_noted(state: DeliveryState) -> None:
    desk = Desk(chart(SURGERY), at(BOOKED))
    rows = tuple(replace(each, state=state) for each in desk.ledger.deliveries)
    made = plan(desk.truth, PROGRAMS, replace(desk.ledger, deliveries=rows), desk.now)
    assert (made.wanted, made.unwanted) == ((), {})


@pytest.mark.parametrize(("now", "old"), [("09:30", False), ("09:31", True)])
def test_a_record_exactly_two_days_old_is_news(now: str, old: bool) -> None:
    made = planned(visit("consultation", START, "2027-04-07 09:30"), now=f"2027-04-09 {now}")
    assert ("P14D" in ends(made)) is old


# why a delivery has lost its ground


def test_what_stands_open_for_somebody_who_is_not_known_is_not_wanted() -> None:
    desk = Desk(chart(SURGERY), at(BOOKED))
    made = plan(replace(desk.truth, patient=None), PROGRAMS, desk.ledger, desk.now)
    assert set(made.unwanted.values()) == {Reason.SUPERSEDED}


def test_an_ask_without_its_request_and_a_cancellation_of_a_booked_visit_have_lost_their_ground() -> None:
    [row, *_] = Desk(chart(SURGERY), at(BOOKED)).ledger.deliveries
    assert lost_ground(row, chart(SURGERY)) is None
    asking = replace(row, kind=Kind.PAPERWORK, paperwork_id="forms")
    assert lost_ground(asking, chart(SURGERY)) is Reason.PAPERWORK_RECEIVED
    notice = replace(row, kind=Kind.CANCELLATION, dedup_key=notice_key(Kind.CANCELLATION, "visit", 1))
    assert lost_ground(notice, chart(SURGERY)) is Reason.SUPERSEDED
    for status in (AppointmentStatus.CANCELLED, AppointmentStatus.ENTERED_IN_ERROR):
        assert lost_ground(notice, chart(edited(SURGERY, "2027-04-01 09:00", status=status))) is None
