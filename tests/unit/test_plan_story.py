"""The demo's story, as far as plan, guard and told decide it: each person's mails, to the minute."""

from dataclasses import replace

from schemas.outcomes import DeliveryState, Kind
from schemas.patient import PatientStatus
from schemas.protected import Protected
from services.notifier.domain import Delivery, Preference, Reason
from tests.support.charts import (
    NEW_YORK,
    at,
    cancelled,
    chart,
    forms,
    local,
    moved,
    patient,
    received,
    visit,
)
from tests.support.desk import Desk
from tests.support.programs import CEDARS, KAISER

BOOKED = "2027-02-26 09:00"
END = at("2027-03-17 12:00")


def mails(desk: Desk, zone: str = "America/Los_Angeles") -> list[tuple[str, Kind]]:
    return [(local(each.at, zone), each.kind) for each in desk.sent]


def test_ana_is_asked_for_forms_until_the_last_two_arrive() -> None:
    consultation = visit("consultation", "2027-03-16 09:30", BOOKED, told=True)
    asked = forms(consultation, BOOKED)
    desk = Desk(chart(consultation, asked), at(BOOKED))
    two = received(asked, "2027-03-05 12:00", 2)
    desk.hear(chart(consultation, two), at=at("2027-03-05 12:00"))

    def last_two_arrive(desk: Desk, claimed: list[Delivery]) -> None:
        if local(desk.now) == "2027-03-09 10:00":
            desk.hear(chart(consultation, received(two, "2027-03-09 10:00")))

    desk.before_guard = last_two_arrive
    desk.until(END)
    assert mails(desk) == [
        ("2027-02-26 09:15", Kind.PAPERWORK),
        ("2027-03-02 10:00", Kind.REMINDER_PAPERWORK),
        ("2027-03-13 10:00", Kind.REMINDER),
        ("2027-03-15 10:00", Kind.REMINDER),
    ]
    own = desk.row("paperwork/forms/P7D")
    assert (own.state, own.reason, local(own.due_at)) == (
        DeliveryState.SKIPPED, Reason.PAPERWORK_RECEIVED, "2027-03-09 10:00",
    )  # fmt: skip
    assert desk.row("paperwork/forms/P3D").reason is Reason.PAPERWORK_RECEIVED
    assert [each.rules[0] for each in desk.sent] == [
        "paperwork/request", "consultation/on-site/P14D", "consultation/on-site/P3D", "consultation/on-site/P1D",
    ]  # fmt: skip
    assert not desk.opened


def test_ana_is_asked_four_times_at_most_when_nothing_arrives() -> None:
    consultation = visit("consultation", "2027-03-16 09:30", BOOKED, told=True)
    desk = Desk(chart(consultation, forms(consultation, BOOKED)), at(BOOKED))
    lefts = {w.step: w.asks_left for _, w in desk.inserted if w.kind is Kind.PAPERWORK}
    assert lefts == {"request": 3, "P14D": 2, "P7D": 1, "P3D": 0}
    desk.until(END)
    asks = [local(each.at) for each in desk.sent if each.kind in (Kind.PAPERWORK, Kind.REMINDER_PAPERWORK)]
    assert asks == ["2027-02-26 09:15", "2027-03-02 10:00", "2027-03-09 10:00", "2027-03-13 10:00"]
    task = desk.opened["paperwork-missing/forms"]
    assert local(task.due_at) == "2027-03-12 09:00"


def test_ben_reads_his_mail_at_ten_in_new_york_on_the_day_the_clocks_change() -> None:
    follow_up = visit("follow-up", "2027-03-15 11:00", BOOKED, told=True)
    desk = Desk(chart(follow_up, person=patient(zone=NEW_YORK)), at(BOOKED))
    desk.until(END)
    assert mails(desk, NEW_YORK) == [("2027-03-08 10:00", Kind.REMINDER), ("2027-03-14 10:00", Kind.REMINDER)]
    assert [wanted.due_local for _, wanted in desk.inserted] == ["2027-03-08T10:00", "2027-03-14T10:00"]


def test_carmen_hears_a_week_and_a_day_before_her_imaging() -> None:
    imaging = visit("ct-myelography", "2027-03-10 08:00", BOOKED, told=True, program=KAISER)
    desk = Desk(chart(imaging), at(BOOKED))
    desk.until(END)
    assert mails(desk) == [("2027-03-03 10:00", Kind.REMINDER), ("2027-03-09 10:00", Kind.REMINDER)]


def test_david_is_booked_late_moved_twice_and_cancelled() -> None:
    booked = visit("blood-patch", "2027-03-10 14:00", "2027-03-08 15:00", program=KAISER)
    desk = Desk(chart(booked), at("2027-03-08 15:00"))
    first = moved(booked, "2027-03-11 14:00", "2027-03-09 11:00")
    desk.hear(chart(first), at=at("2027-03-09 11:00"))
    second = moved(first, "2027-03-12 14:00", "2027-03-09 11:07")
    desk.hear(chart(second), at=at("2027-03-09 11:07"))

    def cancel(desk: Desk, claimed: list[Delivery]) -> None:
        if local(desk.now) == "2027-03-11 10:00" and claimed[0].step == "P1D":
            desk.hear(chart(cancelled(second, "2027-03-11 10:00")))

    desk.before_guard = cancel
    desk.until(END)
    assert mails(desk) == [
        ("2027-03-08 15:15", Kind.LATE_BOOKING),
        ("2027-03-09 11:22", Kind.CHANGE),
        ("2027-03-11 10:15", Kind.CANCELLATION),
    ]
    assert desk.row("20270310T220000Z/P1D").reason is Reason.COLLAPSED
    last = desk.row("20270312T220000Z/P1D")
    assert (last.state, last.reason) == (DeliveryState.SKIPPED, Reason.VISIT_CANCELLED)
    assert desk.row("20270312T220000Z/P3D").reason is Reason.COLLAPSED


def test_elena_opted_out_of_reminders_but_hears_that_her_surgery_is_off() -> None:
    surgery = visit("surgery", "2027-03-16 08:00", BOOKED, told=True)
    choice = Preference(CEDARS.public_code, email=True, reminders=False, forms=True, paused_until=None)
    desk = Desk(replace(chart(surgery), preferences=(choice,)), at(BOOKED))
    off = cancelled(surgery, "2027-03-12 11:00")
    desk.hear(replace(chart(off), preferences=(choice,)), at=at("2027-03-12 11:00"))
    desk.until(END)
    assert mails(desk) == [("2027-03-12 11:15", Kind.CANCELLATION)]
    states = {each.step: (each.state, each.reason) for each in desk.ledger.deliveries if each.step}
    assert states == {
        "P14D": (DeliveryState.SKIPPED, Reason.OPTED_OUT),
        "P3D": (DeliveryState.CANCELLED, Reason.VISIT_CANCELLED),
        "P1D": (DeliveryState.CANCELLED, Reason.VISIT_CANCELLED),
    }


def test_frank_dies_and_everything_stops() -> None:
    follow_up = visit("follow-up", "2027-03-16 13:00", BOOKED, told=True)
    desk = Desk(chart(follow_up), at(BOOKED))
    dead = chart(follow_up, person=patient(status=PatientStatus.DECEASED))
    desk.hear(dead, at=at("2027-03-02 08:00"))
    desk.until(END)
    assert not desk.sent
    ends = {(each.state, each.reason) for each in desk.ledger.deliveries}
    assert ends == {(DeliveryState.CANCELLED, Reason.DECEASED)}
    assert [each.code for each in desk.opened.values()] == ["deceased_note"]


def test_julia_and_kai_share_an_address_and_wait_until_it_is_verified() -> None:
    follow_up = visit("follow-up", "2027-03-16 13:00", BOOKED, told=True)
    desk = Desk(chart(follow_up, person=patient(shares_address=True)), at(BOOKED))
    desk.until(at("2027-03-10 12:00"))
    held = desk.row("/P7D")
    assert (held.state, held.reason) == (DeliveryState.HELD, Reason.UNVERIFIED_ADDRESS)
    desk.hear(chart(follow_up), at=at("2027-03-10 12:00"))
    desk.until(END)
    assert mails(desk) == [("2027-03-10 12:00", Kind.REMINDER), ("2027-03-15 10:00", Kind.REMINDER)]


def test_lars_mail_is_refused_and_the_ladder_is_not_sent_twice() -> None:
    consultation = visit("consultation", "2027-03-16 09:30", BOOKED, told=True, program=KAISER)
    desk = Desk(chart(consultation), at(BOOKED), verdict=lambda bundle, now: DeliveryState.FAILED)
    desk.until(at("2027-03-02 10:00"))
    assert desk.row("/P14D").state is DeliveryState.FAILED
    assert not desk.sent


def test_mia_is_thirteen_and_waits_for_staff() -> None:
    follow_up = visit("follow-up", "2027-03-16 13:00", BOOKED, told=True)
    born = patient().birth_date
    assert born
    young = patient(birth_date=Protected(born.reveal().replace(year=2013)))
    desk = Desk(chart(follow_up, person=young), at(BOOKED))
    desk.until(at("2027-03-10 12:00"))
    assert desk.row("/P7D").reason is Reason.MINOR_REVIEW
    assert not desk.sent
