"""Notices where things touch: which booking replaces which visit, how long edits settle, what a notice has told."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from schemas.appointment import AppointmentStatus, Modality
from schemas.outcomes import DeliveryState, Kind
from services.notifier.domain import Appointment, Delivery, Ledger, Plan, Told, Wanted
from services.notifier.keys import notice_key
from services.notifier.plan import plan
from services.notifier.told import differs, told_by
from tests.support.charts import LONG_AGO, at, cancelled, chart, edited, local, moved, visit
from tests.support.programs import CEDARS, PROGRAMS

S = DeliveryState
START, BOOKED = "2027-03-16 09:30", "2027-02-20 09:00"
SURGERY = visit("surgery", START, BOOKED)
MINUTE = timedelta(minutes=1)


def heard(of: Appointment, **changes: Any) -> Told:
    one = Told(of.appointment_id, of.version, of.start, of.site, of.modality, of.booked_at, "staff")
    return replace(one, **changes)


def planned(*visits: Appointment, told: list[Told], now: str, rows: tuple[Delivery, ...] = ()) -> Plan:
    ledger = Ledger(rows, {each.appointment_id: each for each in told}, LONG_AGO)
    return plan(chart(*visits), PROGRAMS, ledger, at(now))


def notices(made: Plan) -> dict[str, Wanted]:
    return {each.dedup_key: each for each in made.wanted if each.kind in (Kind.CHANGE, Kind.CANCELLATION)}


def notice(state: DeliveryState = S.SENT, **changes: Any) -> Delivery:
    one = Delivery(
        "n", notice_key(Kind.CHANGE, "visit", 1), Kind.CHANGE, CEDARS.public_code, state, None,
        at("2027-03-13 10:15"), at("2027-03-17 09:30"), "visit", created_at=at("2027-03-13 10:00"),
    )  # fmt: skip
    return replace(one, **changes)


def test_a_cancellation_is_of_use_until_the_start_that_was_told_and_a_change_until_the_later() -> None:
    away = moved(SURGERY, "2027-03-18 13:00", "2027-03-05 10:00")
    [change] = notices(planned(away, told=[heard(SURGERY)], now="2027-03-05 10:00")).values()
    assert (local(change.useful_until), change.rule) == ("2027-03-18 13:00", "notice/change")
    off = cancelled(away, "2027-03-05 10:05")
    [cancellation] = notices(planned(off, told=[heard(SURGERY)], now="2027-03-05 10:05")).values()
    assert (local(cancellation.useful_until), cancellation.rule) == (START, "notice/cancellation")


def test_a_visit_that_is_on_again_after_they_heard_that_it_is_off_is_a_change() -> None:
    on = edited(cancelled(SURGERY, "2027-03-05 10:00"), "2027-03-06 10:00", status=AppointmentStatus.BOOKED)
    off = heard(SURGERY, sequence=2, start=None, site=None, modality=None)
    [change] = notices(planned(on, told=[off], now="2027-03-06 10:00")).values()
    assert (change.kind, local(change.useful_until)) == (Kind.CHANGE, START)


@pytest.mark.parametrize(("edit", "due"), [("09:29", "09:29"), ("09:30", "09:45"), ("10:00", "10:15")])
def test_a_start_that_has_passed_hurries_no_notice(edit: str, due: str) -> None:
    away = moved(SURGERY, "2027-03-30 09:30", f"2027-03-16 {edit}")
    [change] = notices(planned(away, told=[heard(SURGERY)], now=f"2027-03-16 {edit}")).values()
    assert local(change.due_at) == f"2027-03-16 {due}"


def test_each_visit_that_is_off_has_one_replacement_the_first_booked_and_none_stands_for_two() -> None:
    off = [replace(cancelled(SURGERY, f"2027-03-05 10:0{n}"), appointment_id=f"off{n}") for n in (0, 5)]
    new = [visit("surgery", "2027-03-18 13:00", f"2027-03-05 10:0{n}", name=f"new{9 - n}") for n in (6, 7)]
    told = [heard(SURGERY, appointment_id=each.appointment_id) for each in off]
    for order in ((*off, *new), (*reversed(off), *reversed(new))):
        made = notices(planned(*order, told=told, now="2027-03-05 10:08"))
        about = {key: each.appointment_id for key, each in made.items()}
        assert about == {"change/off0/1": "new3", "change/off5/1": "new2"}


def test_of_three_bookings_the_first_replaces_the_visit_that_is_off() -> None:
    off = cancelled(SURGERY, "2027-03-05 10:00")
    new = [visit("surgery", "2027-03-18 13:00", f"2027-03-05 10:0{n}", name=f"new{n}") for n in (1, 2, 3)]
    [change] = notices(planned(off, *new, told=[heard(SURGERY)], now="2027-03-05 10:03")).values()
    assert change.appointment_id == "new1"


def test_a_replacement_that_was_told_and_moved_is_spoken_of_once() -> None:
    off = cancelled(SURGERY, "2027-03-05 10:00")
    new = visit("surgery", "2027-03-18 13:00", "2027-03-05 10:02", name="new")
    again = moved(new, "2027-03-19 13:00", "2027-03-05 10:05")
    made = notices(planned(off, again, told=[heard(SURGERY), heard(new)], now="2027-03-05 10:05"))
    assert list(made) == ["change/visit/1"]


@pytest.mark.parametrize(
    ("new", "replaces"),
    [
        ({}, True),
        ({"status": AppointmentStatus.PROPOSED}, False),
        ({"status": AppointmentStatus.CANCELLED}, False),
        ({"booked_at": at("2027-03-05 10:15")}, True),
        ({"booked_at": at("2027-03-05 09:45")}, True),
        ({"booked_at": at("2027-03-05 10:16")}, False),
        ({"visit_type": "consultation"}, False),
    ],
    ids=str,
)
def test_only_a_booking_of_the_same_kind_made_within_the_settle_delay_replaces(
    new: dict[str, Any], replaces: bool
) -> None:
    off = cancelled(SURGERY, "2027-03-05 10:00")
    other = replace(visit("surgery", "2027-03-18 13:00", "2027-03-05 10:02", name="new"), **new)
    made = notices(planned(off, other, told=[heard(SURGERY)], now="2027-03-05 10:02"))
    assert list(made) == ["change/visit/1" if replaces else "cancellation/visit/1"]


def test_a_visit_that_still_takes_place_is_replaced_by_nothing() -> None:
    away = moved(SURGERY, "2027-03-18 13:00", "2027-03-05 10:00")
    other = visit("surgery", "2027-03-25 13:00", "2027-03-05 10:02", name="new")
    [change] = notices(planned(away, other, told=[heard(SURGERY)], now="2027-03-05 10:02")).values()
    assert change.appointment_id == "visit"


@pytest.mark.parametrize(
    ("edit", "due"), [("2027-03-05 22:00", "2027-03-06 08:00"), ("2027-03-15 05:00", "2027-03-15 08:00"),
                      ("2027-03-15 09:16", "2027-03-15 09:31"), ("2027-03-15 09:15", "2027-03-15 09:30"),
                      ("2027-03-15 09:30", "2027-03-15 09:45"), ("2027-03-15 09:31", "2027-03-15 09:31"),
                      ("2027-03-15 22:00", "2027-03-15 22:00")],
)  # fmt: skip
def test_a_notice_settles_and_waits_for_its_window_unless_the_visit_is_within_a_day(edit: str, due: str) -> None:
    [one] = notices(planned(cancelled(SURGERY, edit), told=[heard(SURGERY)], now=edit)).values()
    assert local(one.due_at) == due


def test_at_night_exactly_a_day_ahead_the_window_still_holds() -> None:
    early = visit("surgery", "2027-03-16 05:15", BOOKED)
    for edit, due in (("05:00", "08:00"), ("05:01", "05:16")):
        off = cancelled(early, f"2027-03-15 {edit}")
        [one] = notices(planned(off, told=[heard(early)], now=f"2027-03-15 {edit}")).values()
        assert local(one.due_at) == f"2027-03-15 {due}"


@pytest.mark.parametrize(
    ("row", "due"),
    [
        (None, "10:15"),
        ({"created_at": at("2027-03-13 09:50")}, "10:15"),
        ({"created_at": at("2027-03-13 09:40")}, "10:10"),
        ({"created_at": at("2027-03-13 09:30")}, "10:00"),
        ({"created_at": at("2027-03-13 09:29")}, "10:15"),
        ({"created_at": at("2027-03-13 09:40"), "entered_sending": True}, "10:15"),
        ({"created_at": None}, "10:15"),
    ],
    ids=str,
)
def test_edits_start_the_delay_again_but_not_beyond_twice_its_length(row: dict[str, Any] | None, due: str) -> None:
    away = moved(SURGERY, "2027-03-18 13:00", "2027-03-13 10:00")
    rows = (notice(S.PLANNED, **row),) if row else ()
    made = notices(planned(away, told=[heard(SURGERY)], now="2027-03-13 10:00", rows=rows))
    assert [local(each.due_at) for each in made.values()] == [f"2027-03-13 {due}"]


def test_edits_that_called_for_one_notice_and_then_the_other_began_with_the_first() -> None:
    on = moved(SURGERY, "2027-03-18 13:00", "2027-03-13 10:00")
    change = notice(S.CANCELLED, created_at=at("2027-03-13 09:40"))
    key = notice_key(Kind.CANCELLATION, "visit", 1)
    off = notice(S.PLANNED, kind=Kind.CANCELLATION, dedup_key=key, created_at=at("2027-03-13 09:50"))
    [again] = notices(planned(on, told=[heard(SURGERY)], now="2027-03-13 10:00", rows=(change, off))).values()
    assert local(again.due_at) == "2027-03-13 10:10"


@pytest.mark.parametrize("state", DeliveryState)
def test_a_change_notice_that_told_the_new_start_takes_the_place_of_late_steps(state: DeliveryState) -> None:
    away = moved(SURGERY, "2027-03-17 09:30", "2027-03-13 10:00")
    told = heard(away)

    def late_mail(row: Delivery) -> bool:
        made = planned(away, told=[told], now="2027-03-13 10:20", rows=(row,))
        return any(each.kind is Kind.LATE_BOOKING for each in made.wanted)

    tells = {S.SENT, S.DELIVERED, S.UNCERTAIN, S.COMPLAINED, S.SENDING, S.BOUNCED}
    assert late_mail(notice(state)) is (state not in tells)
    assert late_mail(notice(state, kind=Kind.CANCELLATION))
    assert late_mail(notice(state, appointment_id="another"))
    assert late_mail(notice(state, due_at=away.start_set_at - MINUTE))
    assert late_mail(notice(state, due_at=away.start_set_at)) is (state not in tells)


def test_a_change_notice_that_is_only_owed_takes_their_place_too() -> None:
    away = moved(SURGERY, "2027-03-17 09:30", "2027-03-13 10:00")
    made = planned(away, told=[heard(SURGERY)], now="2027-03-13 10:00")
    assert Kind.LATE_BOOKING not in {each.kind for each in made.wanted}
    elsewhere = replace(away, appointment_id="other")
    both = planned(away, elsewhere, told=[heard(SURGERY)], now="2027-03-13 10:00")
    assert {e.appointment_id for e in both.wanted if e.kind is Kind.LATE_BOOKING} == {"other"}


def test_what_changes_after_a_failed_notice_is_a_call_and_what_was_so_before_is_none() -> None:
    away = moved(SURGERY, "2027-03-18 13:00", "2027-03-13 10:00")

    def codes(row: Delivery) -> list[str]:
        return [e.code for e in planned(away, told=[heard(SURGERY)], now="2027-03-13 12:00", rows=(row,)).tasks]

    failed = notice(S.FAILED, entered_sending=True, ended_at=away.changed_at - MINUTE)
    assert codes(failed) == ["notice_undelivered"]
    assert codes(replace(failed, ended_at=away.changed_at)) == []
    assert codes(replace(failed, ended_at=None)) == []
    assert codes(replace(failed, state=S.PLANNED, entered_sending=False)) == []


@pytest.mark.parametrize(("edit", "codes"), [("05:29", []), ("05:30", []), ("05:31", ["short_notice"])])
def test_less_than_four_hours_is_a_call_and_four_hours_are_none(edit: str, codes: list[str]) -> None:
    off = cancelled(SURGERY, f"2027-03-16 {edit}")
    assert [e.code for e in planned(off, told=[heard(SURGERY)], now=f"2027-03-16 {edit}").tasks] == codes


# what was told


@pytest.mark.parametrize("status", sorted(set(AppointmentStatus) - {AppointmentStatus.BOOKED}))
def test_only_a_booked_visit_or_one_that_is_off_is_news(status: AppointmentStatus) -> None:
    away = replace(moved(SURGERY, "2027-03-18 13:00", "2027-03-05 10:00"), status=status)
    off = status in (AppointmentStatus.CANCELLED, AppointmentStatus.ENTERED_IN_ERROR)
    assert differs(heard(SURGERY), away) is off
    assert differs(heard(SURGERY, start=None), away) is False
    assert differs(None, away) is False


def test_a_modality_that_nobody_knows_is_no_news() -> None:
    assert differs(heard(SURGERY), replace(SURGERY, modality=Modality.VIDEO)) is True
    assert differs(heard(SURGERY), replace(SURGERY, modality=Modality.UNKNOWN)) is False


def test_a_mail_changes_what_is_known_only_where_it_says_something_newer() -> None:
    known, now = heard(SURGERY, sequence=3), at("2027-03-05 10:00")
    for sequence, certain, counts in ((2, True, False), (3, True, False), (4, False, True), (4, True, True)):
        [*new] = told_by([heard(SURGERY, sequence=sequence)], {"visit": known}, now, certain=certain)
        assert [(each.sequence, each.at, each.certain) for each in new] == ([(sequence, now, certain)] * counts)
    unsure = replace(known, certain=False)
    assert told_by([heard(SURGERY, sequence=3)], {"visit": unsure}, now, certain=True)
    assert not told_by([heard(SURGERY, sequence=2)], {"visit": unsure}, now, certain=True)
    assert not told_by([heard(SURGERY, sequence=3)], {"visit": unsure}, now, certain=False)
