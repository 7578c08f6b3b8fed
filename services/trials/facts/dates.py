"""Days, months and years between civil days, by calendar.

A month is full on the same day of a later month, or on the first of the next where that month has no such day: who was
born on 29 February is a year older on 1 March in common years.
"""

import re
from datetime import date, timedelta

_SPAN = re.compile(r"P(\d{1,5})([DWMY])")


def days_since(day: date, as_of: date) -> int:
    """Negative when ``day`` is yet to come."""
    return as_of.toordinal() - day.toordinal()


def months_since(day: date, as_of: date) -> int:
    """Full months; negative when ``day`` is yet to come."""
    return (as_of.year - day.year) * 12 + as_of.month - day.month - (as_of.day < day.day)


def years_since(day: date, as_of: date) -> int:
    """Full years; negative when ``day`` is yet to come."""
    return as_of.year - day.year - ((as_of.month, as_of.day) < (day.month, day.day))


def days_after(day: date, days: int) -> date | None:
    """The day on which ``days_since`` reaches ``days``; None beyond the calendar's end."""
    reached = day.toordinal() + days
    return date.fromordinal(reached) if 1 <= reached <= date.max.toordinal() else None


def months_after(day: date, months: int) -> date | None:
    """The day on which ``months_since`` reaches ``months``; None beyond the calendar's end."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not 1 <= year <= date.max.year:
        return None
    try:
        return date(year, month + 1, day.day)
    except ValueError:
        return date(year, month + 2, 1)  # only February and months of 30 days lack a day, so never December


def years_after(day: date, years: int) -> date | None:
    """The day on which ``years_since`` reaches ``years``; None beyond the calendar's end."""
    return months_after(day, years * 12)


def last_day_within(day: date, span: str) -> date:
    """The last day on which ``day`` lies within ``span`` (``P60D``, ``P3M``), counted back and both ends included.

    ``ValueError`` when the span isn't one of days, weeks, months or years.
    """
    if (found := _SPAN.fullmatch(span)) is None:
        raise ValueError("needs a span such as P60D")
    number, unit = int(found[1]), found[2]
    if unit in "DW":
        return days_after(day, number * (7 if unit == "W" else 1)) or date.max
    return months_after(day, number * (12 if unit == "Y" else 1)) or date.max


def is_within(day: date, span: str, as_of: date) -> bool:
    """Whether ``day`` has come and lies no more than ``span`` back."""
    return day <= as_of <= last_day_within(day, span)


def next_day(day: date) -> date | None:
    """None at the calendar's end."""
    return day + timedelta(days=1) if day < date.max else None
