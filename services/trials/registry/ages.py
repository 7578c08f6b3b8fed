"""Ages as the registry writes them, and the days on which they are reached, by calendar.

Born on 29 February, or on a 31st: where a year or month lacks that day, the age is reached on the first of the next
month.
Nobody knows the hour of a birth: ages in hours and minutes are rounded up to whole days.
"""

from datetime import date, timedelta

from schemas.criteria import AgeLimit, AgeUnit

_NONE = {"", "n/a", "na", "none"}
_MONTHS = {AgeUnit.YEARS: 12, AgeUnit.MONTHS: 1}
_MINUTES = {AgeUnit.WEEKS: 7 * 24 * 60, AgeUnit.DAYS: 24 * 60, AgeUnit.HOURS: 60, AgeUnit.MINUTES: 1}
_DAY = 24 * 60
_GROUPS = {"CHILD": (0, 17), "ADULT": (18, 64), "OLDER_ADULT": (65, None)}
"""The registry's standard ages in whole years, both included."""


def parse_age(written: str) -> AgeLimit | None:
    """``18 Years``, ``1 Month``; None for ``N/A``. ``ValueError`` for anything else."""
    return None if written.strip().lower() in _NONE else AgeLimit.model_validate(written)


def reached(birth_date: date, age: AgeLimit) -> date:
    """The first day at that age; ``date.max`` for one that the calendar doesn't reach."""
    if age.unit in _MONTHS:
        return _months_later(birth_date, age.number * _MONTHS[age.unit])
    days = -(-age.number * _MINUTES[age.unit] // _DAY)
    return date.max if days > (date.max - birth_date).days else birth_date + timedelta(days)


def passed(birth_date: date, maximum: AgeLimit) -> date:
    """The first day over a maximum, which includes its last unit: 65 years end on the 66th birthday."""
    one_more = AgeLimit(number=maximum.number + 1, unit=maximum.unit)
    if maximum.unit in (AgeUnit.HOURS, AgeUnit.MINUTES):
        last = reached(birth_date, maximum)
        return last if last == date.max else last + timedelta(1)
    return reached(birth_date, one_more)


def standard_ages(minimum: AgeLimit | None, maximum: AgeLimit | None) -> frozenset[str]:
    """The registry's groups (CHILD, ADULT, OLDER_ADULT) that lie between two ages."""
    lowest = 0 if minimum is None else _whole_years(minimum)
    highest = None if maximum is None else _whole_years(maximum)
    return frozenset(
        name
        for name, (first, last) in _GROUPS.items()
        if (last is None or lowest <= last) and (highest is None or first <= highest)
    )


def _months_later(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if year > date.max.year:
        return date.max
    try:
        return date(year, month + 1, day.day)
    except ValueError:
        return date(year, month + 2, 1)  # never December, which has all its days


def _whole_years(age: AgeLimit) -> int:
    if age.unit in _MONTHS:
        return age.number * _MONTHS[age.unit] // 12
    return int(age.number * _MINUTES[age.unit] / (_DAY * 365.25))
