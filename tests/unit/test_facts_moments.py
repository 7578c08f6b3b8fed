"""The next day on which time alone changes a picture, and calendar arithmetic under it."""

from collections.abc import Hashable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from schemas.vocabulary import Vocabulary
from services.trials.facts.dates import (
    days_after,
    days_since,
    is_within,
    last_day_within,
    months_after,
    months_since,
    next_day,
    years_after,
    years_since,
)
from services.trials.facts.moments import next_change
from services.trials.facts.picture import Happening, RecordedFact, Traits, Unknown, picture

TODAY, HORIZON = date(2027, 3, 10), 400
BORN = Traits(date(1985, 3, 11), "female")
VOCABULARY = Vocabulary.strict_data({
    "facts": {
        "kind": {"label": "kind", "type": "code", "valid_for": "P30D"},
        "onset": {"label": "onset", "type": "date", "latest": True},
        "patch": {"label": "patch", "type": "events", "fields": {"level": {"label": "level", "type": "code"}}},
    },
    "derived": {
        "onset-days": {"label": "days since onset", "derive": "days-since", "of": "onset"},
        "onset-months": {"label": "months since onset", "derive": "months-since", "of": "onset"},
        "patch-days": {"label": "days since the last patch", "derive": "days-since", "of": "patch"},
    },
})  # fmt: skip
DAYS = some.dates(date(1999, 1, 1), date(2031, 12, 31))


@given(DAYS, DAYS, some.integers(0, 400))
def test_a_number_of_days_months_or_years_is_reached_on_one_day(day: date, as_of: date, number: int) -> None:
    for since, after in ((days_since, days_after), (months_since, months_after), (years_since, years_after)):
        reached = after(day, number)
        assert reached is not None
        assert (since(day, as_of) >= number) == (as_of >= reached)
        assert since(day, reached) == number


@pytest.mark.parametrize(
    ("day", "span", "last"),
    [
        ("2027-01-01", "P60D", "2027-03-02"),
        ("2027-01-01", "P2W", "2027-01-15"),
        ("2027-01-31", "P1M", "2027-03-01"),
        ("2027-12-31", "P2M", "2028-03-01"),
        ("2028-02-29", "P1Y", "2029-03-01"),
        ("9999-12-01", "P60D", "9999-12-31"),
        ("9999-12-01", "P2M", "9999-12-31"),
    ],
)
def test_a_span_includes_its_last_day(day: str, span: str, last: str) -> None:
    first, end = date.fromisoformat(day), date.fromisoformat(last)
    assert last_day_within(first, span) == end
    assert is_within(first, span, first)
    assert is_within(first, span, end)
    assert not is_within(first, span, first - timedelta(days=1))
    after = next_day(end)
    assert after is None or not is_within(first, span, after)


@pytest.mark.parametrize("span", ["60", "PT1H", "P1.5D", "P", "60D"])
def test_what_is_no_span_is_refused(span: str) -> None:
    with pytest.raises(ValueError, match="P60D"):
        last_day_within(TODAY, span)


def after(
    *recorded: RecordedFact, cuts: Mapping[str, Sequence[float]] | None = None, **windows: list[str]
) -> date | None:
    return next_change(recorded, BORN, VOCABULARY, cuts or {}, TODAY, windows)


def told(name: str, value: Any, on: date = TODAY, source: str = "desk", until: date | None = None) -> RecordedFact:
    return RecordedFact(name, value, source, on, until)


def test_without_anything_that_time_changes_there_is_no_next_day() -> None:
    assert after() is None
    assert after(cuts={"age": [], "onset-days": [5], "nothing": [1]}) is None


def test_an_age_is_crossed_on_a_birthday() -> None:
    assert after(cuts={"age": [18, 42]}) == date(2027, 3, 11)
    assert after(cuts={"age": [18, 41]}) == date(2027, 3, 11)  # 41 now: over it on the birthday
    assert after(cuts={"age": [18, 65]}) == date(2050, 3, 11)
    assert after(cuts={"age": [18, 40]}) is None
    assert after(cuts={"age-in-months": [504]}) == date(2027, 3, 11)


def test_a_number_is_left_on_the_day_after_it_was_reached() -> None:
    onset = told("onset", date(2027, 3, 5))
    assert after(onset, cuts={"onset-days": [7]}) == date(2027, 3, 12)
    assert after(onset, cuts={"onset-days": [5]}) == date(2027, 3, 11)
    assert after(onset, cuts={"onset-days": [6.5]}) == date(2027, 3, 12)
    assert after(onset, cuts={"onset-days": [4]}) is None
    assert after(onset, cuts={"onset-months": [3]}) == date(2027, 6, 5)
    assert after(onset, cuts={"onset": [7]}) == date(2027, 3, 12)


def test_a_cut_that_no_calendar_reaches_never_comes() -> None:
    assert (
        after(told("onset", TODAY), cuts={"onset-days": [1e9], "age-in-months": [1e9], "age": [float("inf")]}) is None
    )


def test_days_since_a_list_count_from_its_last_event_and_those_of_its_events_from_each() -> None:
    patches = told("patch", (Happening(date(2027, 3, 1)), Happening(date(2027, 3, 8))))
    assert after(patches, cuts={"patch-days": [11]}) == date(2027, 3, 19)
    assert after(patches, cuts={"patch": [11]}) == date(2027, 3, 12)


def test_a_day_yet_to_come_is_a_change_when_it_comes() -> None:
    coming = told("onset", date(2027, 3, 15))
    assert after(coming) == after(coming, cuts={"onset-days": [-3, 0], "onset": [-3, 0]}) == date(2027, 3, 15)
    assert after(told("patch", (Happening(date(2027, 3, 15)),))) == date(2027, 3, 15)
    assert after(told("kind", "a", on=date(2027, 3, 15))) == date(2027, 3, 15)
    assert after(told("kind", True, on=date(2027, 3, 15))) is None  # no code: never seen


def test_until_the_next_event_comes_days_count_from_the_last_that_has() -> None:
    patches = told("patch", (Happening(date(2027, 3, 1)), Happening(date(2027, 3, 20))))
    assert after(patches, cuts={"patch-days": [11]}) == date(2027, 3, 12)


def test_an_event_leaves_a_window_on_the_day_after_its_last() -> None:
    patches = told("patch", (Happening(date(2027, 1, 1)), Happening(date(2027, 2, 1)), Happening(None)))
    assert after(patches, patch=["P60D"]) == date(2027, 4, 3)
    assert after(patches, patch=["P90D", "P60D", "P2M"]) == date(2027, 4, 2)


def test_a_fact_goes_stale_on_a_day_of_its_own() -> None:
    assert after(told("kind", "a", on=date(2027, 3, 1))) == date(2027, 3, 31)
    assert after(told("kind", "a", until=date(2027, 3, 12))) == date(2027, 3, 12)
    assert after(told("kind", "a", on=date(2027, 1, 1))) is None


def test_a_fact_that_was_replaced_does_not_go_stale() -> None:
    older = told("kind", "a", on=date(2027, 3, 1), until=date(2027, 3, 12))
    assert after(older, told("kind", "a")) == date(2027, 4, 9)


def test_a_conflict_ends_when_one_side_goes_stale() -> None:
    assert after(told("kind", "a", until=date(2027, 3, 12)), told("kind", "b", source="x")) == date(2027, 3, 12)


CUTS = some.lists(some.one_of(some.integers(0, 120), some.floats(0, 40)), max_size=3).map(sorted)
NEAR = some.integers(-90, 20).map(lambda days: TODAY + timedelta(days=days))
VALUES = {
    "kind": some.sampled_from("ab"),
    "onset": NEAR,
    "patch": some.lists(some.builds(Happening, some.one_of(NEAR, NEAR, NEAR, some.none())), max_size=3).map(tuple),
}
RECORDED = some.sampled_from(sorted(VALUES)).flatmap(
    lambda name: some.builds(
        RecordedFact,
        some.just(name),
        VALUES[name],
        some.sampled_from("xy"),
        NEAR,
        some.one_of(some.none(), some.integers(-60, 60).map(lambda days: TODAY + timedelta(days=days))),
    )
)
BIRTHS = some.integers(0, 900).map(lambda days: TODAY - timedelta(days=days))
MEASURED = ("age", "age-in-months", "onset-days", "onset-months", "patch-days", "onset", "patch", "birth-date")
SPANS = some.lists(some.sampled_from(["P1D", "P20D", "P3W", "P1M", "P2M", "P1Y"]), max_size=2)


def state(
    recorded: Sequence[RecordedFact],
    traits: Traits,
    cuts: Mapping[str, Sequence[float]],
    spans: Sequence[str],
    day: date,
) -> Hashable:
    """All that may make a difference to a criterion on ``day``, the plain way."""
    found = picture(recorded, traits, VOCABULARY, day)
    sides: list[Hashable] = []
    for name, points in cuts.items():
        value = found.value(name)
        if isinstance(value, tuple):
            numbers: Any = [(day - each.on).days for each in value if each.on is not None]
        else:
            numbers = [] if isinstance(value, Unknown) else [(day - value).days if isinstance(value, date) else value]
        sides += [(name, index, (number > point) - (number < point))
                  for index, number in enumerate(numbers) for point in points]  # fmt: skip
    patches = found.value("patch")
    within = tuple(
        (each.on, span, each.on is not None and is_within(each.on, span, day))
        for each in (patches if isinstance(patches, tuple) else ()) for span in spans
    )  # fmt: skip
    counts = frozenset(
        (name, id(fact), found.value(name) is Unknown.STALE)
        for name, facts in found.behind.items() if name in VOCABULARY.facts for fact in facts
    )  # fmt: skip
    come = (found.value("onset"), patches, "age" in found.values, sum(each.observed_on <= day for each in recorded))
    return tuple(sides), within, counts, come


@given(
    some.lists(RECORDED, max_size=5),
    some.one_of(some.none(), BIRTHS),
    some.fixed_dictionaries({}, optional=dict.fromkeys(MEASURED, CUTS)),
    SPANS,
)
def test_nothing_changes_before_the_next_day_and_something_does_on_it(
    recorded: list[RecordedFact], born: date | None, cuts: dict[str, list[float]], spans: list[str]
) -> None:
    traits = Traits(born)
    moment = next_change(recorded, traits, VOCABULARY, cuts, TODAY, {"patch": spans})
    now = state(recorded, traits, cuts, spans, TODAY)
    quiet = HORIZON if moment is None else min(HORIZON, (moment - TODAY).days)
    for days in range(1, quiet):
        assert state(recorded, traits, cuts, spans, TODAY + timedelta(days=days)) == now
    if moment is not None:
        assert moment > TODAY
        assert state(recorded, traits, cuts, spans, moment) != now
