"""Instants as contracts and clocks give them: whole milliseconds, since that is what a store gives back."""

import json
from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from chassis.clock import SystemClock
from schemas.base import Instant

INSTANT = TypeAdapter[datetime](Instant)


@pytest.mark.parametrize("strict", [False, True])
def test_json_holds_a_written_out_instant_and_no_other(strict: bool) -> None:
    read = INSTANT.validate_json('"2027-03-16T09:30:00-07:00"', strict=strict)
    assert read == datetime(2027, 3, 16, 16, 30, tzinfo=UTC)
    for seconds in ("1805214600", "+1805214600", "1.8e9", "", 1805214600, 1805214600.5, True):
        with pytest.raises(ValidationError, match=r"an offset, such as 2027-03-16T09:30:00-07:00 \["):
            INSTANT.validate_json(json.dumps(seconds), strict=strict)
    with pytest.raises(ValidationError, match="timezone"):
        INSTANT.validate_json('"2027-03-16T09:30:00"', strict=strict)


def test_python_takes_a_datetime_and_a_strict_reader_no_text() -> None:
    at = datetime(2027, 3, 16, 16, 30, tzinfo=UTC)
    assert INSTANT.validate_python(at, strict=True) == INSTANT.validate_python(at.isoformat()) == at
    for seconds in ("1805214600", 1805214600):
        with pytest.raises(ValidationError, match="needs a date, a time and an offset"):
            INSTANT.validate_python(seconds)
    with pytest.raises(ValidationError, match="valid datetime"):
        INSTANT.validate_python(at.isoformat(), strict=True)


@pytest.mark.parametrize(
    ("written", "kept"), [("123987", 123), ("999999", 999), ("998998", 998), ("0009", 0), ("5", 500)]
)
def test_an_instant_is_cut_to_what_a_store_keeps(written: str, kept: int) -> None:
    read = INSTANT.validate_python(f"2027-03-16T09:30:00.{written}-07:00")
    assert read == datetime(2027, 3, 16, 16, 30, 0, kept * 1000, tzinfo=UTC)
    assert read.tzinfo is UTC


def test_the_clock_reads_whole_milliseconds() -> None:
    assert all(SystemClock().now().microsecond % 1000 == 0 for _ in range(50))
