"""Dates and times in words: CLDR's named formats, in the reader's language, for one zone.

Hand-made patterns give wrong Spanish, so none is here. Spaces are ordinary ones: CLDR's narrow no-break space shows as
a box in some mail programs.
"""

import re
from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime, format_time, get_datetime_format, get_timezone_name

_SPACES = re.compile("[\u00a0\u2009\u202f]")


def when(instant: datetime, zone: str, locale: Locale) -> str:
    """Full date, short time and long zone name: ``Tuesday, March 16, 2027, 9:30 AM Pacific Daylight Time``."""
    local = instant.astimezone(ZoneInfo(zone))
    both = str(get_datetime_format("full", locale=locale))
    return both.replace("{1}", format_date(local, "full", locale)).replace("{0}", time_and_zone(instant, zone, locale))


def day(instant: datetime, zone: str, locale: Locale) -> str:
    """Weekday, month and day: ``Tuesday, March 16``."""
    local = instant.astimezone(ZoneInfo(zone))
    return _plain(format_datetime(local, _day_pattern(locale), local.tzinfo, locale))


def date_of(day: date, locale: Locale) -> str:
    """A calendar date: ``March 31, 2027``."""
    return _plain(format_date(day, "long", locale))


def time(instant: datetime, zone: str, locale: Locale) -> str:
    """The short time: ``9:30 AM``."""
    local = instant.astimezone(ZoneInfo(zone))
    return _plain(format_time(local, "short", local.tzinfo, locale))


def time_and_zone(instant: datetime, zone: str, locale: Locale) -> str:
    """Short time and long zone name: ``9:30 AM Pacific Daylight Time``."""
    local = instant.astimezone(ZoneInfo(zone))
    return f"{time(instant, zone, locale)} {get_timezone_name(local, 'long', locale=locale)}"


def same_clock(instant: datetime, zone: str, other: str) -> bool:
    """Whether clocks in both zones show the same at that instant."""
    return instant.astimezone(ZoneInfo(zone)).utcoffset() == instant.astimezone(ZoneInfo(other)).utcoffset()


def same_day(instant: datetime, zone: str, other: str) -> bool:
    """Whether calendars in both zones show the same date at that instant."""
    return instant.astimezone(ZoneInfo(zone)).date() == instant.astimezone(ZoneInfo(other)).date()


def _plain(words: str) -> str:
    return _SPACES.sub(" ", words)


@lru_cache
def _day_pattern(locale: Locale) -> str:
    """CLDR's format for month, day and weekday, its fields widened to full words (UTS #35, "Matching Skeletons")."""
    skeletons = locale.datetime_skeletons
    pattern = (skeletons.get("MMMMEd") or skeletons["MMMEd"]).pattern
    return re.sub(r"'[^']*'|E+|MMM+", lambda field: {"E": "EEEE", "M": "MMMM"}.get(field[0][0], field[0]), pattern)
