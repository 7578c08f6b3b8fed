"""Messages written as bytes, read back by the standard library's parser."""

import re
from collections.abc import Callable
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import default
from email.utils import parseaddr
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.notifier.mime import Part, address_header, message, text_header, token_header

REFUSED = "\r\n\0\x07\x1f\x7f\x85\u2028\u2029\u200e\u200f\u061c\u202a\u202e\u2066\u2069\ud800"
NO_SURROGATES: tuple[Literal["Cs"]] = ("Cs",)
BODY = st.text(st.characters(exclude_categories=NO_SURROGATES), max_size=400)
ANY_TEXT = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters=REFUSED), min_size=1, max_size=300
)
WORDS = st.lists(
    st.sampled_from(["Appointment", "reminder", "ñandú", "=?utf-8?q?x?=", "a" * 90, "", "日本", "\t"])
).map(" ".join)


def parse(content: bytes) -> EmailMessage:
    parsed = message_from_bytes(content, policy=default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def a_message(*headers: bytes, text: str = "Hello", html: str = "<p>Hello</p>", calendar: str | None = None) -> bytes:
    bodies = [Part("text/plain; charset=utf-8", text), Part("text/html; charset=utf-8", html)]
    attached = [Part("text/calendar; charset=utf-8", calendar, "attachment")] if calendar else []
    return message(headers, bodies, attached, seed="<1@example.com>")


@given(ANY_TEXT)
def test_any_text_comes_back_from_a_header_whole(value: str) -> None:
    raw = message_from_bytes(a_message(text_header("Subject", value)))["Subject"]
    assert str(make_header(decode_header(re.sub(r"\r?\n(?=[ \t])", "", raw)))) == value


@given(ANY_TEXT | WORDS.filter(lambda text: "\t" not in text))
def test_a_header_is_ascii_in_short_lines(value: str) -> None:
    written = text_header("Subject", value)
    assert written.isascii()
    assert written.endswith(b"\r\n")
    lines = written[:-2].split(b"\r\n")
    assert all(len(line) <= 76 for line in lines)
    assert all(line.startswith(b" ") for line in lines[1:])


@given(WORDS.filter(lambda text: "\t" not in text and text))
def test_text_that_looks_encoded_or_spaced_comes_back_as_it_was(value: str) -> None:
    raw = message_from_bytes(a_message(text_header("Subject", value)))["Subject"]
    assert str(make_header(decode_header(re.sub(r"\r?\n(?=[ \t])", "", raw)))) == value


@given(ANY_TEXT)
def test_any_display_name_comes_back_whole(display: str) -> None:
    (mailbox,) = parse(a_message(address_header("From", "desk@example.com", display)))["From"].addresses
    assert mailbox.addr_spec == "desk@example.com"
    assert _squeezed(mailbox.display_name) == _squeezed(display)


def _squeezed(text: str) -> str:
    """The standard library's address parser folds runs of spaces; which spaces there were is checked on raw headers."""
    return "".join(text.split())


@pytest.mark.parametrize("character", REFUSED)
def test_what_could_begin_a_header_or_turn_text_around_is_refused(character: str) -> None:
    writers: list[Callable[[str], bytes]] = [
        lambda value: text_header("Subject", value),
        lambda value: token_header("Subject", value),
        lambda value: address_header("Subject", f"{value}@example.com"),
        lambda value: address_header("Subject", f"desk@{value}.example.com"),
        lambda value: address_header("Subject", "desk@example.com", value),
    ]
    for write in writers:
        with pytest.raises(ValueError, match=r"^header Subject ") as raised:
            write(f"sec{character}ret")
        assert "sec" not in str(raised.value)


@pytest.mark.parametrize(
    "address",
    ["", "desk", "a b@example.com", "<a@example.com>", "a@b@c", "a,b@example.com", "a@", f"{'a' * 243}@example.com"],
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="valid address"):
        address_header("To", address)


def test_a_token_is_ascii_and_bounded() -> None:
    for value in ("", " ", "ñ", "a" * 901, "a  b"):
        with pytest.raises(ValueError, match="printable ASCII"):
            token_header("Date", value)


@pytest.mark.parametrize("display", ["Cedars-Sinai", 'Demo "Clinic", Inc.', "Clínica Ñandú", "back\\slash", "a" * 120])
def test_the_name_of_the_sender_is_written_as_each_kind_of_phrase(display: str) -> None:
    written = address_header("From", "desk@example.com", display)
    # Not the parser's own `addresses`: Python 3.11 puts a space between two encoded words of a phrase.
    phrase, address = parseaddr(str(make_header(decode_header(message_from_bytes(written)["From"]))))
    assert (phrase, address) == (display, "desk@example.com")
    assert max(map(len, written.split(b"\r\n"))) <= 76


def test_an_address_that_is_not_ascii_is_written_as_utf8() -> None:
    assert address_header("To", "señora@ejemplo.example") == "To: señora@ejemplo.example\r\n".encode()


@example("one\rtwo\r\nthree\n.\n \nFrom me \n", "x")
@given(BODY, st.text(max_size=50).filter(str.isprintable))
def test_any_body_comes_back_whole(text: str, html: str) -> None:
    content = a_message(text=text, html=html, calendar="BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n")
    parts = [part for part in message_from_bytes(content).walk() if not part.is_multipart()]
    plain, rich, calendar = (part.get_payload(decode=True) for part in parts)
    assert plain == _body(text)
    assert rich == _body(html)
    assert calendar == b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"


def _body(text: str) -> bytes:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n") + "\n"
    return lines.replace("\n", "\r\n").encode()


@given(BODY)
def test_a_message_is_short_ascii_lines_that_end_in_crlf(text: str) -> None:
    content = a_message(text=text, html="x" * 3000)
    assert content.isascii()
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", content)
    assert max(map(len, content.split(b"\r\n"))) <= 76


def test_a_body_cannot_end_its_part() -> None:
    boundary = message_from_bytes(a_message()).get_boundary()
    assert boundary
    content = a_message(text=f"before\n--{boundary}\n\nafter\n--{boundary}--\n")
    plain, _ = parse(content).iter_parts()
    assert "after" in plain.get_content()


def test_a_calendar_is_attached_beside_the_alternatives() -> None:
    with_file, without = parse(a_message(calendar="x\n")), parse(a_message())
    assert [part.get_content_type() for part in with_file.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "text/calendar",
    ]
    assert [part.get_content_type() for part in without.walk()] == ["multipart/alternative", "text/plain", "text/html"]
