"""Days, hours and windows on their bounds, and how much room the caps leave."""

from dataclasses import replace
from datetime import time, timedelta
from typing import Any

import pytest

from schemas.outcomes import DeliveryState, Kind
from schemas.programs import Window
from services.notifier.caps import SentMail, free_again_at, is_last
from services.notifier.domain import Delivery, Ledger
from services.notifier.times import days_before, is_open, known_zone, last_evening, next_open, time_before
from tests.support.charts import PACIFIC, at, local
from tests.support.programs import CEDARS

S = DeliveryState
WEEKDAYS = Window(opens=time(9), closes=time(19), weekdays=frozenset(range(1, 6)))
FRIDAY, SATURDAY, SUNDAY, MONDAY = "2027-04-16", "2027-04-17", "2027-04-18", "2027-04-19"

# steps and zones


@pytest.mark.parametrize(("step", "days", "before"), [("P14D", 14, timedelta(days=14)), ("P0D", 0, timedelta())])
def test_a_day_step_says_its_days(step: str, days: int, before: timedelta) -> None:
    assert (days_before(step), time_before(step)) == (days, before)


@pytest.mark.parametrize(("step", "before"), [("PT2H", timedelta(hours=2)), ("PT30M", timedelta(minutes=30))])
def test_a_step_in_hours_or_minutes_has_no_days(step: str, before: timedelta) -> None:
    assert (days_before(step), time_before(step)) == (None, before)


@pytest.mark.parametrize("name", ["request", "", "P1W", "xP1D", "P1D "])
def test_what_is_no_step_has_no_days_and_no_time(name: str) -> None:
    assert days_before(name) is None
    with pytest.raises(ValueError, match="not a step id"):
        time_before(name)


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "/etc/passwd", "Pacific\0"])
def test_what_is_no_zone_is_not_known(name: str) -> None:
    assert known_zone(name) is False
    assert known_zone(PACIFIC) is True


# windows


@pytest.mark.parametrize(
    ("moment", "opened", "next_one"),
    [
        (f"{FRIDAY} 08:59", False, f"{FRIDAY} 09:00"),
        (f"{FRIDAY} 09:00", True, f"{FRIDAY} 09:00"),
        (f"{FRIDAY} 18:59", True, f"{FRIDAY} 18:59"),
        (f"{FRIDAY} 19:00", False, f"{MONDAY} 09:00"),
        (f"{SATURDAY} 09:00", False, f"{MONDAY} 09:00"),
        (f"{SUNDAY} 12:00", False, f"{MONDAY} 09:00"),
    ],
)
def test_a_window_opens_on_its_hour_and_its_weekdays_and_closes_before_the_end(
    moment: str, opened: bool, next_one: str
) -> None:
    assert is_open(at(moment), WEEKDAYS, PACIFIC) is opened
    assert local(next_open(at(moment), WEEKDAYS, PACIFIC)) == next_one


@pytest.mark.parametrize(
    ("moment", "evening"),
    [
        (f"{FRIDAY} 18:00", FRIDAY),
        (f"{FRIDAY} 17:59", "2027-04-15"),
        (f"{SUNDAY} 20:00", FRIDAY),
        (f"{MONDAY} 08:00", FRIDAY),
    ],
)
def test_the_last_evening_is_that_very_moment_or_one_before_on_a_day_of_the_window(moment: str, evening: str) -> None:
    assert local(last_evening(at(moment), time(18), WEEKDAYS, PACIFIC)) == f"{evening} 18:00"


# caps


def delivery(kind: Kind = Kind.REMINDER, step: str | None = "P1D", day: str = MONDAY, **changes: Any) -> Delivery:
    due = at(f"{day} 10:00")
    one = Delivery(
        f"{step}{day}", f"{kind}/{step}/{day}", kind, CEDARS.public_code, S.PLANNED, None, due, due, step=step
    )
    return replace(one, **changes)


ASK = delivery(Kind.PAPERWORK, "P3D", FRIDAY)


def free(*coming: Delivery, sent: tuple[str, ...] = (), now: str = f"{FRIDAY} 10:00") -> str | None:
    mails = [SentMail(Kind.REMINDER, at(f"{day} 10:00")) for day in sent]
    found = free_again_at(ASK, Ledger(coming), mails, at(now), CEDARS.policy, PACIFIC)
    return local(found) if found else None


@pytest.mark.parametrize(
    ("kind", "step", "last"),
    [
        (Kind.REMINDER, "P1D", True),
        (Kind.REMINDER, "PT2H", True),
        (Kind.LATE_BOOKING, "P1D", True),
        (Kind.REMINDER, "P0D", True),
        (Kind.REMINDER, "P2D", False),
        (Kind.REMINDER, "P14D", False),
        (Kind.LATE_BOOKING, "P3D", False),
        (Kind.PAPERWORK, "P1D", False),
        (Kind.PAPERWORK, "request", False),
        (Kind.CHANGE, None, False),
    ],
)
def test_room_is_kept_for_the_reminders_of_the_last_day(kind: Kind, step: str | None, last: bool) -> None:
    assert is_last(delivery(kind, step)) is last


@pytest.mark.parametrize("state", DeliveryState)
def test_no_room_is_kept_for_what_is_over(state: DeliveryState) -> None:
    coming = [delivery(day=f"2027-04-{day}", state=state) for day in (17, 18, 19)]
    waits = state in (S.PLANNED, S.CLAIMED, S.SENDING, S.HELD)
    assert (free(*coming) is not None) is waits


def test_only_the_seven_days_from_the_mail_on_are_its_business() -> None:
    assert free(*(delivery(day=f"2027-04-{day}") for day in (21, 22, 23, 23))) is None
    full = [delivery(day=f"2027-04-{day}") for day in (20, 21, 22)]
    assert free(*full) is not None
    assert free(*full, sent=("2027-04-10",)) == free(*full)


def test_the_next_free_day_is_looked_for_two_weeks_ahead_and_then_again() -> None:
    first = [delivery(day=f"2027-04-{day}") for day in (20, 21, 22)]
    assert free(*first) == "2027-04-27 10:00"
    second = [delivery(day=f"2027-04-{day}") for day in (27, 28, 29)]
    assert free(*first, *second) == "2027-04-30 10:00"
