"""Reminders by example: the policy as shipped, read aloud."""

from dataclasses import replace
from datetime import timedelta

import pytest

from schemas.appointment import AppointmentStatus, Modality
from schemas.envelope import Origin
from schemas.outcomes import DeliveryState, Kind
from schemas.patient import EnrolmentStatus, PatientStatus
from services.notifier.domain import Appointment, Ledger, Plan, Reason, Wanted
from services.notifier.plan import plan
from tests.support.charts import LONG_AGO, NEW_YORK, at, chart, edited, local, moved, patient, visit
from tests.support.desk import Desk
from tests.support.programs import CEDARS, KAISER, PROGRAMS

ARMED = Ledger(armed_at=LONG_AGO)
START = "2027-03-16 09:30"


def planned(appointment: Appointment, *, now: str | None = None) -> Plan:
    return plan(chart(appointment), PROGRAMS, ARMED, at(now) if now else appointment.booked_at)


def dues(made: Plan) -> dict[str | None, str]:
    return {each.step: local(each.due_at) for each in made.wanted if each.end is None}


def ends(made: Plan) -> dict[str | None, Reason]:
    return {each.step: each.end for each in made.wanted if each.end}


def step(made: Plan, name: str) -> Wanted:
    return next(each for each in made.wanted if each.step == name)


@pytest.mark.parametrize(
    ("program", "visit_type", "modality", "steps", "asks"),
    [
        (CEDARS, "consultation", "on-site", {"P14D": "03-02", "P3D": "03-13", "P1D": "03-15"}, "P3D"),
        (CEDARS, "second-opinion", "on-site", {"P14D": "03-02", "P3D": "03-13", "P1D": "03-15"}, "P3D"),
        (CEDARS, "follow-up", "on-site", {"P7D": "03-09", "P1D": "03-15"}, "P7D"),
        (CEDARS, "blood-patch", "on-site", {"P3D": "03-13", "P1D": "03-15"}, "P3D"),
        (CEDARS, "surgery", "on-site", {"P14D": "03-02", "P3D": "03-13", "P1D": "03-15"}, "P3D"),
        (KAISER, "consultation", "on-site", {"P14D": "03-02", "P3D": "03-13", "P1D": "03-15"}, "P3D"),
        (KAISER, "ct-myelography", "on-site", {"P7D": "03-09", "P1D": "03-15"}, "P7D"),
        (KAISER, "blood-patch", "on-site", {"P3D": "03-13", "P1D": "03-15"}, "P3D"),
        (KAISER, "surgery", "on-site", {"P14D": "03-02", "P3D": "03-13", "P1D": "03-15"}, "P3D"),
    ],
)
def test_each_kind_of_visit_has_its_steps_at_ten(
    program: object, visit_type: str, modality: str, steps: dict[str, str], asks: str
) -> None:
    assert program in (CEDARS, KAISER)
    owner = CEDARS if program is CEDARS else KAISER
    made = planned(visit(visit_type, START, "2027-02-20 09:00", program=owner, modality=Modality(modality)))
    assert dues(made) == {name: f"2027-{day} 10:00" for name, day in steps.items()}
    assert [each.step for each in made.wanted if each.asks_confirm] == [asks]
    assert {each.rule for each in made.wanted} == {f"{visit_type}/{modality}/{name}" for name in steps}


def test_a_video_follow_up_is_named_two_days_and_two_hours_before() -> None:
    made = planned(visit("follow-up", "2027-03-16 15:00", "2027-02-20 09:00", modality=Modality.VIDEO))
    assert dues(made) == {"P2D": "2027-03-14 10:00", "PT2H": "2027-03-16 13:00"}
    assert local(step(made, "PT2H").useful_until) == "2027-03-16 14:50"


def test_a_step_in_hours_that_falls_before_the_window_goes_the_evening_before() -> None:
    made = planned(visit("follow-up", "2027-03-16 09:30", "2027-02-20 09:00", modality=Modality.VIDEO))
    assert dues(made)["PT2H"] == "2027-03-15 18:00"


def test_a_step_is_useful_until_the_next_is_due_and_the_last_until_three_hours_before() -> None:
    made = planned(visit("consultation", START, "2027-02-20 09:00"))
    assert [local(each.useful_until) for each in made.wanted] == [
        "2027-03-13 10:00", "2027-03-15 10:00", "2027-03-16 06:30",
    ]  # fmt: skip
    assert made.replan_at == at("2027-03-13 10:00")


@pytest.mark.parametrize(
    ("booked", "combined", "expected"),
    [
        ("2027-02-24 09:00", None, {"P14D": "03-02 10:00", "P3D": "03-13 10:00", "P1D": "03-15 10:00"}),
        ("2027-03-06 09:30", "P14D", {"P14D": "03-06 09:45", "P3D": "03-13 10:00", "P1D": "03-15 10:00"}),
        ("2027-03-14 09:30", "P3D", {"P3D": "03-14 09:45", "P1D": "03-15 10:00"}),
        ("2027-03-14 15:00", "P3D", {"P3D": "03-14 15:15"}),
        ("2027-03-14 23:00", "P1D", {"P1D": "03-15 09:00"}),
        ("2027-03-15 14:00", "P1D", {"P1D": "03-15 14:00"}),
        ("2027-03-16 07:00", None, {}),
    ],
)
def test_a_late_booking_is_one_mail_and_what_still_has_room(
    booked: str, combined: str | None, expected: dict[str, str]
) -> None:
    made = planned(visit("consultation", START, booked))
    assert dues(made) == {name: f"2027-{due}" for name, due in expected.items()}
    late = [each.step for each in made.wanted if each.kind is Kind.LATE_BOOKING and each.end is None]
    assert late == ([combined] if combined else [])


def test_a_combined_mail_is_useful_until_the_next_that_goes_or_the_visit_is_near() -> None:
    alone = planned(visit("consultation", START, "2027-03-14 15:00"))
    assert local(step(alone, "P3D").useful_until) == "2027-03-16 06:30"
    assert ends(alone) == {"P14D": Reason.COLLAPSED, "P1D": Reason.COLLAPSED}
    followed = planned(visit("consultation", START, "2027-03-14 09:30"))
    assert local(step(followed, "P3D").useful_until) == "2027-03-15 10:00"


def test_a_visit_that_was_only_proposed_for_weeks_is_late_from_its_booking() -> None:
    booking = visit("consultation", START, "2027-03-14 15:00", start_set_at=at("2027-02-01 09:00"))
    assert dues(planned(booking)) == {"P3D": "2027-03-14 15:15"}


def test_the_gap_after_a_late_mail_counts_from_when_it_can_go() -> None:
    policy = CEDARS.policy
    care = policy.windows.care.model_copy(update={"weekdays": frozenset(range(1, 6))})
    windows = policy.windows.model_copy(update={"care": care})
    program = CEDARS.model_copy(update={"policy": policy.model_copy(update={"windows": windows})})
    booking = visit("consultation", START, "2027-03-12 19:30")
    made = plan(chart(booking), {program.public_code: program}, ARMED, booking.booked_at)
    assert dues(made) == {"P14D": "2027-03-15 09:00"}


def test_a_booking_by_video_under_a_day_ahead_is_one_mail_at_once() -> None:
    booking = visit("follow-up", "2027-03-16 15:00", "2027-03-16 10:30", modality=Modality.VIDEO)
    made = planned(booking)
    assert dues(made) == {"PT2H": "2027-03-16 10:30"}
    assert local(step(made, "PT2H").useful_until) == "2027-03-16 14:50"


def test_a_booking_under_three_hours_ahead_is_a_phone_task() -> None:
    made = planned(visit("consultation", START, "2027-03-16 07:00"))
    assert ends(made) == {"P14D": Reason.COLLAPSED, "P3D": Reason.COLLAPSED, "P1D": Reason.TOO_LATE}
    assert [(each.code, each.urgency) for each in made.tasks] == [("too_late", "now")]


def test_under_three_hours_by_video_there_is_no_mail_either() -> None:
    made = planned(visit("follow-up", "2027-03-16 15:00", "2027-03-16 12:30", modality=Modality.VIDEO))
    assert ends(made)["PT2H"] is Reason.TOO_LATE
    assert [each.code for each in made.tasks] == ["too_late"]


def test_old_news_are_no_phone_task() -> None:
    backfilled = visit("consultation", START, "2027-03-16 07:00", origin=Origin.BACKFILL)
    assert planned(backfilled).tasks == ()
    before = replace(ARMED, armed_at=at("2027-03-16 07:01"))
    booking = visit("consultation", START, "2027-03-16 07:00")
    assert plan(chart(booking), PROGRAMS, before, booking.booked_at).tasks == ()


def test_a_mail_without_a_moment_in_its_window_is_a_phone_task() -> None:
    made = planned(visit("consultation", START, "2027-03-15 20:00"))
    assert ends(made)["P1D"] is Reason.TOO_LATE
    assert [each.code for each in made.tasks] == ["too_late"]


def test_a_combined_mail_asks_to_confirm_when_it_stands_for_the_step_that_asks() -> None:
    assert step(planned(visit("consultation", START, "2027-03-14 15:00")), "P3D").asks_confirm
    assert step(planned(visit("consultation", START, "2027-03-15 14:00")), "P1D").asks_confirm
    assert not step(planned(visit("consultation", START, "2027-03-06 09:30")), "P14D").asks_confirm


def test_lateness_is_decided_by_the_booking_and_not_by_when_it_is_looked_at() -> None:
    desk = Desk(chart(booking := visit("consultation", START, "2027-03-06 09:30")), at("2027-03-06 09:30"))
    desk.hear(chart(edited(booking, "2027-03-13 09:58")), at=at("2027-03-13 09:58"))
    desk.until(at("2027-03-17 12:00"))
    assert [(local(each.at), each.kind) for each in desk.sent] == [
        ("2027-03-06 09:45", Kind.LATE_BOOKING),
        ("2027-03-13 10:13", Kind.REMINDER),
        ("2027-03-15 10:00", Kind.REMINDER),
    ]


def test_a_visit_heard_of_hours_late_still_gets_its_one_mail() -> None:
    made = planned(visit("surgery", START, "2027-03-11 12:00"), now="2027-03-13 11:00")
    assert {each.step: (local(each.due_at), each.end) for each in made.wanted if each.step != "P14D"} == {
        "P3D": ("2027-03-13 10:00", None), "P1D": ("2027-03-15 10:00", None),
    }  # fmt: skip
    assert not made.tasks


def test_a_new_step_of_a_policy_is_not_created_in_the_past() -> None:
    booking = visit("surgery", START, "2027-02-20 09:00")
    desk = Desk(chart(booking), at("2027-02-20 09:00"))
    desk.until(at("2027-03-12 12:00"))
    surgery = CEDARS.visit_types["surgery"]
    steps = surgery.steps["on-site"].model_copy(update={"steps": ("P14D", "P7D", "P3D", "P1D")})
    changed = surgery.model_copy(update={"steps": {"on-site": steps}})
    types = {**CEDARS.visit_types, "surgery": changed}
    desk.programs = {CEDARS.public_code: CEDARS.model_copy(update={"visit_types": types})}
    desk.replan()
    assert [each.step for each in desk.ledger.deliveries] == ["P14D", "P3D", "P1D"]


def test_an_edit_just_before_a_step_delays_it_by_one_settle_delay_at_most() -> None:
    booking = visit("surgery", START, "2027-02-20 09:00")
    once = edited(booking, "2027-03-13 09:55")
    twice = edited(once, "2027-03-13 10:08")
    assert dues(planned(once, now="2027-03-13 09:55"))["P3D"] == "2027-03-13 10:10"
    assert dues(planned(twice, now="2027-03-13 10:08"))["P3D"] == "2027-03-13 10:15"


def test_moved_and_moved_back_repeats_nothing() -> None:
    booking = visit("surgery", START, "2027-02-20 09:00")
    desk = Desk(chart(booking), at("2027-02-20 09:00"))
    away = moved(booking, "2027-03-18 09:30", "2027-03-13 12:00")
    desk.hear(chart(away), at=at("2027-03-13 12:00"))
    desk.hear(chart(moved(away, START, "2027-03-13 12:05")), at=at("2027-03-13 12:05"))
    desk.until(at("2027-03-19 12:00"))
    steps = [each.deliveries[0].step for each in desk.sent]
    assert steps == ["P14D", "P3D", "P1D"]


@pytest.mark.parametrize("origin", [Origin.BACKFILL, Origin.SNAPSHOT])
def test_old_news_cause_no_immediate_mail(origin: Origin) -> None:
    booking = visit("consultation", START, "2027-03-06 09:30", origin=origin)
    made = planned(booking)
    assert ends(made) == {"P14D": Reason.BEFORE_ARMING}
    assert dues(made) == {"P3D": "2027-03-13 10:00", "P1D": "2027-03-15 10:00"}


def test_what_was_recorded_two_days_ago_causes_no_immediate_mail() -> None:
    booking = visit("consultation", START, "2027-03-06 09:30")
    made = planned(booking, now="2027-03-08 09:31")
    assert "P14D" in ends(made)


def test_steps_before_arming_end_and_are_never_collapsed_into_a_mail() -> None:
    desk = Desk(chart(visit("consultation", START, "2027-02-20 09:00")), at("2027-03-05 09:00"), armed_at=None)
    desk.ledger = replace(desk.ledger, armed_at=at("2027-03-14 00:00"))
    desk.replan()
    desk.until(at("2027-03-17 12:00"))
    assert [each.deliveries[0].step for each in desk.sent] == ["P1D"]
    reasons = {each.step: each.reason for each in desk.ledger.deliveries}
    assert reasons == {"P14D": Reason.BEFORE_ARMING, "P3D": Reason.BEFORE_ARMING, "P1D": None}


@pytest.mark.parametrize("status", ["proposed", "pending", "waitlist", "unknown"])
def test_a_visit_that_isnt_booked_yet_arms_nothing(status: str) -> None:
    booking = visit("consultation", START, "2027-02-20 09:00", status=AppointmentStatus(status))
    assert planned(booking).wanted == ()


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (PatientStatus.DECEASED, Reason.DECEASED),
        (PatientStatus.MERGED, Reason.MERGED_RECORD),
        (PatientStatus.CLOSED, Reason.SUPERSEDED),
        (PatientStatus.ERASED, Reason.SUPERSEDED),
    ],
)
def test_nothing_is_planned_for_who_is_gone(status: PatientStatus, reason: Reason) -> None:
    booking = visit("consultation", START, "2027-02-20 09:00", told=True)
    desk = Desk(chart(booking), at("2027-02-20 09:00"))
    desk.hear(chart(edited(booking, "2027-02-21 09:00", status=AppointmentStatus.CANCELLED),
                    person=patient(status=status)))  # fmt: skip
    assert desk.made.wanted == ()
    assert {each.reason for each in desk.ledger.deliveries} == {reason}


def test_nothing_is_planned_after_an_enrolment_is_closed() -> None:
    truth = chart(visit("consultation", START, "2027-02-20 09:00"))
    closed = tuple(replace(each, status=EnrolmentStatus.CLOSED) for each in truth.enrolments)
    assert plan(replace(truth, enrolments=closed), PROGRAMS, ARMED, at("2027-02-20 09:00")).wanted == ()
    assert plan(replace(truth, patient=None), PROGRAMS, ARMED, at("2027-02-20 09:00")).wanted == ()


def test_ten_oclock_is_the_recipients_and_the_day_is_the_clinics() -> None:
    booking = visit("surgery", "2027-03-16 00:30", "2027-02-20 09:00")
    tokyo = plan(chart(booking, person=patient(zone="Asia/Tokyo")), PROGRAMS, ARMED, booking.booked_at)
    assert step(tokyo, "P1D").due_local == "2027-03-15T10:00"
    eastern = plan(chart(booking, person=patient(zone=NEW_YORK)), PROGRAMS, ARMED, booking.booked_at)
    assert (step(eastern, "P1D").due_local, step(eastern, "P1D").zone) == ("2027-03-15T10:00", NEW_YORK)


def test_a_zone_nobody_knows_is_the_clinics_and_a_worklist_entry() -> None:
    booking = visit("surgery", START, "2027-02-20 09:00")
    made = plan(chart(booking, person=patient(zone="Mars/Olympus")), PROGRAMS, ARMED, booking.booked_at)
    assert {each.zone for each in made.wanted} == {"America/Los_Angeles"}
    assert [each.code for each in made.tasks] == ["unknown_zone"]
    unstated = plan(chart(booking, person=patient(zone=None)), PROGRAMS, ARMED, booking.booked_at)
    assert not unstated.tasks


def test_far_behind_the_clinic_the_last_reminder_still_has_its_lead() -> None:
    booking = visit("surgery", "2027-03-16 00:30", "2027-02-20 09:00", zone="Pacific/Auckland")
    made = plan(chart(booking, person=patient(zone="Pacific/Honolulu")), PROGRAMS, ARMED, booking.booked_at)
    last = step(made, "P1D")
    assert last.due_at < last.useful_until <= booking.start - timedelta(hours=3)


def test_a_visit_of_an_unknown_type_or_modality_is_a_worklist_entry() -> None:
    for booking in (
        visit("massage", START, "2027-02-20 09:00"),
        visit("surgery", START, "2027-02-20 09:00", modality=Modality.UNKNOWN),
    ):
        made = planned(booking)
        assert made.wanted == ()
        assert [each.code for each in made.tasks] == ["visit_without_steps"]


def test_after_an_outage_nothing_stale_goes_out_and_staff_hear_what_was_missed() -> None:
    desk = Desk(chart(visit("surgery", START, "2027-02-20 09:00")), at("2027-02-20 09:00"))
    desk.now = at("2027-03-14 12:00")
    desk.replan()
    assert [(each.step, each.state) for each in desk.ledger.deliveries] == [
        ("P14D", DeliveryState.MISSED), ("P3D", DeliveryState.PLANNED), ("P1D", DeliveryState.PLANNED),
    ]  # fmt: skip
    desk.replan()
    assert [each.code for each in desk.made.tasks] == ["missed"]
    desk.until(at("2027-03-17 12:00"))
    assert [each.deliveries[0].step for each in desk.sent] == ["P3D", "P1D"]
    assert desk.made.tasks == ()
