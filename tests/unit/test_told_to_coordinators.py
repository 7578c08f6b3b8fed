"""What coordinators are told of people: values in bands, counts in ranges behind which nobody stands alone."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.vocabulary_files import load_vocabularies
from services.trials.explaining import said
from services.trials.facts.picture import NEVER, Happening, Unknown
from services.trials.masking import masked
from tests.support.programs import CEDARS

TERMS = load_vocabularies(demo=True)[CEDARS.public_code].terms


@pytest.mark.parametrize(
    ("fact", "value", "told"),
    [
        ("age", 0, "0 to 9 years"),
        ("age", 39, "30 to 39 years"),
        ("age", 40, "40 to 49 years"),
        ("age", 89, "80 to 89 years"),
        ("age", 90, "90 years or over"),
        ("age", 104, "90 years or over"),
        ("age-in-months", 479, "30 to 39 years"),
        ("birth-date", date(1986, 5, 2), "known"),
        ("home-latitude", 34.0736, "known"),
        ("symptom-onset", date(2025, 11, 20), "November 2025"),
        ("leak-type", "type-3", "type 3 (CSF-venous fistula)"),
        ("allergies", frozenset(), "none"),
        ("pregnant", False, "no"),
        ("opening-pressure", 4.5, "4.5 cm H2O"),
        ("months-since-symptom-onset", 1, "1 month"),
        ("days-since-dural-puncture", NEVER, "there was none"),
        ("pregnant", Unknown.STALE, "too old to count"),
        ("blood-patch", (), "none"),
        (
            "blood-patch",
            (Happening(date(2026, 11, 2), {"response": "improved"}), Happening(None)),
            "2 (November 2026, improved; undated)",
        ),
    ],
)
def test_a_value_is_told_only_as_far_as_it_names_nobody(fact: str, value: Any, told: str) -> None:
    assert said(fact, value, TERMS.get(fact)) == told


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "fewer than 5"),
        (4, "fewer than 5"),
        (5, "5 to 9"),
        (9, "5 to 9"),
        (10, "10 to 14"),
        (1234, "1,230 to 1,234"),
    ],
)
def test_counts_are_told_in_ranges(count: int, text: str) -> None:
    assert str(masked(count)) == text


@given(st.integers(0, 4), st.integers(0, 500), st.integers(0, 500))
def test_neighbours_and_their_sum_leave_at_least_three_answers_open(few: int, other: int, third: int) -> None:
    everybody, one, two = masked(few + other + third), masked(other), masked(third)
    most = everybody.at_most - one.at_least - two.at_least
    least = everybody.at_least - one.at_most - two.at_most
    left = [each for each in range(5) if least <= each <= most]
    assert few in left
    assert len(left) >= 3
