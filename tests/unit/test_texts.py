"""Text and identifiers from outside, at their limits: what is just taken, what is just refused, what is changed."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from schemas.envelope import Envelope, Short
from schemas.ids import Opaque, ProgramCode, TenantCode
from schemas.sealed import Base64Url, Sealed
from schemas.text import Address, Code, Language, Line, ReasonCode, Zone, clean

ID = "3f1f1d2e-6a54-4c39-9d43-0a5f8b7c2e10"
KeyId = Sealed.model_fields["kid"].rebuild_annotation()
EventName = Envelope.model_fields["type"].rebuild_annotation()
KINDS: dict[str, tuple[Any, list[str], list[str]]] = {
    "line": (Line, ["x", "x" * 200], ["", " ", "x" * 201]),
    "code": (
        Code, ["a", "7", "a-", "z9-" * 21],
        ["", "-a", "_a", "A", " a", "a_", "aB", "a b", "a.", "a\n", "é", "aé", "z9-" * 21 + "a"],
    ),
    "reason": (
        ReasonCode, ["a", "a0_-z", "z_9" * 21],
        ["", "7a", "_a", "-a", "A", " a", "a.", "aA", "a b", "a\n", "z_9" * 21 + "a"],
    ),
    "zone": (
        Zone, ["Z", "America/Los_Angeles", "Etc/GMT+8", "Etc/GMT-0", "Az/_" * 16],
        ["", "Europe/Zürich", "a b", "a.b", " a", "a\n", "Az/_" * 16 + "a"],
    ),
    "language": (
        Language, ["en", "fil", "es-US", "es-419", "zh-Hant", "zh-Hant-TW"],
        ["e", "engl", "EN", "eN", "en_US", "en-us", "en-U", "en-USA", "en-41", "en-4190", "en-41A", "en-", "en-U1",
         "zh-hant", "zh-Han", "zh-Hante", "zh-HanT", "zh-4ant", "zh-Han4", "en-US-US", " en", "en\n", "1en", "e1",
         "e_", "zh-_ant", "zh-H_nt", "en-_S", "en-4_9"],
    ),
    "address": (Address, ["a@b", "a" * 242 + "@example.org"], ["a@", "a" * 243 + "@example.org"]),
    "tenant": (TenantCode, ["a7", "z0" * 8], ["a", "", "A7", "a-7", "a_7", "a 7", " a7", "a7\n", "z0" * 8 + "a"]),
    "program": (
        ProgramCode, ["a7b8", "z0" * 8], ["a7b", "", "A7b8", "a7-8", "a7_8", "a7 8", " a7b8", "a7b8\n", "z0" * 8 + "a"]
    ),
    "attribute": (Short, ["x", "x" * 255], ["", "x" * 256]),
    "event": (
        EventName, ["a.v1", "org.upright.a-b.no_show7.v9999", "a" * 252 + ".v1"],
        ["a.v", "a.v12345", "a.v1 ", "a.v1\n", "a.vx", "av1", "a.1", "7a.v1", "_a.v1", "-a.v1", "A.v1", " a.v1",
         "a b.v1", "aA.v1", "a.v_", "a" * 253 + ".v1"],
    ),
    "key": (KeyId, ["a", "7", "-", "a7-z" * 10], ["", "A", "a_", "a b", "a.", " a", "a\n", "a7-z" * 10 + "a"]),
    "ciphertext": (Base64Url, ["A", "AZaz09_-"], ["", "A+", "A/", "A.", "AA==", "A A", " A", "A\n"]),
}  # fmt: skip
TAKEN = [(kind, text) for kind, (_, taken, _) in KINDS.items() for text in taken]
REFUSED = [(kind, text) for kind, (_, _, refused) in KINDS.items() for text in refused]


def read(kind: Any, text: str) -> Any:
    return TypeAdapter(kind).validate_python(text)


@pytest.mark.parametrize(("kind", "text"), TAKEN)
def test_is_taken_as_it_is(kind: str, text: str) -> None:
    value = read(KINDS[kind][0], text)
    assert (value.reveal() if kind == "address" else value) == text


@pytest.mark.parametrize(("kind", "text"), REFUSED)
def test_is_refused(kind: str, text: str) -> None:
    with pytest.raises(ValidationError):
        read(KINDS[kind][0], text)


MARKS = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
"""Bidi_Control of the Unicode Standard (UAX #9)."""
CONTROLS = {"Cc": 0x85, "Cs": 0xD800, "Co": 0xE000, "Cn": 0x0378, "Zl": 0x2028, "Zp": 0x2029}


@pytest.mark.parametrize("mark", MARKS, ids=hex)
def test_no_mark_may_change_the_direction_of_what_follows(mark: int) -> None:
    with pytest.raises(ValueError, match=r"^has a mark that changes the direction of text$"):
        clean(f"Zoe{chr(mark)}Example")


@pytest.mark.parametrize("control", CONTROLS.values(), ids=CONTROLS)
def test_nothing_that_breaks_a_line_or_shows_nothing_anybody_agreed_on_is_text(control: int) -> None:
    with pytest.raises(ValueError, match=r"^has a control character$"):
        clean(f"Zoe{chr(control)}Example")


@pytest.mark.parametrize("text", ["Zoë O’Neill-Ångström", "陳大文", "שרה לוי", "مريم", "क्\u200dष", "Dr.\u00a0Who 🩺"])
def test_names_of_any_script_are_text_with_the_joiners_they_need(text: str) -> None:
    assert read(Line, text) == text


def test_a_line_loses_the_white_space_around_it_and_has_one_spelling() -> None:
    assert read(Line, " \tZoe\u0308 Example\r\n") == "Zoë Example"


@pytest.mark.parametrize("text", [ID.upper(), f"{{{ID}}}", f"urn:uuid:{ID}", ID.replace("-", "")])
def test_an_identifier_has_one_spelling(text: str) -> None:
    assert read(Opaque, text) == ID


@pytest.mark.parametrize("text", [ID[:-1], ID + "0", "", "Zoe Example"])
def test_what_is_no_identifier_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValidationError, match="Value error, must be a UUID \\["):
        read(Opaque, text)


def test_a_json_schema_says_of_an_identifier_what_it_is() -> None:
    assert TypeAdapter(Opaque).json_schema() == {"type": "string", "format": "uuid"}


def test_no_identifier_is_longer_than_its_longest_spelling() -> None:
    with pytest.raises(ValidationError, match="at most 45 characters"):
        read(Opaque, f"urn:uuid:-{ID}")
