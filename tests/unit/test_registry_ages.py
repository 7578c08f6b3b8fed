"""Ages as the registry writes them, by calendar."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.criteria import AgeLimit, AgeUnit
from services.trials.registry.ages import parse_age, passed, reached, standard_ages


def age(written: str) -> AgeLimit:
    found = parse_age(written)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("written", "number", "unit"),
    [
        ("18 Years", 18, AgeUnit.YEARS), ("1 Year", 1, AgeUnit.YEARS), ("6 Months", 6, AgeUnit.MONTHS),
        ("1 Week", 1, AgeUnit.WEEKS), ("28 days", 28, AgeUnit.DAYS), ("24 Hours", 24, AgeUnit.HOURS),
        (" 30 Minutes ", 30, AgeUnit.MINUTES),
    ],
)  # fmt: skip
def test_an_age_is_a_number_and_a_unit(written: str, number: int, unit: AgeUnit) -> None:
    assert parse_age(written) == AgeLimit(number=number, unit=unit)


@pytest.mark.parametrize("written", ["N/A", "", "n/a"])
def test_not_applicable_is_no_age(written: str) -> None:
    assert parse_age(written) is None


@pytest.mark.parametrize("written", ["18", "Years", "-1 Years", "1.5 Years", "18 Years or so", "18 Moons"])
def test_anything_else_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="no age"):
        parse_age(written)


@pytest.mark.parametrize(
    ("born", "written", "on"),
    [
        (date(2000, 5, 17), "18 Years", date(2018, 5, 17)),
        (date(2000, 2, 29), "18 Years", date(2018, 3, 1)),
        (date(2000, 2, 29), "20 Years", date(2020, 2, 29)),
        (date(2000, 12, 31), "2 Months", date(2001, 3, 1)),
        (date(2000, 10, 31), "1 Month", date(2000, 12, 1)),
        (date(2000, 11, 30), "13 Months", date(2001, 12, 30)),
        (date(2000, 5, 17), "2 Weeks", date(2000, 5, 31)),
        (date(2000, 5, 17), "0 Days", date(2000, 5, 17)),
        (date(2000, 5, 17), "12 Hours", date(2000, 5, 18)),
        (date(2000, 5, 17), "48 Hours", date(2000, 5, 19)),
        (date(2000, 5, 17), "30 Minutes", date(2000, 5, 18)),
        (date(2000, 5, 17), "999999999 Years", date.max),
        (date(2000, 5, 17), "999999999 Days", date.max),
    ],
)
def test_an_age_is_reached_by_calendar(born: date, written: str, on: date) -> None:
    assert reached(born, age(written)) == on


@pytest.mark.parametrize(
    ("born", "written", "on"),
    [
        (date(1960, 5, 17), "65 Years", date(2026, 5, 17)),
        (date(1960, 2, 29), "65 Years", date(2026, 3, 1)),
        (date(2000, 5, 17), "6 Months", date(2000, 12, 17)),
        (date(2000, 5, 17), "2 Weeks", date(2000, 6, 7)),
        (date(2000, 5, 17), "28 Days", date(2000, 6, 15)),
        (date(2000, 5, 17), "24 Hours", date(2000, 5, 19)),
        (date(2000, 5, 17), "30 Minutes", date(2000, 5, 19)),
        (date(2000, 5, 17), "9999 Years", date.max),
        (date(2000, 5, 17), "999999999 Hours", date.max),
    ],
)
def test_a_maximum_includes_its_last_unit(born: date, written: str, on: date) -> None:
    assert passed(born, age(written)) == on


BIRTH_DATES = st.dates(date(1900, 1, 1), date(2100, 1, 1))


@given(BIRTH_DATES, st.integers(0, 1500), st.sampled_from(list(AgeUnit)))
def test_whoever_is_over_a_maximum_has_reached_it_before(born: date, number: int, unit: AgeUnit) -> None:
    limit = AgeLimit(number=number, unit=unit)
    assert born <= reached(born, limit) < passed(born, limit)


@given(BIRTH_DATES, st.integers(0, 120))
def test_years_are_reached_on_the_birthday_and_on_no_day_before(born: date, years: int) -> None:
    on = reached(born, AgeLimit(number=years, unit=AgeUnit.YEARS))

    def whole_years(day: date) -> int:
        return day.year - born.year - ((day.month, day.day) < (born.month, born.day))

    assert whole_years(on) == years
    assert whole_years(on - timedelta(1)) == years - 1


@pytest.mark.parametrize(
    ("minimum", "maximum", "groups"),
    [
        (None, None, "CHILD ADULT OLDER_ADULT"),
        ("18 Years", None, "ADULT OLDER_ADULT"),
        ("17 Years", None, "CHILD ADULT OLDER_ADULT"),
        ("215 Months", None, "CHILD ADULT OLDER_ADULT"),
        ("18 Years", "64 Years", "ADULT"),
        ("18 Years", "65 Years", "ADULT OLDER_ADULT"),
        ("65 Years", None, "OLDER_ADULT"),
        (None, "28 Days", "CHILD"),
        (None, "17 Years", "CHILD"),
    ],
)
def test_standard_ages_follow_from_the_ages(minimum: str | None, maximum: str | None, groups: str) -> None:
    assert standard_ages(minimum and age(minimum), maximum and age(maximum)) == set(groups.split())  # type: ignore[arg-type]
