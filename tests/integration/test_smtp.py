"""Every row of the verdict table, against a server that misbehaves on command."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.notifier.smtp import Phase, Receipt, SmtpPool, Verdict
from tests.support.eventually import eventually
from tests.support.smtp_client import ANA, BOUNCE, CONTENT, pool_to, send_one
from tests.support.smtp_server import EXTENSIONS, Deed, SmtpServer
from tests.support.smtp_session import Step

ACCEPTED = Receipt(Verdict.ACCEPTED, Phase.DOT, 250, "2.0.0")


@pytest.fixture(params=["pipelined", "command by command"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[SmtpServer]:
    extensions = EXTENSIONS if request.param == "pipelined" else EXTENSIONS[1:]
    async with SmtpServer(extensions=extensions) as server:
        yield server


async def the_next_mail_is_accepted(pool: SmtpPool, server: SmtpServer) -> None:
    before = len(server.mails)
    assert await send_one(pool) == ACCEPTED
    assert len(server.mails) == before + 1


async def test_a_mail_arrives_byte_for_byte_with_one_sender_and_one_recipient(server: SmtpServer) -> None:
    content = b"Subject: Dots\r\n\r\n.\r\n..\r\n.a\r\n\r\n.\r\n"
    async with pool_to(server) as pool:
        assert await send_one(pool, content=content) == ACCEPTED
    (mail,) = server.mails
    assert (mail.sender, mail.recipients, mail.content) == (BOUNCE, (ANA,), content)


@pytest.mark.parametrize("step", ["mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize(("reply", "slow"), [("450 4.2.1 later", True), ("451 no", True), ("432 4.7.12 soon", False)])
async def test_4xx_is_not_sent_and_the_line_stays_of_use(
    server: SmtpServer, step: Step, reply: str, slow: bool
) -> None:
    server.script(step, reply)
    async with pool_to(server) as pool:
        receipt = await send_one(pool)
        assert (receipt.verdict, receipt.phase, receipt.code) == (Verdict.RETRY, step, int(reply[:3]))
        assert receipt.slow is slow
        assert server.mails == []
        await the_next_mail_is_accepted(pool, server)
    assert server.connections == 1


@pytest.mark.parametrize("step", ["mail", "rcpt", "data", "dot"])
async def test_5xx_is_refused_and_the_line_stays_of_use(server: SmtpServer, step: Step) -> None:
    server.script(step, "550 5.1.1 <ana@example.org> unknown")
    async with pool_to(server) as pool:
        receipt = await send_one(pool)
        assert receipt == Receipt(Verdict.REFUSED, Phase(step), 550, "5.1.1")
        assert receipt.suppress is (step == "rcpt")
        assert server.mails == []
        await the_next_mail_is_accepted(pool, server)
    assert server.connections == 1


async def test_a_refusal_in_several_lines_is_one_refusal(server: SmtpServer) -> None:
    server.script("greeting", "220 one\n220 two")
    server.script("rcpt", "550 5.1.1 no\n550 5.1.1 such\n550 5.1.1 user")
    async with pool_to(server) as pool:
        assert await send_one(pool) == Receipt(Verdict.REFUSED, Phase.RCPT, 550, "5.1.1")
        await the_next_mail_is_accepted(pool, server)


async def test_251_at_rcpt_is_an_acceptance(server: SmtpServer) -> None:
    server.script("rcpt", "251 2.1.5 will forward")
    async with pool_to(server) as pool:
        assert await send_one(pool) == ACCEPTED


@pytest.mark.parametrize("step", ["mail", "rcpt", "data", "dot"])
async def test_421_is_not_sent_and_closes_the_line(server: SmtpServer, step: Step) -> None:
    server.script(step, "421 4.3.2 closing")
    async with pool_to(server) as pool:
        receipt = await send_one(pool)
        assert receipt == Receipt(Verdict.RETRY, Phase(step), 421, "4.3.2")
        assert not receipt.slow
        await the_next_mail_is_accepted(pool, server)
    assert (server.connections, len(server.mails)) == (2, 1)


@pytest.mark.parametrize("step", ["mail", "rcpt", "data", "dot"])
async def test_421_closes_the_line_although_the_server_does_not(step: Step) -> None:
    async with SmtpServer(lingers=True) as server, pool_to(server) as pool:
        server.script(step, "421 4.3.2 closing")
        assert (await send_one(pool)).code == 421
        await the_next_mail_is_accepted(pool, server)
        assert "RSET" not in server.commands
        assert server.connections == 2


@pytest.mark.parametrize("step", ["mail", "rcpt", "data", "body"])
async def test_a_line_lost_before_the_dot_is_not_sent(server: SmtpServer, step: Step) -> None:
    server.script(step, Deed.DROP)
    async with pool_to(server) as pool:
        # Large enough not to fit into what the system takes from us before it learns that nobody reads.
        receipt = await send_one(pool, content=b"x" * 70 + b"\r\n" + b"y" * 16_000_000)
        assert receipt == Receipt(Verdict.RETRY, Phase.DATA if step == "body" else Phase(step))
        await the_next_mail_is_accepted(pool, server)
    assert len(server.mails) == 1


@pytest.mark.parametrize(("deed", "kept"), [(Deed.DROP, 0), (Deed.KEEP_AND_DROP, 1)])
async def test_a_line_lost_after_the_dot_is_uncertain_and_not_sent_again(
    server: SmtpServer, deed: Deed, kept: int
) -> None:
    server.script("dot", deed)
    async with pool_to(server) as pool:
        assert await send_one(pool) == Receipt(Verdict.UNCERTAIN, Phase.DOT)
    assert (len(server.mails), server.connections) == (kept, 1)


@pytest.mark.parametrize("step", ["mail", "rcpt", "data"])
async def test_silence_before_the_dot_is_not_sent(server: SmtpServer, step: Step) -> None:
    server.script(step, Deed.STALL)
    async with pool_to(server, command_seconds=0.2) as pool:
        assert await send_one(pool) == Receipt(Verdict.RETRY, Phase(step))
        assert server.connections == 1
        await the_next_mail_is_accepted(pool, server)
    assert server.connections == 2


async def test_silence_after_the_dot_is_uncertain_although_the_server_may_accept_later(server: SmtpServer) -> None:
    server.script("dot", Deed.STALL)
    async with pool_to(server, dot_seconds=0.2) as pool:
        assert await send_one(pool) == Receipt(Verdict.UNCERTAIN, Phase.DOT)
        assert server.mails == []
        server.release()
        await eventually(lambda: len(server.mails) == 1)
        await the_next_mail_is_accepted(pool, server)
    assert server.connections == 2


async def test_the_dot_has_its_own_patience() -> None:
    async with SmtpServer() as server, pool_to(server, command_seconds=0.1) as pool:
        server.script("dot", Deed.STALL)
        sending = asyncio.create_task(send_one(pool))
        await eventually(lambda: server.stalled)
        over = asyncio.get_running_loop().time() + 0.2
        await eventually(lambda: asyncio.get_running_loop().time() > over)
        server.release()
        assert await sending == ACCEPTED


@pytest.mark.parametrize(
    ("step", "verdict"), [("mail", Verdict.RETRY), ("rcpt", Verdict.RETRY), ("dot", Verdict.UNCERTAIN)]
)
@pytest.mark.parametrize("nonsense", ["250_what", "999 no class", "354 not now"])
async def test_an_answer_that_is_none_gives_the_line_up(
    server: SmtpServer, step: Step, verdict: Verdict, nonsense: str
) -> None:
    server.script(step, nonsense)
    async with pool_to(server) as pool:
        assert await send_one(pool) == Receipt(verdict, Phase(step))
        await the_next_mail_is_accepted(pool, server)
    assert server.connections == 2


async def test_a_go_ahead_after_a_refused_recipient_gets_a_lone_dot_and_nothing_of_the_mail() -> None:
    async with SmtpServer() as server, pool_to(server) as pool:
        server.script("rcpt", "550 5.1.1 unknown")
        server.script("data", "354 go ahead all the same")
        assert await send_one(pool) == Receipt(Verdict.REFUSED, Phase.RCPT, 550, "5.1.1")
        assert server.stray_bodies == [b""]
        assert server.mails == []
        await the_next_mail_is_accepted(pool, server)
        assert server.connections == 1


async def test_a_go_ahead_after_a_refused_sender_gets_no_lone_dot_for_that_would_send_an_empty_mail() -> None:
    async with SmtpServer() as server, pool_to(server) as pool:
        server.script("mail", "451 4.3.0 not now")
        server.script("rcpt", "250 2.1.5 fine")
        assert await send_one(pool) == Receipt(Verdict.RETRY, Phase.MAIL, 451, "4.3.0")
        await the_next_mail_is_accepted(pool, server)
        assert [mail.content for mail in server.mails] == [CONTENT]
        assert server.connections == 2


async def test_a_refused_recipient_stays_refused_though_the_line_is_lost_with_the_next_answer() -> None:
    async with SmtpServer() as server, pool_to(server) as pool:
        server.script("rcpt", "550 5.1.1 unknown")
        server.script("data", Deed.DROP)
        assert await send_one(pool) == Receipt(Verdict.REFUSED, Phase.RCPT, 550, "5.1.1")


async def test_a_server_which_cannot_reset_gets_a_new_line(server: SmtpServer) -> None:
    server.script("rcpt", "550 5.1.1 unknown")
    server.script("rset", "500 what")
    async with pool_to(server) as pool:
        assert (await send_one(pool)).verdict is Verdict.REFUSED
        await the_next_mail_is_accepted(pool, server)
    assert server.connections == 2


@pytest.mark.parametrize(
    ("reply", "verdict"), [("552 5.3.4 too big", Verdict.REFUSED), ("421 4.3.2 closing", Verdict.RETRY)]
)
async def test_an_answer_in_the_middle_of_the_body_ends_it_before_the_dot(
    server: SmtpServer, reply: str, verdict: Verdict
) -> None:
    server.script("body", reply)
    async with pool_to(server) as pool:
        receipt = await send_one(pool, content=b"z" * 16_000_000)
        assert (receipt.verdict, receipt.phase, receipt.code) == (verdict, Phase.DATA, int(reply[:3]))
        assert server.mails == []
        await the_next_mail_is_accepted(pool, server)
    assert server.connections == 2


async def test_a_server_that_reads_slowly_is_waited_for_and_the_dot_comes_last(server: SmtpServer) -> None:
    content = b"z" * 16_000_000 + b"\r\n"
    server.script("body", Deed.STALL)
    async with pool_to(server, command_seconds=0.3) as pool:
        assert await send_one(pool, content=content) == Receipt(Verdict.RETRY, Phase.DATA)
    server.release()
    async with pool_to(server, command_seconds=20) as pool:
        server.script("body", Deed.STALL)
        sending = asyncio.create_task(send_one(pool, content=content))
        await eventually(lambda: server.commands.count("DATA") == 2)
        server.release()
        assert await sending == ACCEPTED
    assert [len(mail.content) for mail in server.mails] == [len(content)]


async def test_a_mail_with_addresses_outside_ascii_is_sent_where_offered_and_refused_unasked_elsewhere() -> None:
    bjorn = "bjørn@exämple.org"
    async with SmtpServer() as server, pool_to(server) as pool:
        assert await send_one(pool, recipient=bjorn) == ACCEPTED
        assert server.mails[0].recipients == (bjorn,)
        assert server.mails[0].parameters == f"SIZE={len(CONTENT)} SMTPUTF8"
    async with SmtpServer(extensions=["PIPELINING"]) as server, pool_to(server) as pool:
        assert await send_one(pool, recipient=bjorn) == Receipt(Verdict.REFUSED, Phase.MAIL, None, "5.6.7")
        assert not any(command.startswith("MAIL") for command in server.commands)
        await the_next_mail_is_accepted(pool, server)


async def test_a_value_that_could_break_out_is_refused_before_a_byte_is_written(server: SmtpServer) -> None:
    async with pool_to(server) as pool, pool.connection() as connection:
        for sender, recipient, content in [
            (f"{BOUNCE}>\r\nRCPT TO:<eve@example.org", ANA, CONTENT),
            (BOUNCE, f"{ANA}\r\nDATA", CONTENT),
            (BOUNCE, ANA, b"a\r\n.\nMAIL FROM:<eve@example.org>\r\n"),
        ]:
            with pytest.raises(ValueError, match=r"character|CRLF"):
                await connection.send(sender, recipient, content)
        assert not any(command.startswith("MAIL") for command in server.commands)
        assert await connection.send(BOUNCE, ANA, CONTENT) == ACCEPTED
