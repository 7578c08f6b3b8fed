"""The calendar file of a mail, read back by icalendar."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from icalendar import Calendar, Component

from schemas.outcomes import Kind
from services.notifier.mail import Mail
from services.notifier.render import render
from tests.support.mails import MOVED, PROGRAM, VIDEO, VISIT, a_mail


def read(mail: Mail) -> tuple[str, Component]:
    written = render(mail).calendar
    assert written is not None
    calendar = Calendar.from_ical(written)
    (event,) = calendar.walk("VEVENT")
    return str(calendar["METHOD"]), event


def at(event: Component, name: str) -> datetime:
    instant = event.decoded(name)
    assert isinstance(instant, datetime)
    return instant


@pytest.mark.parametrize("tier", [0, 1])
def test_it_holds_the_time_and_nothing_that_identifies(tier: int) -> None:
    method, event = read(a_mail(tier=tier))
    assert method == "PUBLISH"
    assert set(event) == {
        "UID", "DTSTAMP", "DTSTART", "DTEND", "SEQUENCE", "SUMMARY", "CLASS", "STATUS", "ORGANIZER"
    }  # fmt: skip
    assert (event["SUMMARY"], event["STATUS"], event["CLASS"]) == ("Appointment", "CONFIRMED", "PRIVATE")
    assert event["ORGANIZER"] == "mailto:no-reply@notices.example.com"
    assert event["ORGANIZER"].params["CN"] == "Cedars-Sinai"
    written = render(a_mail(tier=tier)).calendar or b""
    assert not re.search(rb"Ana|ana@|Clinic|Example Way|" + VISIT.appointment_id.encode(), written)


def test_its_times_are_utc() -> None:
    written = render(a_mail()).calendar or b""
    assert b"\r\nDTSTART:20270316T163000Z\r\n" in written
    assert b"\r\nDTEND:20270316T173000Z\r\n" in written
    assert b"\r\nDTSTAMP:20270302T180000Z\r\n" in written
    assert b"TZID" not in written


def test_a_time_of_another_zone_is_turned_into_utc() -> None:
    _, event = read(a_mail(visit=replace(VISIT, start=datetime.fromisoformat("2027-03-16T09:30:00-07:00"), end=None)))
    assert at(event, "DTSTART") == datetime(2027, 3, 16, 16, 30, tzinfo=UTC)


def test_a_visit_whose_end_is_unknown_has_none() -> None:
    _, event = read(a_mail(visit=replace(VISIT, end=None)))
    assert "DTEND" not in event


def test_a_later_mail_updates_the_same_entry() -> None:
    (_, first), (_, moved), (method, cancelled) = (
        read(a_mail(kind)) for kind in (Kind.REMINDER, Kind.CHANGE, Kind.CANCELLATION)
    )
    assert first["UID"] == moved["UID"] == cancelled["UID"]
    assert [event["SEQUENCE"] for event in (first, moved, cancelled)] == [0, 1, 2]
    assert at(moved, "DTSTART") == MOVED.start
    assert (method, cancelled["STATUS"]) == ("CANCEL", "CANCELLED")


def test_a_cancellation_names_the_time_that_was_told() -> None:
    never_heard_of = replace(VISIT, start=VISIT.start + timedelta(days=2), end=VISIT.start + timedelta(days=2, hours=1))
    _, event = read(a_mail(Kind.CANCELLATION, visit=never_heard_of))
    assert at(event, "DTSTART") == VISIT.start
    assert at(event, "DTEND") == VISIT.start + timedelta(hours=1)


def test_the_mail_names_the_method_of_its_file() -> None:
    assert b"text/calendar; charset=utf-8; method=PUBLISH" in render(a_mail()).content
    assert b"text/calendar; charset=utf-8; method=CANCEL" in render(a_mail(Kind.CANCELLATION)).content


def test_other_visits_and_other_tenants_have_another_uid() -> None:
    other_visit = a_mail(visit=replace(VISIT, appointment_id="c4c1cf53-25d3-4a3a-8f6e-0c8d7a6b5a01"))
    uids = {str(read(mail)[1]["UID"]) for mail in (a_mail(), other_visit, a_mail(tenant="other"))}
    assert len(uids) == 3
    assert all(uid.endswith("@notices.example.com") for uid in uids)


def test_a_video_visit_looks_the_same() -> None:
    assert render(a_mail(visit=VIDEO)).calendar == render(a_mail()).calendar


def test_a_sender_with_a_comma_and_a_quote_is_quoted() -> None:
    _, event = read(a_mail(program=replace(PROGRAM, public_name='Demo "Clinic", Inc.; Ñ' + "x" * 80)))
    assert event["ORGANIZER"].params["CN"] == 'Demo "Clinic", Inc.; Ñ' + "x" * 80


def test_its_lines_are_short_and_end_in_crlf() -> None:
    written = (
        render(a_mail(program=replace(PROGRAM, public_name="x" * 100, host="h" * 60 + ".example.com"))).calendar or b""
    )
    assert written.endswith(b"END:VCALENDAR\r\n")
    assert max(map(len, written.split(b"\r\n"))) <= 75
    assert not re.search(rb"(?<!\r)\n", written)
