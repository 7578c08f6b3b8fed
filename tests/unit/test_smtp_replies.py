"""Replies are read the same however the bytes are cut; nonsense is noticed and bounded."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.smtp.replies import Reply, ReplyParser, enhanced_of

STREAM = (
    b"250-2.1.0 first\r\n250 2.1.5 second\r\n"
    b"550-5.1.1 no such user\r\n550-5.7.1 ignored\r\n550 \r\n"
    b"354\r\n"
    b"421 4.3.2 closing\n"
    b"250 1.2.3 not a class\r\n"
)
REPLIES = [Reply(250, "2.1.0"), Reply(550, "5.1.1"), Reply(354, None), Reply(421, "4.3.2"), Reply(250, None)]


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_however_the_bytes_are_cut_the_replies_are_the_same(cuts: list[int]) -> None:
    parser = ReplyParser()
    edges = [0, *sorted(cuts), len(STREAM)]
    found = [reply for start, end in itertools.pairwise(edges) for reply in parser.feed(STREAM[start:end])]
    assert found == REPLIES
    assert not parser.garbled
    assert not parser.midway


@pytest.mark.parametrize("line", [b"hello\r\n", b"\r\n", b"25\r\n", b"250_ok\r\n", b"650 ok\r\n", b"150 ok\r\n"])
def test_a_line_which_is_no_reply_garbles_the_stream_but_keeps_what_came_before(line: bytes) -> None:
    parser = ReplyParser()
    assert parser.feed(b"250 ok\r\n" + line + b"250 never read\r\n") == [Reply(250, None)]
    assert parser.garbled
    assert parser.feed(b"250 never read\r\n") == []


@pytest.mark.parametrize("endless", [b"2" * 1000, b"250-more\r\n" * 100, b"250-\n" * 100])
def test_a_reply_without_an_end_is_given_up(endless: bytes) -> None:
    parser = ReplyParser()
    for _ in range(40_000 // len(endless)):
        parser.feed(endless)
    assert not parser.feed(endless)
    parser.feed(endless)
    assert parser.garbled


def test_half_a_reply_is_midway() -> None:
    parser = ReplyParser()
    parser.feed(b"250-one\r\n")
    assert parser.midway
    parser.feed(b"250 two\r\n")
    assert not parser.midway
    parser.feed(b"42")
    assert parser.midway


@given(st.binary(max_size=200))
def test_no_bytes_whatever_make_it_raise(data: bytes) -> None:
    ReplyParser().feed(data)


@pytest.mark.parametrize(
    ("code", "text", "enhanced"),
    [
        (550, b"5.1.1 unknown", "5.1.1"),
        (550, b"5.1.10", "5.1.10"),
        (550, b"4.1.1 another class", None),
        (550, b"5.1.1.9 no code", None),
        (550, b"unknown 5.1.1", None),
    ],
)
def test_an_enhanced_code_counts_only_at_the_start_and_in_its_class(
    code: int, text: bytes, enhanced: str | None
) -> None:
    assert enhanced_of(code, text) == enhanced
