"""Days, hours and windows on people's clocks. All instants in and out are UTC; zones are IANA names known to exist."""

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from schemas.programs import Window

DAY = timedelta(days=1)
_STEP = re.compile(r"P(?:(\d+)D|T(\d+)([HM]))")


@lru_cache
def known_zone(name: str) -> bool:
    """Whether this machine's tzdata has the zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def day_of(instant: datetime, zone: str) -> date:
    """The calendar day there."""
    return instant.astimezone(ZoneInfo(zone)).date()


def at_local(day: date, hour: time, zone: str) -> datetime:
    """That time on that day there. A time inside a gap moves forward by the gap; of a repeated hour it is the first."""
    return datetime.combine(day, hour, ZoneInfo(zone)).astimezone(UTC)


def local_text(instant: datetime, zone: str) -> str:
    """The local time as stored beside the instant: ``2027-03-14T10:00``."""
    return instant.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M")


@lru_cache
def days_before(step: str) -> int | None:
    """``P14D`` → 14; None for a step in hours or minutes."""
    match = _STEP.fullmatch(step)
    return int(match[1]) if match and match[1] else None


@lru_cache
def time_before(step: str) -> timedelta:
    """How long before the start a step is, roughly for days: what steps are ordered by."""
    match = _STEP.fullmatch(step)
    if match is None:
        raise ValueError("not a step id")
    if match[1]:
        return timedelta(days=int(match[1]))
    return timedelta(hours=int(match[2])) if match[3] == "H" else timedelta(minutes=int(match[2]))


def is_open(instant: datetime, window: Window, zone: str) -> bool:
    """Whether the instant lies in the window there."""
    local = instant.astimezone(ZoneInfo(zone))
    return local.isoweekday() in window.weekdays and window.opens <= local.time() < window.closes


def next_open(instant: datetime, window: Window, zone: str) -> datetime:
    """The first moment in the window that isn't before the instant."""
    if is_open(instant, window, zone):
        return instant
    day = day_of(instant, zone)
    while day.isoweekday() not in window.weekdays or at_local(day, window.opens, zone) < instant:
        day += DAY
    return at_local(day, window.opens, zone)


def last_evening(instant: datetime, evening: time, window: Window, zone: str) -> datetime:
    """The last time at ``evening`` on a day of the window that isn't after the instant."""
    day = day_of(instant, zone)
    while day.isoweekday() not in window.weekdays or at_local(day, evening, zone) > instant:
        day -= DAY
    return at_local(day, evening, zone)
