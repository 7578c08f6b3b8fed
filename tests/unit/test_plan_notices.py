"""Change and cancellation notices: exactly when what was told differs from the truth."""

from dataclasses import replace

import pytest

from schemas.appointment import AppointmentStatus, Modality
from schemas.envelope import Origin
from schemas.outcomes import DeliveryState, Kind
from services.notifier.domain import Reason
from tests.support.charts import NEW_YORK, at, cancelled, chart, edited, local, moved, patient, visit
from tests.support.desk import Desk

BOOKED, START, LATER = "2027-02-26 09:00", "2027-03-16 09:30", "2027-03-18 13:00"
TOLD = visit("surgery", START, BOOKED, told=True)


def desk_with() -> Desk:
    """The told visit's desk on 4 March, after its first reminder."""
    desk = Desk(chart(TOLD), at(BOOKED))
    desk.until(at("2027-03-04 12:00"))
    return desk


def notices(desk: Desk) -> list[tuple[str, Kind]]:
    safety = (Kind.CHANGE, Kind.CANCELLATION)
    return [(local(each.at), each.kind) for each in desk.sent if each.kind in safety]


def test_several_edits_within_the_settle_delay_are_one_notice() -> None:
    desk = desk_with()
    first = moved(TOLD, LATER, "2027-03-05 10:00")
    desk.hear(chart(first), at=at("2027-03-05 10:00"))
    second = moved(first, "2027-03-19 13:00", "2027-03-05 10:10")
    desk.hear(chart(second), at=at("2027-03-05 10:10"))
    desk.until(at("2027-03-05 18:00"))
    assert notices(desk) == [("2027-03-05 10:25", Kind.CHANGE)]
    assert desk.sent[-1].rules == ("notice/change",)


def test_edits_start_the_delay_again_up_to_twice_its_length() -> None:
    desk = desk_with()
    current = TOLD
    for minute in (0, 10, 20, 29):
        current = moved(current, f"2027-03-18 13:{minute:02}", f"2027-03-05 10:{minute:02}")
        desk.hear(chart(current), at=at(f"2027-03-05 10:{minute:02}"))
    desk.until(at("2027-03-05 18:00"))
    assert notices(desk) == [("2027-03-05 10:30", Kind.CHANGE)]


def test_edits_of_a_feed_settle_for_half_an_hour() -> None:
    desk = desk_with()
    desk.hear(chart(replace(moved(TOLD, LATER, "2027-03-05 10:00"), adapter="fhir")), at=at("2027-03-05 10:00"))
    desk.until(at("2027-03-05 18:00"))
    assert notices(desk) == [("2027-03-05 10:30", Kind.CHANGE)]


@pytest.mark.parametrize("new", ["2027-03-16 15:00", "2027-03-30 15:00"])
def test_within_a_day_of_the_visit_told_nothing_waits_not_even_for_the_morning(new: str) -> None:
    desk = Desk(chart(TOLD), at(BOOKED))
    desk.hear(chart(moved(TOLD, new, "2027-03-15 22:40")), at=at("2027-03-15 22:40"))
    desk.until(at("2027-03-16 06:00"))
    assert notices(desk) == [("2027-03-15 22:40", Kind.CHANGE)]


def test_within_a_day_of_the_new_start_nothing_waits() -> None:
    desk = desk_with()
    desk.hear(chart(moved(TOLD, "2027-03-05 20:00", "2027-03-05 10:00")), at=at("2027-03-05 10:00"))
    desk.until(at("2027-03-05 11:00"))
    assert notices(desk) == [("2027-03-05 10:00", Kind.CHANGE)]


def test_at_night_a_notice_of_a_distant_visit_waits_for_eight_in_the_recipients_morning() -> None:
    told = chart(TOLD, person=patient(zone=NEW_YORK))
    desk = Desk(told, at(BOOKED))
    edit = moved(TOLD, LATER, "2027-03-05 19:00")
    desk.hear(chart(edit, person=patient(zone=NEW_YORK)), at=at("2027-03-05 19:00"))
    desk.until(at("2027-03-06 12:00"))
    assert notices(desk) == [("2027-03-06 05:00", Kind.CHANGE)]


def test_moved_and_moved_back_before_it_settles_says_nothing() -> None:
    desk = desk_with()
    away = moved(TOLD, LATER, "2027-03-05 10:00")
    desk.hear(chart(away), at=at("2027-03-05 10:00"))
    desk.hear(chart(moved(away, START, "2027-03-05 10:10")), at=at("2027-03-05 10:10"))
    desk.until(at("2027-03-05 18:00"))
    assert notices(desk) == []
    row = desk.row(f"change/visit/{TOLD.version}")
    assert (row.state, row.reason) == (DeliveryState.CANCELLED, Reason.SUPERSEDED)


def test_moved_back_after_a_notice_is_another_notice() -> None:
    desk = desk_with()
    away = moved(TOLD, LATER, "2027-03-05 10:00")
    desk.hear(chart(away), at=at("2027-03-05 10:00"))
    desk.hear(chart(moved(away, START, "2027-03-06 10:00")), at=at("2027-03-06 10:00"))
    desk.until(at("2027-03-06 18:00"))
    assert notices(desk) == [("2027-03-05 10:15", Kind.CHANGE), ("2027-03-06 10:15", Kind.CHANGE)]
    assert desk.sent[-1].keys == (f"change/visit/{away.version}",)


def test_nobody_hears_that_a_visit_is_off_which_they_never_heard_of() -> None:
    untold = visit("surgery", START, BOOKED)
    desk = Desk(chart(untold), at(BOOKED))
    desk.hear(chart(cancelled(untold, "2027-02-27 09:00")), at=at("2027-02-27 09:00"))
    desk.until(at("2027-03-20 09:00"))
    assert desk.sent == []


def test_who_heard_of_it_only_from_a_reminder_hears_that_it_is_off() -> None:
    untold = visit("surgery", START, BOOKED)
    desk = Desk(chart(untold), at(BOOKED))
    desk.until(at("2027-03-02 11:00"))
    desk.hear(chart(cancelled(untold, "2027-03-05 10:00")), at=at("2027-03-05 10:00"))
    desk.until(at("2027-03-20 09:00"))
    assert [each.kind for each in desk.sent] == [Kind.REMINDER, Kind.CANCELLATION]


def test_staff_who_told_the_patient_of_a_change_cause_no_notice_but_the_late_mail() -> None:
    desk = desk_with()
    known = moved(TOLD, "2027-03-08 09:30", "2027-03-05 10:00", told=True)
    desk.hear(chart(known), at=at("2027-03-05 10:00"))
    desk.until(at("2027-03-05 18:00"))
    assert [each.kind for each in desk.sent if each.at > at("2027-03-05 10:00")] == [Kind.LATE_BOOKING]


def test_a_change_of_place_or_modality_is_a_change_and_one_of_clinician_is_none() -> None:
    for change, expected in (
        ({"site": "other"}, 1),
        ({"modality": Modality.VIDEO}, 1),
        ({"modality": Modality.UNKNOWN}, 0),
        ({"end": at("2027-03-16 10:30")}, 0),
    ):
        desk = Desk(chart(visit_told := visit("follow-up", START, BOOKED, told=True)), at(BOOKED))
        desk.hear(chart(edited(visit_told, "2027-03-05 10:00", **change)), at=at("2027-03-05 10:00"))
        desk.until(at("2027-03-05 18:00"))
        assert len(notices(desk)) == expected, change


def test_late_steps_of_a_moved_visit_end_in_its_notice() -> None:
    desk = desk_with()
    desk.hear(chart(moved(TOLD, "2027-03-08 09:30", "2027-03-05 10:00")), at=at("2027-03-05 10:00"))
    desk.until(at("2027-03-09 18:00"))
    assert [(local(each.at), each.kind) for each in desk.sent[1:]] == [
        ("2027-03-05 10:15", Kind.CHANGE), ("2027-03-07 10:00", Kind.REMINDER),
    ]  # fmt: skip
    assert desk.row("20270308T173000Z/P3D").reason is Reason.COLLAPSED


def test_a_step_that_follows_a_notice_too_closely_is_dropped_into_it() -> None:
    before = replace(TOLD, start=at("2027-03-25 09:30"))
    desk = Desk(chart(before), at(BOOKED))
    desk.hear(chart(moved(before, "2027-03-20 09:30", "2027-03-18 15:00")), at=at("2027-03-18 15:00"))
    desk.until(at("2027-03-20 09:00"))
    assert [(local(each.at), each.kind) for each in desk.sent][-1] == ("2027-03-18 15:15", Kind.CHANGE)
    assert desk.row("20270320T163000Z/P1D").reason is Reason.COLLAPSED


def test_a_cancellation_and_a_new_booking_of_the_same_kind_are_one_change() -> None:
    desk = desk_with()
    off = cancelled(TOLD, "2027-03-05 10:00")
    desk.hear(chart(off), at=at("2027-03-05 10:00"))
    new = visit("surgery", LATER, "2027-03-05 10:10", told=True, name="new")
    desk.hear(chart(off, new), at=at("2027-03-05 10:10"))
    desk.until(at("2027-03-05 18:00"))
    assert notices(desk) == [("2027-03-05 10:25", Kind.CHANGE)]
    sent = desk.sent[-1]
    assert (sent.keys, sent.rules) == ((f"change/visit/{TOLD.version}",), ("notice/change/rebooked",))
    assert sent.deliveries[0].appointment_id == "new"
    assert desk.row(f"cancellation/visit/{TOLD.version}").reason is Reason.SUPERSEDED
    assert desk.ledger.told["visit"].start is None
    assert desk.ledger.told["new"].start == new.start


@pytest.mark.parametrize(
    ("visit_type", "booked"),
    [("consultation", "2027-03-05 10:10"), ("surgery", "2027-03-05 10:16"), ("surgery", "2027-03-05 09:44")],
)
def test_another_kind_of_visit_or_a_later_booking_is_no_replacement(visit_type: str, booked: str) -> None:
    desk = desk_with()
    off = cancelled(TOLD, "2027-03-05 10:00")
    desk.hear(chart(off), at=at("2027-03-05 10:00"))
    desk.hear(chart(off, visit(visit_type, LATER, booked, told=True, name="new")), at=at(booked))
    desk.until(at("2027-03-05 18:00"))
    assert notices(desk) == [("2027-03-05 10:15", Kind.CANCELLATION)]


def test_a_replacement_that_moves_before_the_notice_is_told_once() -> None:
    desk = desk_with()
    off = cancelled(TOLD, "2027-03-05 10:00")
    new = visit("surgery", LATER, "2027-03-05 10:02", told=True, name="new")
    desk.hear(chart(off, new), at=at("2027-03-05 10:02"))
    desk.hear(chart(off, moved(new, "2027-03-19 13:00", "2027-03-05 10:05")), at=at("2027-03-05 10:05"))
    desk.until(at("2027-03-05 18:00"))
    assert notices(desk) == [("2027-03-05 10:20", Kind.CHANGE)]
    assert desk.ledger.told["new"].start == at("2027-03-19 13:00")


def test_an_earlier_notice_doesnt_stand_for_a_later_move_that_staff_told() -> None:
    desk = desk_with()
    first = moved(TOLD, LATER, "2027-03-05 10:00")
    desk.hear(chart(first), at=at("2027-03-05 10:00"))
    known = moved(first, "2027-03-09 09:30", "2027-03-06 12:00", told=True)
    desk.hear(chart(known), at=at("2027-03-06 12:00"))
    desk.until(at("2027-03-06 18:00"))
    assert [each.kind for each in desk.sent[1:]] == [Kind.CHANGE, Kind.LATE_BOOKING]


def test_a_told_visit_entered_in_error_is_a_notice_and_a_phone_task() -> None:
    desk = desk_with()
    removed = edited(TOLD, "2027-03-05 10:00", status=AppointmentStatus.ENTERED_IN_ERROR)
    desk.hear(chart(removed), at=at("2027-03-05 10:00"))
    desk.until(at("2027-03-05 18:00"))
    assert notices(desk) == [("2027-03-05 10:15", Kind.CANCELLATION)]
    assert [each.code for each in desk.opened.values()] == ["removed_visit"]
    silent = Desk(chart(replace(removed, patient_told_at=None)), at("2027-03-05 10:00"))
    assert (silent.made.wanted, silent.made.tasks) == ((), ())


def test_less_than_four_hours_of_lead_is_a_phone_task_too() -> None:
    desk = Desk(chart(TOLD), at(BOOKED))
    desk.hear(chart(cancelled(TOLD, "2027-03-16 06:00")), at=at("2027-03-16 06:00"))
    desk.until(at("2027-03-16 07:00"))
    assert notices(desk) == [("2027-03-16 06:00", Kind.CANCELLATION)]
    assert [each.code for each in desk.opened.values()] == ["short_notice"]


def test_a_visit_that_is_over_has_no_notice() -> None:
    desk = Desk(chart(TOLD), at(BOOKED))
    desk.hear(chart(cancelled(TOLD, "2027-03-16 10:00")), at=at("2027-03-16 10:00"))
    desk.until(at("2027-03-17 10:00"))
    assert notices(desk) == []


@pytest.mark.parametrize("origin", [Origin.BACKFILL, Origin.SNAPSHOT])
def test_a_notice_goes_out_even_for_old_news(origin: Origin) -> None:
    desk = desk_with()
    old = replace(moved(TOLD, LATER, "2027-03-05 10:00"), origin=origin, recorded_at=at("2027-03-01 10:00"))
    desk.hear(chart(old), at=at("2027-03-05 10:00"))
    desk.until(at("2027-03-05 18:00"))
    assert notices(desk) == [("2027-03-05 10:15", Kind.CHANGE)]


def test_a_notice_of_uncertain_fate_leaves_the_next_one_to_the_next_change() -> None:
    desk = Desk(chart(TOLD), at(BOOKED), verdict=lambda bundle, now: DeliveryState.UNCERTAIN)
    away = moved(TOLD, LATER, "2027-03-01 10:00")
    desk.hear(chart(away), at=at("2027-03-01 10:00"))
    desk.hear(chart(moved(away, "2027-03-19 13:00", "2027-03-02 12:00")), at=at("2027-03-02 12:00"))
    desk.until(at("2027-03-02 18:00"))
    assert [key for each in desk.sent for key in each.keys if key.startswith("change")] == [
        "change/visit/1", "change/visit/2",
    ]  # fmt: skip
    assert not desk.ledger.told["visit"].certain


def test_what_changes_after_a_notice_failed_is_a_phone_task() -> None:
    desk = Desk(chart(TOLD), at(BOOKED), verdict=lambda bundle, now: DeliveryState.FAILED)
    away = moved(TOLD, LATER, "2027-03-05 10:00")
    desk.hear(chart(away), at=at("2027-03-05 10:00"))
    desk.until(at("2027-03-05 12:00"))
    assert not desk.opened, "the sender opens the first one"
    desk.hear(chart(moved(away, "2027-03-19 13:00", "2027-03-05 13:00")), at=at("2027-03-05 13:00"))
    assert [each.code for each in desk.opened.values()] == ["notice_undelivered"]


def test_a_reminder_waits_for_the_notice_of_its_visit() -> None:
    told = visit("follow-up", START, BOOKED, told=True)
    desk = Desk(chart(told), at(BOOKED))
    elsewhere = edited(told, "2027-03-09 09:50", site="other")
    desk.hear(chart(elsewhere), at=at("2027-03-09 09:50"))
    desk.until(at("2027-03-09 18:00"))
    assert [(local(each.at), each.kind) for each in desk.sent] == [
        ("2027-03-09 10:05", Kind.CHANGE), ("2027-03-09 10:06", Kind.REMINDER),
    ]  # fmt: skip
