"""Events in any order, repeated, with older versions lost: one plan. And days on which clocks change."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from schemas.appointment import AppointmentStatus
from schemas.programs import Window
from services.notifier.domain import Appointment, Ledger, Plan
from services.notifier.plan import plan
from services.notifier.times import at_local, day_of, is_open, last_evening, next_open
from tests.support.charts import LONG_AGO, at, chart, edited, forms, local, patient, received, visit
from tests.support.programs import PROGRAMS
from tests.support.projections import Fact, keep_highest

BOOKED = "2027-02-26 09:00"
STATUSES = (AppointmentStatus.BOOKED, AppointmentStatus.BOOKED, AppointmentStatus.CANCELLED, AppointmentStatus.PENDING)
ZONES = ("America/Los_Angeles", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "UTC")


@st.composite
def histories(draw: st.DrawFn) -> list[Fact]:
    """Every version of up to two visits and a request, in the order they happened."""
    facts = []
    for name in ("v1", "v2")[: draw(st.integers(1, 2))]:
        one = visit("surgery", "2027-03-16 09:30", BOOKED, told=draw(st.booleans()), name=name)
        facts.append(Fact(1, one))
        for n in range(draw(st.integers(0, 4))):
            when = local(at(BOOKED) + timedelta(minutes=20 * (n + 1)))
            start = at("2027-03-16 09:30") + timedelta(days=draw(st.integers(-10, 4)))
            told, status = draw(st.booleans()), draw(st.sampled_from(STATUSES))
            one = edited(one, when, told=told, start=start, status=status)
            facts.append(Fact(one.version, one))
    first = facts[0].state
    assert isinstance(first, Appointment)
    asked = forms(first, BOOKED)
    facts += [Fact(n + 1, received(asked, "2027-02-26 09:30", n)) for n in range(draw(st.integers(0, 4)))]
    return facts


def planned(facts: Sequence[Fact]) -> Plan:
    states, told = keep_highest(facts)
    now = at("2027-02-26 11:00")
    return plan(chart(*states), PROGRAMS, Ledger(told=told, armed_at=LONG_AGO), now)


@settings(max_examples=200, deadline=None)
@given(data=st.data(), facts=histories())
def test_any_order_and_any_repetition_end_in_the_same_plan(data: st.DataObject, facts: list[Fact]) -> None:
    heard = data.draw(st.permutations(facts + data.draw(st.lists(st.sampled_from(facts), max_size=5))))
    assert planned(heard) == planned(facts)


@settings(max_examples=200, deadline=None)
@given(data=st.data(), facts=histories())
def test_the_loss_of_older_versions_changes_nothing(data: st.DataObject, facts: list[Fact]) -> None:
    """Except one that alone said what the patient was told, which only the ledger keeps."""
    newest = {fact.subject: fact.version for fact in facts}
    telling = {fact.subject: fact.version for fact in facts if getattr(fact.state, "patient_told_at", None)}
    needed = [f for f in facts if f.version in (newest[f.subject], telling.get(f.subject))]
    kept = [fact for fact in facts if fact in needed or data.draw(st.booleans())]
    assert planned(kept) == planned(facts)


@given(
    day=st.dates(date(2026, 1, 1), date(2028, 12, 31)),
    hour=st.times().map(lambda each: each.replace(fold=0)),  # policies know no second hour of one name
    zone=st.sampled_from(ZONES),
)
def test_a_local_time_is_that_time_or_where_there_is_none_later_by_the_gap(day: date, hour: time, zone: str) -> None:
    instant = at_local(day, hour, zone)
    shown = instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    wished = datetime.combine(day, hour)
    assert timedelta() <= shown - wished <= timedelta(hours=1)
    earlier = (instant - timedelta(hours=1)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    assert earlier != wished, "of an hour that comes twice it is the first"


def test_gap_and_fold_by_example() -> None:
    assert at_local(date(2027, 3, 14), time(2, 30), "America/Los_Angeles") == at("2027-03-14 03:30")
    assert at_local(date(2027, 11, 7), time(1, 30), "America/Los_Angeles") == datetime(2027, 11, 7, 8, 30, tzinfo=UTC)


@given(
    minutes=st.integers(0, 365 * 24 * 60),
    opens=st.integers(0, 11),
    length=st.integers(2, 12),
    days=st.frozensets(st.integers(1, 7), min_size=1),
    zone=st.sampled_from(ZONES),
)
def test_the_next_open_moment_is_the_first(
    minutes: int, opens: int, length: int, days: frozenset[int], zone: str
) -> None:
    instant = datetime(2027, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    window = Window(opens=time(opens), closes=time(opens + length), weekdays=days)
    assume(opens != 2 and opens != 0)  # an opening hour inside a gap opens at the gap's end
    found = next_open(instant, window, zone)
    assert found >= instant
    assert is_open(found, window, zone)
    assert found == instant or not is_open(found - timedelta(microseconds=1), window, zone)
    before = last_evening(instant, time(opens + 1), window, zone)
    assert before <= instant
    assert is_open(before, window, zone)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("start", ["2027-03-15 09:30", "2027-11-08 09:30", "2027-04-05 09:30"])
def test_a_day_step_is_at_ten_there_on_its_own_date_across_a_change_of_clocks(zone: str, start: str) -> None:
    booking = visit("surgery", start, "2027-01-05 09:00", zone=zone)
    booking = replace(booking, start=at(start, zone))
    made = plan(chart(booking, person=patient(zone=zone)), PROGRAMS, Ledger(armed_at=LONG_AGO), booking.booked_at)
    visit_day = day_of(booking.start, zone)
    assert [each.due_local for each in made.wanted] == [
        f"{visit_day - timedelta(days=days)}T10:00" for days in (14, 3, 1)
    ]
