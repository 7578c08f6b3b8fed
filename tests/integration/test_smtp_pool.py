"""Connections: made when needed, replaced in time, never shared, never trusted after a surprise."""

import asyncio

import pytest

from services.notifier.smtp import Phase, Receipt, SmtpPool, SmtpUnavailable, Verdict
from tests.support.eventually import eventually
from tests.support.smtp_client import ANA, BOUNCE, CONTENT, pool_to, send_one, settings_for
from tests.support.smtp_server import Deed, SmtpServer
from tests.support.smtp_session import Step

ACCEPTED = Receipt(Verdict.ACCEPTED, Phase.DOT, 250, "2.0.0")


async def unavailable(pool: SmtpPool) -> SmtpUnavailable:
    with pytest.raises(SmtpUnavailable) as caught:
        async with pool.connection():
            pass
    return caught.value


async def test_nothing_connects_until_a_connection_is_needed_and_an_absent_relay_is_only_an_answer() -> None:
    server = SmtpServer()
    await server.start()
    await server.stop()
    async with pool_to(server) as pool:
        missing = await unavailable(pool)
        assert missing.receipt == Receipt(Verdict.UNSENT, Phase.CONNECT)
        assert str(missing) == "connect: ConnectionRefusedError"
        await server.start()
        assert await send_one(pool) == ACCEPTED
    await server.stop()


@pytest.mark.parametrize("step", ["greeting", "ehlo"])
@pytest.mark.parametrize(
    ("answer", "code", "enhanced"),
    [
        ("421 4.3.2 too busy", 421, "4.3.2"),
        ("450 later", 450, None),
        ("554 5.7.1 go away", 554, "5.7.1"),
        ("hello", None, None),
        (Deed.DROP, None, None),
        (Deed.STALL, None, None),
    ],
)
async def test_a_relay_that_does_not_begin_properly_is_unavailable(
    step: Step, answer: str | Deed, code: int | None, enhanced: str | None
) -> None:
    async with SmtpServer() as server, pool_to(server, connect_seconds=0.3) as pool:
        server.script(step, answer, times=2)
        assert (await unavailable(pool)).receipt == Receipt(Verdict.UNSENT, Phase.CONNECT, code, enhanced)
        server.behave()
        assert await send_one(pool) == ACCEPTED
        await eventually(lambda: answer is Deed.STALL or server.open_connections == 1)


async def test_a_relay_that_takes_its_time_over_every_answer_is_unavailable_when_all_together_take_too_long() -> None:
    async with SmtpServer(delay=0.2) as server, pool_to(server, connect_seconds=0.3) as pool:
        assert (await unavailable(pool)).receipt == Receipt(Verdict.UNSENT, Phase.CONNECT)


async def test_a_farewell_behind_the_last_answer_before_the_hand_over_is_seen() -> None:
    async with SmtpServer(login=("u", "p")) as server, pool_to(server, username="u", password="p") as pool:
        server.script("auth", "235 2.7.0 welcome\r\n421 4.3.2 closing")
        assert (await unavailable(pool)).receipt == Receipt(Verdict.UNSENT, Phase.CONNECT)
        assert await send_one(pool) == ACCEPTED


async def test_one_line_carries_many_mails_and_is_recycled_after_the_set_number() -> None:
    async with SmtpServer() as server, pool_to(server, recycle_after_mails=3) as pool:
        for _ in range(7):
            assert await send_one(pool) == ACCEPTED
        assert server.connections == 3
        assert server.commands.count("QUIT") == 2
        assert server.open_connections == 1


async def test_a_line_is_recycled_before_it_is_too_old() -> None:
    async with SmtpServer() as server, pool_to(server, recycle_after_seconds=1e-9) as pool:
        await send_one(pool)
        await send_one(pool)
        assert server.mails
        assert server.connections >= 2


async def test_a_line_that_is_held_is_recycled_too() -> None:
    async with SmtpServer() as server, pool_to(server, recycle_after_mails=2) as pool, pool.connection() as connection:
        for _ in range(4):
            assert await connection.send(BOUNCE, ANA, CONTENT) == ACCEPTED
        assert server.connections == 2


async def test_no_more_connections_than_set_and_everyone_gets_one() -> None:
    async with SmtpServer(delay=0.005) as server, pool_to(server, connections=3) as pool:
        receipts = await asyncio.gather(*(send_one(pool) for _ in range(20)))
        assert receipts == [ACCEPTED] * 20
        assert server.connections == 3


async def test_a_server_that_closes_after_each_mail_costs_no_attempt() -> None:
    async with SmtpServer(close_after=1) as server, pool_to(server) as pool:
        for _ in range(5):
            assert await send_one(pool) == ACCEPTED
        assert (server.connections, len(server.mails)) == (5, 5)


async def test_a_reused_line_that_is_closed_before_the_answer_to_mail_is_replaced_once() -> None:
    async with SmtpServer() as server, pool_to(server) as pool:
        await send_one(pool)
        server.script("mail", Deed.DROP)
        assert await send_one(pool) == ACCEPTED
        assert (server.connections, len(server.mails)) == (2, 2)
        server.script("mail", Deed.DROP, times=2)
        assert await send_one(pool) == Receipt(Verdict.RETRY, Phase.MAIL)
        assert server.connections == 3


@pytest.mark.parametrize(
    ("step", "verdict"), [("rcpt", Verdict.RETRY), ("data", Verdict.RETRY), ("dot", Verdict.UNCERTAIN)]
)
async def test_a_reused_line_that_is_closed_after_the_answer_to_mail_is_not_replaced(
    step: Step, verdict: Verdict
) -> None:
    async with SmtpServer() as server, pool_to(server) as pool:
        await send_one(pool)
        server.script(step, Deed.KEEP_AND_DROP)
        assert await send_one(pool) == Receipt(verdict, Phase(step))
        assert server.connections == 1


async def test_a_new_line_that_is_closed_before_the_answer_to_mail_is_not_replaced() -> None:
    async with SmtpServer() as server, pool_to(server) as pool:
        server.script("mail", Deed.DROP)
        assert await send_one(pool) == Receipt(Verdict.RETRY, Phase.MAIL)
        assert server.connections == 1


async def test_a_reused_line_that_falls_silent_is_not_replaced_for_the_guards_look_grows_old() -> None:
    async with SmtpServer() as server, pool_to(server, command_seconds=0.2) as pool:
        await send_one(pool)
        server.script("mail", Deed.STALL)
        assert await send_one(pool) == Receipt(Verdict.RETRY, Phase.MAIL)
        assert server.connections == 1


async def test_a_reused_line_lost_when_the_relay_is_gone_is_the_relays_fault() -> None:
    async with SmtpServer() as server, pool_to(server) as pool, pool.connection() as connection:
        await connection.send(BOUNCE, ANA, CONTENT)
        await server.stop()
        assert await connection.send(BOUNCE, ANA, CONTENT) == Receipt(Verdict.UNSENT, Phase.CONNECT)


@pytest.mark.parametrize("unasked", ["421 4.4.2 idle for too long", "250 2.0.0 hello", "250-half a", "25"])
async def test_what_a_server_says_unasked_is_never_taken_for_an_answer(unasked: str) -> None:
    async with SmtpServer() as server, pool_to(server) as pool, pool.connection() as connection:
        await connection.send(BOUNCE, ANA, CONTENT)
        server.say(unasked)
        await eventually(lambda: connection._wire is not None and not connection._wire.ready)
        server.script("dot", "451 4.3.0 later")
        assert (await connection.send(BOUNCE, ANA, CONTENT)).verdict is Verdict.RETRY
        assert server.connections == 2
        assert len(server.mails) == 1


async def test_an_extra_answer_behind_the_last_one_does_not_accept_the_next_mail() -> None:
    async with SmtpServer() as server, pool_to(server) as pool:
        server.script("dot", "250 2.0.0 accepted\r\n250 2.0.0 and again")
        assert await send_one(pool) == ACCEPTED
        server.script("mail", "550 5.7.1 no")
        assert (await send_one(pool)).verdict is Verdict.REFUSED
        assert server.connections == 2


@pytest.mark.parametrize("step", ["mail", "body", "dot"])
async def test_cancelling_a_transaction_closes_its_line(step: Step) -> None:
    async with SmtpServer() as server, pool_to(server, connections=1) as pool:
        server.script(step, Deed.STALL)
        sending = asyncio.create_task(send_one(pool, content=b"z" * 16_000_000))
        await eventually(lambda: server.stalled)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        server.release()
        assert await send_one(pool) == ACCEPTED
        assert server.connections == 2
        assert [mail.content for mail in server.mails][-1:] == [CONTENT]


async def test_cancelling_while_connecting_leaves_no_connection_behind() -> None:
    async with SmtpServer() as server, pool_to(server, connections=1) as pool:
        server.script("ehlo", Deed.STALL)
        sending = asyncio.create_task(send_one(pool))
        await eventually(lambda: server.commands)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        server.release()
        await eventually(lambda: server.open_connections == 0)
        assert await send_one(pool) == ACCEPTED


async def test_a_caller_who_changes_its_mind_costs_no_connection() -> None:
    async with SmtpServer() as server, pool_to(server, connections=1) as pool:
        for _ in range(3):
            async with pool.connection():
                pass
        assert await send_one(pool) == ACCEPTED
        assert server.connections == 1


async def test_closing_parts_politely_and_waits_for_who_is_still_sending() -> None:
    async with SmtpServer() as server, pool_to(server) as pool:
        await send_one(pool)
        async with pool.connection() as connection:
            await pool.close()
            assert await connection.send(BOUNCE, ANA, CONTENT) == ACCEPTED
        await eventually(lambda: server.open_connections == 0)
        assert server.commands[-1] == "QUIT"
        with pytest.raises(RuntimeError):
            async with pool.connection():
                pass


@pytest.mark.parametrize("answer", ["500 what", "nonsense", Deed.DROP])
async def test_a_server_that_does_not_let_us_go_is_left_anyway(answer: str | Deed) -> None:
    async with SmtpServer() as server:
        async with pool_to(server) as pool:
            await send_one(pool)
            server.script("quit", answer)
        await eventually(lambda: server.open_connections == 0)


def test_a_password_never_goes_over_an_open_line_to_another_machine() -> None:
    server = SmtpServer(port=25)
    with pytest.raises(ValueError, match="starttls"):
        settings_for(server, host="relay.example.org", username="u", password="p")
    with pytest.raises(ValueError, match="go together"):
        settings_for(server, username="u")
    assert settings_for(server, host="relay.example.org", tls="implicit", username="u", password="p").username == "u"


def test_a_lease_can_outlast_the_longest_send() -> None:
    settings = settings_for(SmtpServer(port=25), connect_seconds=1, command_seconds=10, dot_seconds=600)
    assert settings.longest_send_seconds == 661
