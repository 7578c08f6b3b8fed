"""The plan where things touch: two programs, two visits, an instant on the bound, and what the ledger says already."""

from dataclasses import replace

import pytest

from schemas.appointment import AppointmentStatus, Modality
from schemas.envelope import Origin
from schemas.outcomes import DeliveryState, Kind
from schemas.patient import PatientStatus
from services.notifier.difference import Changes
from services.notifier.domain import Appointment, Ledger, Paperwork, Plan, Reason, Told
from services.notifier.plan import plan
from tests.support.charts import (
    LONG_AGO,
    NEW_YORK,
    at,
    cancelled,
    chart,
    edited,
    forms,
    local,
    moved,
    patient,
    received,
    visit,
)
from tests.support.desk import Desk
from tests.support.programs import CEDARS, KAISER, PROGRAMS

S = DeliveryState
ARMED = Ledger(armed_at=LONG_AGO)
START, BOOKED = "2027-03-16 09:30", "2027-02-20 09:00"
SURGERY = visit("surgery", START, BOOKED, told=True)


def planned(*subjects: Appointment | Paperwork, now: str = BOOKED, ledger: Ledger = ARMED) -> Plan:
    return plan(chart(*subjects), PROGRAMS, ledger, at(now))


def codes(made: Plan) -> list[str]:
    return [each.code for each in made.tasks]


def dues(made: Plan) -> dict[str, str]:
    return {each.dedup_key.split("/", 1)[1]: local(each.due_at)[5:] for each in made.wanted if not each.end}


# programs


def test_each_program_plans_its_own_visits_notices_and_forms_once() -> None:
    here, there = SURGERY, visit("surgery", "2027-03-23 09:30", BOOKED, program=KAISER, name="there", told=True)
    mine = forms(here, BOOKED)
    theirs = replace(forms(there, BOOKED, program=KAISER), paperwork_id="theirs")
    ledger = replace(
        ARMED, told={"visit": Told("visit", 0, at("2027-03-15 09:30"), None, Modality.ON_SITE, LONG_AGO, "staff")}
    )
    here = replace(here, patient_told_at=None)
    together = planned(here, there, mine, theirs, ledger=ledger)
    keys = [each.dedup_key for each in together.wanted]
    assert len(keys) == len(set(keys))
    alone = [*planned(here, mine, ledger=ledger).wanted, *planned(there, theirs).wanted]
    assert sorted(together.wanted, key=lambda each: each.dedup_key) == sorted(alone, key=lambda each: each.dedup_key)


def test_an_unknown_program_is_a_worklist_entry_and_plans_nothing() -> None:
    made = plan(chart(SURGERY), {}, ARMED, at(BOOKED))
    assert made.wanted == ()
    assert codes(made) == ["unknown_program"]


def test_the_plan_is_in_the_order_in_which_it_is_due_whatever_came_first() -> None:
    other = visit("consultation", "2027-03-17 09:30", BOOKED, name="other")
    made = planned(SURGERY, other)
    assert made == planned(other, SURGERY)
    assert [each.due_at for each in made.wanted] == sorted(each.due_at for each in made.wanted)
    first = visit("massage", START, BOOKED, name="first")
    second = replace(visit("massage", START, BOOKED, name="a-second"), changed_at=at("2027-02-20 09:01"))
    tasks = planned(second, first, now="2027-02-20 10:00").tasks
    assert [each.appointment_id for each in tasks] == ["first", "a-second"]


# who is gone, and zones


@pytest.mark.parametrize("status", [PatientStatus.MERGED, PatientStatus.CLOSED, PatientStatus.ERASED])
def test_only_a_death_leaves_a_note(status: PatientStatus) -> None:
    truth = chart(SURGERY)
    assert codes(plan(replace(truth, patient=patient(status=status)), PROGRAMS, ARMED, at(BOOKED))) == []
    assert codes(plan(replace(truth, patient=None), PROGRAMS, ARMED, at(BOOKED))) == []
    dead = replace(truth, patient=patient(status=PatientStatus.DECEASED))
    assert codes(plan(dead, PROGRAMS, ARMED, at(BOOKED))) == ["deceased_note"]
    assert codes(plan(replace(dead, enrolments=()), PROGRAMS, ARMED, at(BOOKED))) == []


def test_a_record_that_was_merged_away_is_gone_whatever_its_status_says() -> None:
    merged = chart(SURGERY, person=patient(merged_into="another"))
    assert plan(merged, PROGRAMS, ARMED, at(BOOKED)).wanted == ()


def test_a_visits_unknown_zone_is_a_worklist_entry_until_it_begins() -> None:
    nowhere = replace(SURGERY, zone="Mars/Olympus")
    assert codes(planned(nowhere)) == ["unknown_zone"]
    assert codes(planned(nowhere, now=START)) == []
    assert {each.zone for each in planned(nowhere).wanted} <= {CEDARS.zone}


def test_who_has_no_zone_lives_where_the_clinic_is() -> None:
    unknown = patient(zone=None)
    eastern = replace(SURGERY, zone=NEW_YORK)
    assert {e.zone for e in plan(chart(eastern, person=unknown), PROGRAMS, ARMED, at(BOOKED)).wanted} == {NEW_YORK}
    no_visit = chart(forms(None, BOOKED), person=unknown)
    assert {e.zone for e in plan(no_visit, PROGRAMS, ARMED, at(BOOKED)).wanted} == {CEDARS.zone}


# the visit is over, or isn't there


@pytest.mark.parametrize("now", [START, "2027-03-17 09:00"])
def test_a_visit_that_has_begun_is_nobodys_task_any_more(now: str) -> None:
    assert codes(planned(visit("massage", START, BOOKED), now=now)) == []
    assert codes(planned(SURGERY, forms(SURGERY, BOOKED), now=now)) == []
    under_way = replace(edited(SURGERY, START, status=AppointmentStatus.CANCELLED))
    ledger = replace(ARMED, told={"visit": Told("visit", 1, at(START), None, Modality.ON_SITE, LONG_AGO, "staff")})
    made = planned(under_way, now=now, ledger=ledger)
    assert (made.wanted, made.tasks) == ((), ())


def test_forms_for_a_visit_that_nobody_has_heard_of_wait_for_it() -> None:
    made = planned(replace(forms(None, BOOKED), appointment_id="unheard"), SURGERY)
    assert not [each for each in made.wanted if each.paperwork_id]


def test_what_staff_told_of_the_newest_state_is_known_before_the_ledger_says_so() -> None:
    told = {"visit": Told("visit", 1, at(START), None, Modality.ON_SITE, LONG_AGO, "staff")}
    away = moved(SURGERY, "2027-03-18 09:30", "2027-02-21 09:00", told=True)
    made = planned(away, now="2027-02-21 09:00", ledger=replace(ARMED, told=told))
    assert {each.kind for each in made.wanted} == {Kind.REMINDER}


# arming and old news


def test_what_was_due_before_arming_ends_in_the_plan_already() -> None:
    made = planned(SURGERY, ledger=Ledger(armed_at=at("2027-03-13 10:00")))
    assert {each.step: each.end for each in made.wanted} == {"P14D": Reason.BEFORE_ARMING, "P3D": None, "P1D": None}


def test_what_had_collapsed_says_so_also_before_arming_or_as_old_news() -> None:
    late = visit("consultation", START, "2027-03-13 11:00")
    collapsed = {each.dedup_key for each in planned(late, now="2027-03-13 11:00").wanted if each.end}
    assert collapsed
    for booking, ledger in (
        (late, Ledger(armed_at=at("2027-03-15 00:00"))),
        (replace(late, origin=Origin.BACKFILL), ARMED),
    ):
        made = planned(booking, now="2027-03-13 11:00", ledger=ledger)
        assert {e.dedup_key for e in made.wanted if e.end is Reason.COLLAPSED} == collapsed


def test_a_notice_from_before_arming_is_nobodys_call() -> None:
    told = {"visit": Told("visit", 1, at(START), None, Modality.ON_SITE, LONG_AGO, "staff")}
    off = cancelled(SURGERY, "2027-03-16 07:00")
    for armed, tasks in (("2027-03-16 07:00", ["short_notice"]), ("2027-03-16 07:01", [])):
        made = planned(off, now="2027-03-16 07:00", ledger=Ledger(told=told, armed_at=at(armed)))
        assert codes(made) == tasks


def test_old_news_that_ended_stay_ended_though_their_time_is_still_ahead() -> None:
    booking = visit("consultation", START, "2027-03-06 09:30", origin=Origin.BACKFILL)
    desk = Desk(chart(booking), booking.booked_at)
    assert desk.row("P14D").state is S.SKIPPED
    assert desk.replan(release_held=True) == Changes()
    assert desk.row("P14D").state is S.SKIPPED


@pytest.mark.parametrize("now", ["2027-03-02 10:00", "2027-03-02 10:01"])
def test_a_step_of_old_news_that_is_due_already_ends(now: str) -> None:
    made = planned(replace(SURGERY, origin=Origin.BACKFILL), now=now)
    assert {each.step: each.end for each in made.wanted} == {"P14D": Reason.BEFORE_ARMING, "P3D": None, "P1D": None}


def test_old_forms_make_no_old_news_of_a_visit() -> None:
    late = visit("consultation", START, "2027-03-06 09:30")
    old = replace(forms(late, BOOKED), origin=Origin.BACKFILL)
    ends = {each.dedup_key for each in planned(late, old, now="2027-03-06 09:30").wanted if each.end}
    assert not [key for key in ends if key.startswith("reminder")]


# what the ledger says already


@pytest.mark.parametrize("state", [S.PLANNED, S.CLAIMED, S.HELD])
def test_an_open_delivery_is_called_off_with_the_fact_that_did_it(state: DeliveryState) -> None:
    desk = Desk(chart(SURGERY), at(BOOKED))
    assert desk.made.unwanted == {}
    rows = tuple(replace(each, state=state) for each in desk.ledger.deliveries)
    off = planned(cancelled(SURGERY, "2027-02-21 09:00", told=True), ledger=replace(desk.ledger, deliveries=rows))
    assert set(off.unwanted.values()) == {Reason.VISIT_CANCELLED}
    assert len(off.unwanted) == 3


TAKEN_BACK = {
    Reason.VISIT_CANCELLED, Reason.SUPERSEDED, Reason.PAPERWORK_RECEIVED, Reason.DECEASED, Reason.MERGED_RECORD,
    Reason.COLLAPSED, Reason.BEFORE_ARMING, Reason.TOO_LATE,
}  # fmt: skip


@pytest.mark.parametrize("reason", Reason)
def test_the_plan_takes_back_only_what_it_may_have_ended_itself_and_only_ahead(reason: Reason) -> None:
    desk = Desk(chart(SURGERY), at(BOOKED))
    for state, entered, again in ((S.SKIPPED, False, reason in TAKEN_BACK), (S.SKIPPED, True, False),
                                  (S.CANCELLED, False, True), (S.CANCELLED, True, False)):  # fmt: skip
        rows = tuple(replace(e, state=state, reason=reason, entered_sending=entered) for e in desk.ledger.deliveries)
        ledger = replace(desk.ledger, deliveries=rows)
        assert len(planned(SURGERY, ledger=ledger).wanted) == (3 if again else 0)
        due_now = planned(SURGERY, now="2027-03-02 10:00", ledger=ledger).wanted
        assert len(due_now) == (0 if not again else 3 if state is S.CANCELLED else 2)


def test_what_is_missed_is_told_at_once_and_only_where_its_visit_still_stands() -> None:
    desk = Desk(chart(SURGERY), at(BOOKED))
    stood = desk.ledger
    assert codes(planned(SURGERY, now="2027-03-13 09:59", ledger=stood)) == []
    made = planned(SURGERY, now="2027-03-13 10:00", ledger=stood)
    assert codes(made) == ["missed"]
    assert "P14D" not in {each.step for each in made.wanted}
    off = cancelled(SURGERY, "2027-03-12 09:00", told=True)
    assert codes(planned(off, now="2027-03-13 10:00", ledger=stood)) == []
    missed = tuple(replace(each, state=S.MISSED) for each in stood.deliveries[:1])
    assert codes(planned(off, now="2027-03-13 10:00", ledger=replace(stood, deliveries=missed))) == []
    assert codes(planned(SURGERY, now="2027-03-13 10:00", ledger=replace(stood, deliveries=missed))) == ["missed"]


def test_an_ask_whose_forms_have_come_was_not_missed() -> None:
    asked = forms(SURGERY, BOOKED)
    desk = Desk(chart(SURGERY, asked), at(BOOKED))
    only = tuple(each for each in desk.ledger.deliveries if each.step == "request")
    stood = replace(desk.ledger, deliveries=only)
    for papers, tasks in ((asked, {"missed", "paperwork_missing"}), (received(asked, "2027-03-01 09:00"), set())):
        assert set(codes(planned(SURGERY, papers, now="2027-03-15 00:00", ledger=stood))) == tasks


# when to look again


def test_nothing_that_ended_and_no_visit_without_a_task_is_a_reason_to_look_again() -> None:
    old = visit("consultation", START, "2027-03-06 09:30", origin=Origin.BACKFILL)
    assert planned(old, now="2027-03-06 09:30").replan_at == at("2027-03-15 10:00")
    assert planned(visit("surgery", START, BOOKED, status=AppointmentStatus.PENDING)).replan_at is None
    assert planned(visit("massage", START, BOOKED)).replan_at == at(START)
