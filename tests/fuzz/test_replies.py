"""Whatever a mail server says, one transaction has one sane verdict, soon, and the line is of use or closed."""

import asyncio
import socket
from collections.abc import Sequence
from random import Random

import pytest

from services.notifier.smtp import Phase, Receipt, Verdict
from services.notifier.smtp.settings import SmtpSettings, Tls
from services.notifier.smtp.transaction import transact
from services.notifier.smtp.transfer import Offers, Transfer
from services.notifier.smtp.wire import Wire
from tests.fuzz.amount import chances, time_limit
from tests.fuzz.shapes import text
from tests.fuzz.spoiling import cut

pytestmark = time_limit

MAIL = Transfer("desk@example.org", "ana@example.org", b"Subject: x\r\n\r\nHello\r\n")
SETTINGS = SmtpSettings(host="127.0.0.1", port=25, tls=Tls.NONE, command_seconds=0.02, dot_seconds=0.02)
USUAL = (b"250 2.1.0 ok\r\n", b"250 2.1.5 ok\r\n", b"354 go\r\n", b"250 2.0.0 taken\r\n", b"250 ok\r\n")
REPLIES = (
    *USUAL, b"421 4.3.2 closing\r\n", b"450 4.2.1 later\r\n", b"550 5.1.1 nobody\r\n", b"530 5.7.0 login\r\n",
    b"250-a\r\n",
    b"250-a\r\n250 b\r\n", b"999 x\r\n", b"100 x\r\n", b"250\n", b"\r\n", b"2", b"x" * 40_000, b"354 a\r\n250 b\r\n",
    b"\x00",
)  # fmt: skip


def said(chance: Random) -> list[bytes]:
    """What is answered to each piece that comes: the usual, spoilt here and there."""
    answers = list(USUAL)
    for _ in range(chance.randrange(3)):
        at = chance.randrange(len(answers))
        match chance.randrange(5):
            case 0:
                answers[at] = cut(chance, answers[at])
            case 1:
                answers[at] = chance.randbytes(chance.randrange(12))
            case 2:
                answers[at] = f"{chance.randrange(1000)}{text(chance, 9)}\r\n".encode("utf-8", "replace")
            case 3:
                answers[at] += chance.choice(REPLIES)
            case _:
                answers[at] = chance.choice(REPLIES)
    return answers[: chance.randrange(1, 6)] if chance.random() < 0.3 else answers


async def answer(line: socket.socket, answers: Sequence[bytes]) -> None:
    """One for each piece, then the line is closed."""
    loop = asyncio.get_running_loop()
    try:
        for each in answers:
            if not await loop.sock_recv(line, 65_536):
                break
            await loop.sock_sendall(line, each)
    except ConnectionError:
        pass
    finally:
        line.close()


async def verdict(answers: Sequence[bytes], offers: Offers) -> tuple[Receipt, bool]:
    """What came of it, and whether the line is ready or closed."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
    wire = Wire(transport, offers)
    task = asyncio.create_task(answer(theirs, answers))
    try:
        receipt = await asyncio.wait_for(transact(wire, MAIL, SETTINGS), 4)
        return receipt, wire.ready or not wire.open
    finally:
        wire.abort()
        await task


@pytest.mark.parametrize("pipelining", [False, True])
async def test_a_transaction_has_one_sane_verdict_whatever_is_answered(pipelining: bool) -> None:
    for chance in chances(f"replies {pipelining}"):
        answers = said(chance)
        if pipelining:
            answers = [b"".join(answers[:3]), *answers[3:]]
        receipt, usable = await verdict(answers, Offers(pipelining=pipelining))
        assert usable, answers
        assert is_sane(receipt, b"".join(answers)), (receipt, answers)


def is_sane(receipt: Receipt, heard: bytes) -> bool:
    """A mail is sent only by a 2xx after the dot, whose go-ahead was heard; uncertain only after the dot."""
    code = receipt.code or 0
    match receipt.verdict:
        case Verdict.ACCEPTED:
            return receipt.phase is Phase.DOT and code // 100 == 2 and heard.find(b"354") >= 0
        case Verdict.UNCERTAIN:
            return receipt.phase is Phase.DOT and b"354" in heard
        case Verdict.REFUSED:
            return code // 100 == 5
        case Verdict.RETRY:
            return code // 100 == 4 or (receipt.code is None and receipt.phase is not Phase.DOT)
        case _:
            return code == 530
