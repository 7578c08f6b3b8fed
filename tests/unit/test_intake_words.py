"""No code reaches staff without words: every reason, kind, state and event has some."""

import pytest

from schemas.outcomes import DeliveryState, Kind
from schemas.registry import EVENT_TYPES
from services.intake import words
from services.notifier.domain import Reason


@pytest.mark.parametrize("code", list(Reason))
def test_every_reason_of_the_notifier_has_words(code: Reason) -> None:
    assert code.value in words.REASONS


def test_every_kind_state_and_posted_event_has_words() -> None:
    assert {kind.value for kind in Kind} - {"unknown"} == words.KINDS.keys()
    assert {state.value for state in DeliveryState} - {"unknown"} == words.STATES.keys()
    assert {name for name, kind in EVENT_TYPES.items() if kind.posted} == words.EVENTS.keys()


def test_a_code_reads_as_words_and_an_unknown_one_says_what_to_do() -> None:
    assert words.worklist("too_late").todo == "Call the patient."
    assert words.worklist("never_heard_of").todo == "Ask operations."
    assert words.reason(None) is None
    assert words.delivery("planned", None) == words.Words("Will be sent.")
    assert words.delivery("skipped", "visit_cancelled").what == "Not sent. The visit was cancelled before sending."
