"""What a mail tells of, and which deliveries share one."""

from dataclasses import replace

from schemas.appointment import Modality
from schemas.outcomes import DeliveryState, Kind
from services.notifier.domain import Delivery, Told
from services.notifier.grouping import group
from services.notifier.keys import notice_key, paperwork_key, reminder_key
from services.notifier.told import told_after_event, told_after_mail
from tests.support.charts import at, cancelled, chart, forms, moved, visit
from tests.support.programs import CEDARS

A = visit("surgery", "2027-03-16 09:30", "2027-02-20 09:00", told=True, name="a")
B = visit("follow-up", "2027-03-16 13:00", "2027-02-20 09:00", name="b")
NOW = at("2027-03-15 10:00")


def delivery(kind: Kind, key: str, appointment_id: str | None, program: str = CEDARS.public_code) -> Delivery:
    return Delivery(key, key, kind, program, DeliveryState.CLAIMED, None, NOW, at("2027-03-16 06:30"), appointment_id)


FIRST = delivery(Kind.REMINDER, reminder_key("a", A.start, "P1D"), "a")
EARLIER = delivery(Kind.REMINDER, reminder_key("a", A.start, "P3D"), "a")
SECOND = delivery(Kind.REMINDER, reminder_key("b", B.start, "P1D"), "b")
ASK = replace(delivery(Kind.PAPERWORK, paperwork_key("forms", "P3D"), "a"), rides=EARLIER.dedup_key)
CHANGE = delivery(Kind.CHANGE, notice_key(Kind.CHANGE, "a", 1), "a")
TRUTH = chart(B, A, forms(A, "2027-02-20 09:00"))


def kinds(*due: Delivery) -> list[tuple[Kind, int]]:
    return [(each.kind, len(each.deliveries)) for each in group(due, TRUTH)]


def test_visits_that_are_due_together_share_a_mail_the_soonest_first() -> None:
    (mail,) = group([SECOND, FIRST], TRUTH)
    assert mail.appointment_ids == ("a", "b")


def test_two_steps_of_one_visit_never_share_a_mail_and_an_ask_goes_where_it_rides() -> None:
    mails = group([FIRST, EARLIER, ASK], TRUTH)
    assert [set(each.deliveries) for each in mails] == [{FIRST}, {EARLIER, ASK}]


def test_a_reminder_with_an_ask_a_late_mail_with_one_and_an_ask_alone() -> None:
    assert kinds(ASK, EARLIER) == [(Kind.REMINDER_PAPERWORK, 2)]
    assert kinds(ASK, replace(EARLIER, kind=Kind.LATE_BOOKING)) == [(Kind.LATE_BOOKING, 2)]
    assert kinds(ASK) == [(Kind.PAPERWORK, 1)]


def test_a_notice_goes_alone_and_first_and_each_program_sends_its_own() -> None:
    assert kinds(FIRST, CHANGE) == [(Kind.CHANGE, 1), (Kind.REMINDER, 1)]
    assert kinds(FIRST, replace(SECOND, program="other1")) == [(Kind.REMINDER, 1), (Kind.REMINDER, 1)]


def test_an_ask_joins_what_is_there_and_any_step_of_a_visit_keeps_another_out() -> None:
    loose = replace(ASK, rides=None)
    assert kinds(loose, EARLIER) == [(Kind.REMINDER_PAPERWORK, 2)]
    third = replace(SECOND, dedup_key="x", appointment_id="a")
    assert [len(each.deliveries) for each in group([FIRST, SECOND, third], TRUTH)] == [2, 1]
    other = replace(loose, dedup_key="paperwork/other/P3D", rides=SECOND.dedup_key)
    assert kinds(loose, other) == [(Kind.PAPERWORK, 2)]


def test_a_mail_names_the_soonest_visit_first_and_one_about_none_names_none() -> None:
    late = visit("follow-up", "2027-03-18 13:00", "2027-02-20 09:00", name="0-later")
    later = delivery(Kind.REMINDER, reminder_key("0-later", late.start, "P1D"), "0-later")
    (mail,) = group([later, FIRST], chart(late, A))
    assert mail.appointment_ids == ("a", "0-later")
    (ask,) = group([replace(ASK, appointment_id=None, rides=None)], TRUTH)
    assert ask.appointment_ids == ()


def test_a_second_ask_goes_where_it_rides_beside_another() -> None:
    second = replace(ASK, dedup_key="paperwork/other/P3D", delivery_id="second")
    mails = group([FIRST, EARLIER, ASK, second], TRUTH)
    assert [set(each.deliveries) for each in mails] == [{FIRST}, {EARLIER, ASK, second}]


def test_the_highest_sequence_wins_whatever_comes_last() -> None:
    newer = moved(A, "2027-03-18 13:00", "2027-03-01 09:00", told=True)
    first = told_after_event(None, A)
    assert told_after_event(told_after_event(first, newer), A) == told_after_event(None, newer)
    assert told_after_event(first, moved(A, "2027-03-18 13:00", "2027-03-01 09:00")) == first


def test_what_staff_said_is_certain_and_a_visit_that_is_off_has_no_place() -> None:
    there = replace(A, site="tower")
    agreed = told_after_event(None, there)
    assert agreed == Told("a", 1, A.start, "tower", Modality.ON_SITE, A.booked_at, "staff", certain=True)
    off = cancelled(there, "2027-03-10 10:00", told=True)
    assert told_after_event(agreed, off) == Told("a", 2, None, None, None, at("2027-03-10 10:00"), "staff")


def test_two_deliveries_of_one_mail_tell_of_their_visit_once_and_an_ask_of_no_other() -> None:
    namesake = visit("surgery", "2027-03-25 09:30", "2027-02-20 09:00", name="forms")
    heard = told_after_mail([EARLIER, ASK], chart(A, namesake), {}, NOW, certain=True)
    assert {name: each.by for name, each in heard.items()} == {"a": EARLIER.delivery_id}


def test_a_mail_tells_what_it_was_made_from_of_every_visit_it_names() -> None:
    heard = told_after_mail([FIRST, SECOND], TRUTH, {}, NOW, certain=True)
    assert {name: (each.start, each.by) for name, each in heard.items()} == {
        "a": (A.start, FIRST.delivery_id),
        "b": (B.start, SECOND.delivery_id),
    }


def test_a_certain_word_replaces_an_uncertain_one_and_never_the_other_way_round() -> None:
    unsure = told_after_mail([FIRST], TRUTH, {}, NOW, certain=False)
    sure = told_after_mail([FIRST], TRUTH, unsure, NOW, certain=True)
    assert (unsure["a"].certain, sure["a"].certain) == (False, True)
    assert told_after_mail([FIRST], TRUTH, sure, NOW, certain=False) == {}


def test_a_notice_of_a_new_booking_also_tells_that_the_old_visit_is_off() -> None:
    off = cancelled(A, "2027-03-10 10:00")
    new = visit("surgery", "2027-03-20 09:30", "2027-03-10 10:05", name="new")
    notice = replace(CHANGE, appointment_id="new")
    before = {"a": Told("a", 1, A.start, None, Modality.ON_SITE, A.booked_at, "staff")}
    heard = told_after_mail([notice], chart(off, new), before, NOW, certain=True)
    assert (heard["a"].start, heard["new"].start) == (None, new.start)
