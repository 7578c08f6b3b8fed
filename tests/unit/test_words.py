"""No code reaches staff without words: every reason, state, kind, worklist code, verdict and author has some."""

import ast
import re
from collections.abc import Iterator
from datetime import time
from pathlib import Path

import pytest

from schemas import words as codes
from schemas.outcomes import DeliveryState, Kind
from services.notifier import words
from services.notifier.domain import FINAL, ON_EVENT, UNTIL, Reason
from services.notifier.explain import reason_class
from services.notifier.smtp import Verdict
from services.notifier.transitions import TRANSITIONS
from tests.support.programs import PROGRAMS

NOTIFIER = Path(__file__).parents[2] / "services" / "notifier"
CALLS = {"Task": ("code", 1), "Entry": ("code", 3)}
REAL = set(DeliveryState) - {DeliveryState.UNKNOWN}


def used_codes() -> Iterator[str]:
    """The literal codes of every worklist entry and task that the notifier's source makes."""
    for file in NOTIFIER.rglob("*.py"):
        tree = ast.parse(file.read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
                name, place = CALLS[node.func.id]
                named = [each.value for each in node.keywords if each.arg == name]
                argument = named[0] if named else node.args[place] if len(node.args) > place else None
                if isinstance(argument, ast.Constant):
                    yield str(argument.value)


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_words_and_one_class(reason: Reason) -> None:
    assert codes.REASONS[reason].what.endswith(".")
    classes = {"final": FINAL, "until": UNTIL, "on_event": ON_EVENT}
    assert [name for name, members in classes.items() if reason in members] == [reason_class(reason)]


@pytest.mark.parametrize("reason", sorted(ON_EVENT))
def test_whatever_waits_for_a_person_says_what_they_can_do(reason: Reason) -> None:
    assert codes.REASONS[reason].todo


def test_every_worklist_code_in_the_source_has_words_that_say_what_to_do() -> None:
    used = set(used_codes())
    assert {"truth_incomplete", "unknown_patient", "paperwork_missing", "too_late", "deceased_note"} <= used
    assert {code for code in used | TOLD_OTHERWISE if not codes.WORKLIST[code].todo} == set()


TOLD_OTHERWISE = {"call_patient", "address_refused", "short_notice", "notice_undelivered", "removed_visit"}
"""Codes that are chosen by a condition, so that no literal stands in the call."""


def test_the_codes_chosen_by_a_condition_are_still_in_the_source() -> None:
    source = "\n".join(file.read_text("utf-8") for file in NOTIFIER.rglob("*.py"))
    assert {code for code in TOLD_OTHERWISE if f'"{code}"' not in source} == set()


def test_codes_are_written_with_underscores_alone() -> None:
    assert [code for code in {*used_codes(), *codes.WORKLIST} if not re.fullmatch(r"[a-z][a-z_]*", code)] == []


def test_every_state_and_kind_has_words() -> None:
    assert {each.value for each in REAL} == codes.STATES.keys()
    assert set(words.CHANGES) == REAL
    assert {each.value for each in Kind} - {"unknown"} == codes.KINDS.keys()
    assert {each.value for each in Verdict} == words.VERDICTS.keys()


def test_every_author_in_the_history_has_words() -> None:
    written = set()
    for file in NOTIFIER.rglob("*.py"):
        written |= set(re.findall(r'add_history\([^"]*"(\w+)"\)', file.read_text("utf-8"), re.DOTALL))
    assert written
    assert written <= words.BY.keys()


@pytest.mark.parametrize("before", sorted(REAL))
def test_every_change_of_state_reads_as_a_sentence(before: DeliveryState) -> None:
    for after in TRANSITIONS[before]:
        assert words.change(before, after, None).endswith(".")


def test_planned_again_is_told_from_planned_and_from_put_off() -> None:
    planned = DeliveryState.PLANNED
    assert words.change(None, planned, None) == "Planned."
    assert words.change(DeliveryState.HELD, planned, None) == "Planned again."
    put_off = words.change(DeliveryState.CLAIMED, planned, "cap_reached")
    assert put_off == "Put off. The patient has had enough messages for now; it waits."


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (("accepted", "dot", 250, "2.0.0"), "The mail server took it (250 2.0.0)."),
        (("refused", "rcpt", 550, "5.1.1"), "The mail server refused the address (550 5.1.1)."),
        (("refused", "dot", 554, None), "The mail server refused the message (554)."),
        (("retry", "rcpt", 450, None), "The mail server said no for now (450)."),
        ((None, None, None, None), "No answer yet."),
    ],
)
def test_a_servers_verdict_is_said_in_words_and_numbers(
    said: tuple[str | None, str | None, int | None, str | None], read: str
) -> None:
    assert words.verdict(*said) == read


@pytest.mark.parametrize(
    ("rule", "read"),
    [
        ("consultation/on-site/P14D", "A reminder 14 days before the visit, at 10:00 on the patient's clock."),
        ("surgery/on-site/P1D", "A reminder the day before the visit, at 10:00 on the patient's clock."),
        ("follow-up/video/PT2H", "A reminder 2 hours before the visit."),
        (
            "follow-up/on-site/late-booking/P1D",
            "The visit was booked or moved late: one message in place of the steps that were past.",
        ),
        ("paperwork/request", "Forms are missing: asked for when the forms were requested."),
        ("paperwork/P7D", "Forms are missing: asked for 7 days before the visit, at 10:00 on the patient's clock."),
        (
            "notice/change",
            "The patient was told something else than what is true now, because the visit has changed.",
        ),
        (
            "notice/change/rebooked",
            "The patient was told something else than what is true now, because the visit has changed: it was "
            "cancelled and booked again.",
        ),
        (
            "notice/cancellation",
            "The patient was told something else than what is true now, because the visit is cancelled.",
        ),
    ],
)
def test_a_plans_rule_is_said_in_words(rule: str, read: str) -> None:
    assert words.rule(rule, time(10)) == read


def test_no_rule_in_words_names_the_visits_type() -> None:
    """It is clinical: "why" shows the rule's code to staff, its sentence may be read out."""
    for program in PROGRAMS.values():
        for code, visit_type in program.visit_types.items():
            for modality, steps in visit_type.steps.items():
                for step in steps.steps:
                    read = words.rule(f"{code}/{modality}/{step}", program.policy.hour)
                    assert code not in read
                    assert "before the visit" in read
