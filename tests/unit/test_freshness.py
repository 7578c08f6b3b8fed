"""When a picture of a topic is too old to act on."""

from datetime import UTC, datetime, timedelta

import pytest

from chassis.freshness import Freshness, partition_of

NOW = datetime(2027, 3, 9, 18, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("read", "published", "stale"),
    [
        (timedelta(seconds=59), timedelta(minutes=59), False),
        (timedelta(seconds=61), timedelta(minutes=1), True),
        (timedelta(seconds=1), timedelta(minutes=61), True),
        (None, timedelta(0), True),
        (timedelta(0), None, True),
    ],
)
def test_truth_is_stale_past_either_bound_and_where_nothing_is_known(
    read: timedelta | None, published: timedelta | None, stale: bool
) -> None:
    caught_up_at = NOW - read if read is not None else None
    fresh_as_of = NOW - published if published is not None else None
    assert Freshness(caught_up_at, fresh_as_of, NOW).is_stale() is stale


MURMUR2 = {"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536, "abc": 479470107}
"""From Apache Kafka's own test of its hash (UtilsTest)."""


@pytest.mark.parametrize(("key", "hashed"), MURMUR2.items())
def test_a_key_lies_where_kafkas_own_partitioner_puts_it(key: str, hashed: int) -> None:
    assert partition_of(key, 24) == (hashed & 0x7FFFFFFF) % 24
