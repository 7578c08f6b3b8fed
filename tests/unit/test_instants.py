"""Instants as contracts and clocks give them: whole milliseconds, since that is what a store gives back."""

from datetime import UTC, datetime

from pydantic import TypeAdapter

from chassis.clock import SystemClock
from schemas.base import Instant


def test_an_instant_is_cut_to_what_a_store_keeps() -> None:
    read = TypeAdapter[datetime](Instant).validate_python("2027-03-16T09:30:00.123987-07:00")
    assert read == datetime(2027, 3, 16, 16, 30, 0, 123000, tzinfo=UTC)
    assert read.tzinfo is UTC


def test_the_clock_reads_whole_milliseconds() -> None:
    assert all(SystemClock().now().microsecond % 1000 == 0 for _ in range(50))
