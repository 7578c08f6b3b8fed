"""Nothing breaks out of its place on the line; parameters are given only where they were offered."""

import pytest

from services.notifier.smtp.receipts import Phase, Receipt, Verdict
from services.notifier.smtp.transfer import Offers, Transfer

EVERYTHING = Offers.read({"pipelining": "", "8bitmime": "", "smtputf8": "", "size": "1000"})
GOOD = "ana@example.org"
CONTENT = b"Subject: Hello\r\n\r\nHello\r\n"

EVIL = [
    "ana@example.org>\r\nRCPT TO:<eve@example.org",
    "ana@example.org\n",
    "ana\r@example.org",
    "ana\0@example.org",
    "ana\x7f@example.org",
    "ana\x85@example.org",
    "ana\u2028@example.org",
    "ana\u202e@example.org",
    "ana\u200b@example.org",
    "ana\ud800@example.org",
    "ana @example.org",
    "ana@example.org> SIZE=1",
    "<ana@example.org",
    "ana",
    "@example.org",
    "ana@",
    "",
]


@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize("role", ["sender", "recipient"])
def test_an_address_that_could_break_out_is_refused_and_not_repeated(evil: str, role: str) -> None:
    addresses = {"sender": GOOD, "recipient": GOOD, role: evil}
    with pytest.raises(ValueError, match=role) as refused:
        Transfer(**addresses, content=CONTENT)
    assert type(refused.value) is ValueError
    assert "ana" not in str(refused.value)


@pytest.mark.parametrize("content", [b"a\nb\r\n", b"a\rb\r\n", b"a\r\r\n", b"\n\r\n", b"a\r\n.\n", b"a\r"])
def test_content_with_a_bare_line_end_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="CRLF"):
        Transfer(GOOD, GOOD, content)


@pytest.mark.parametrize(
    ("content", "body"),
    [
        (b".\r\n", b"..\r\n"),
        (b"a\r\n.\r\n.\r\nb\r\n", b"a\r\n..\r\n..\r\nb\r\n"),
        (b"..a\r\nb.c\r\n", b"...a\r\nb.c\r\n"),
        (b"no end", b"no end\r\n"),
        (b"", b"\r\n"),
    ],
)
def test_dots_are_stuffed_and_the_last_line_ends(content: bytes, body: bytes) -> None:
    assert Transfer(GOOD, GOOD, content).body == body


def mail_command(transfer: Transfer, offers: Offers) -> bytes:
    return transfer.commands(offers)[0][1]


def test_parameters_are_given_where_needed_and_offered() -> None:
    transfer = Transfer("bounce@example.org", "bjørn@example.org", "é\r\n".encode())
    assert mail_command(transfer, EVERYTHING) == b"MAIL FROM:<bounce@example.org> SIZE=4 BODY=8BITMIME SMTPUTF8\r\n"
    plain = Transfer("bounce@example.org", GOOD, b"e\r\n")
    assert mail_command(plain, EVERYTHING) == b"MAIL FROM:<bounce@example.org> SIZE=3\r\n"
    assert mail_command(plain, Offers()) == b"MAIL FROM:<bounce@example.org>\r\n"


def test_an_address_outside_ascii_is_refused_where_the_server_cannot_take_it() -> None:
    transfer = Transfer(GOOD, "bjørn@example.org", CONTENT)
    assert transfer.impossible(Offers()) == Receipt(Verdict.REFUSED, Phase.MAIL, None, "5.6.7")
    assert transfer.impossible(EVERYTHING) is None


@pytest.mark.parametrize(("size", "refused"), [("24", True), ("25", False), ("0", False), ("", False), ("no", False)])
def test_the_servers_bound_on_size_is_respected(size: str, refused: bool) -> None:
    receipt = Transfer(GOOD, GOOD, CONTENT).impossible(Offers.read({"size": size}))
    assert receipt == (Receipt(Verdict.REFUSED, Phase.MAIL, None, "5.3.4") if refused else None)


def test_neither_repr_nor_str_shows_anything_of_a_mail() -> None:
    transfer = Transfer(GOOD, GOOD, CONTENT)
    assert "ana" not in f"{transfer!r} {transfer}"
    assert "Hello" not in f"{transfer!r} {transfer}"
