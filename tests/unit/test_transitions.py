"""The table of states, and the page that draws it."""

import re
from pathlib import Path

import pytest

from schemas.outcomes import DeliveryState
from services.notifier.domain import OPEN_STATES
from services.notifier.transitions import TRANSITIONS, may

PAGE = Path(__file__).parents[2] / "docs" / "deliveries.md"
REAL = set(DeliveryState) - {DeliveryState.UNKNOWN}


def drawn() -> set[tuple[str, str]]:
    rows = re.findall(r"^\| ([a-z]+) \| ([a-z]+) \| .+ \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {(before, after) for before, after in rows if before != "from"}


def test_the_page_draws_exactly_the_table() -> None:
    table = {(before.value, after.value) for before, targets in TRANSITIONS.items() for after in targets}
    assert drawn() == table


@pytest.mark.parametrize("before", sorted(REAL))
@pytest.mark.parametrize("after", sorted(REAL))
def test_may_says_what_the_page_draws(before: DeliveryState, after: DeliveryState) -> None:
    assert may(before, after) == ((before.value, after.value) in drawn())


def test_nothing_leads_to_or_from_a_state_nobody_knows() -> None:
    assert not any(may(DeliveryState.UNKNOWN, each) or may(each, DeliveryState.UNKNOWN) for each in DeliveryState)


def test_every_state_is_in_the_table_and_every_open_one_can_end() -> None:
    assert set(TRANSITIONS) == REAL
    assert all(TRANSITIONS[each] - OPEN_STATES for each in OPEN_STATES)
