"""What each reason means for a delivery, and what goes first: the tables, written down a second time."""

from dataclasses import replace

import pytest

from schemas.outcomes import Kind
from services.notifier.domain import FINAL, ON_EVENT, UNTIL, Delivery, Ledger, Preference, Reason
from services.notifier.grouping import group
from services.notifier.guard import Moment, No, guard
from services.notifier.plan import plan
from tests.support.charts import LONG_AGO, at, chart, forms, local, moved, visit
from tests.support.desk import Desk
from tests.support.programs import CEDARS, PROGRAMS

BOOKED = "2027-03-20 09:00"
SURGERY = visit("surgery", "2027-04-20 09:30", BOOKED, told=True)


def names(text: str) -> set[Reason]:
    return {Reason(each) for each in text.split()}


def test_each_reason_is_final_or_ends_by_itself_or_with_an_event() -> None:
    assert names(
        "visit_cancelled superseded paperwork_received opted_out deceased merged_record collapsed before_arming"
        " too_late modality_mismatch trials_not_offered irb_expired match_withdrawn"
    ) == FINAL  # fmt: skip
    assert names("quiet_hold settle cap_reached domain_throttle breaker_open stale_truth feed_stale") == UNTIL
    assert names(
        "consent_missing restricted minor_review no_address unverified_address address_disputed suppressed"
        " truth_incomplete program_incomplete program_paused content_expired approval_unknown render_error phi_lint"
    ) == ON_EVENT  # fmt: skip


def test_a_notice_goes_before_reminders_and_forms_come_last() -> None:
    away = moved(visit("surgery", "2027-05-20 09:30", BOOKED, name="away", told=True), "2027-05-21 09:30", BOOKED)
    told = Desk(chart(replace(away, start=at("2027-05-20 09:30"), patient_told_at=at(BOOKED), version=1)), at(BOOKED))
    truth = chart(SURGERY, away, forms(SURGERY, BOOKED))
    made = plan(truth, PROGRAMS, Ledger(told=told.ledger.told, armed_at=LONG_AGO), at(BOOKED))
    first = {each.kind: each.priority for each in made.wanted if each.step != "P1D"}
    assert first[Kind.CHANGE] < min(each.priority for each in made.wanted if each.kind is Kind.REMINDER)
    assert first[Kind.PAPERWORK] > max(each.priority for each in made.wanted if each.kind is Kind.REMINDER)


def test_an_ask_without_a_visit_is_worth_sending_for_a_week_and_asks_nobody_to_confirm() -> None:
    [ask] = plan(chart(forms(None, BOOKED)), PROGRAMS, Ledger(armed_at=LONG_AGO), at(BOOKED)).wanted
    assert (local(ask.due_at), local(ask.useful_until)) == ("2027-03-20 09:15", "2027-03-27 09:15")
    assert ask.asks_confirm is False


@pytest.mark.parametrize(
    ("adapter", "due"),
    [("api", "09:15"), ("console", "09:15"), ("fhir", "09:30"), ("csv", "09:30"), ("hl7v2", "09:30")],
)
def test_what_people_enter_settles_sooner_than_what_a_feed_sends(adapter: str, due: str) -> None:
    request = replace(forms(None, BOOKED), adapter=adapter)
    [ask] = plan(chart(request), PROGRAMS, Ledger(armed_at=LONG_AGO), at(BOOKED)).wanted
    assert local(ask.due_at) == f"2027-03-20 {due}"


@pytest.mark.parametrize("kind", [Kind.REMINDER, Kind.LATE_BOOKING, Kind.REMINDER_PAPERWORK])
def test_no_reminder_of_any_kind_goes_to_whom_they_are_unwelcome_or_names_a_time_that_is_void(kind: Kind) -> None:
    desk = Desk(chart(SURGERY), at(BOOKED))
    row = replace(desk.row("P3D"), kind=kind)
    moment = Moment(now=row.due_at)
    choice = Preference(CEDARS.public_code, email=True, reminders=False, forms=True, paused_until=None)
    unwelcome = guard(row, replace(desk.truth, preferences=(choice,)), CEDARS, desk.ledger, moment)
    assert isinstance(unwelcome, No)
    assert unwelcome.reason is Reason.OPTED_OUT
    later = moved(SURGERY, "2027-04-20 13:00", "2027-04-01 09:00", told=True)
    void = guard(row, chart(later), CEDARS, desk.ledger, moment)
    assert isinstance(void, No)
    assert void.reason is Reason.SUPERSEDED


def test_a_late_mail_stands_before_the_reminder_of_a_sooner_visit() -> None:
    desk = Desk(chart(SURGERY), at(BOOKED))
    reminder = desk.row("P3D")
    late = visit("follow-up", "2027-04-22 09:30", "2027-04-17 09:00", name="late")
    [mail] = group([reminder, _late(late.appointment_id, reminder)], chart(SURGERY, late))
    assert (mail.kind, mail.appointment_ids) == (Kind.LATE_BOOKING, ("late", "visit"))


def _late(appointment_id: str, like: Delivery) -> Delivery:
    return replace(
        like, delivery_id="late", dedup_key="zz", kind=Kind.LATE_BOOKING, appointment_id=appointment_id, step="P1D"
    )
