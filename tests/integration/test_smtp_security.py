"""TLS is verified, what was offered before it counts for nothing, and AUTH's failure is the relay's fault."""

from pathlib import Path

import pytest

from services.notifier.smtp import Phase, Receipt, SmtpPool, SmtpUnavailable, Tls, Verdict
from tests.support.certificates import Authority
from tests.support.smtp_client import pool_to, send_one, settings_for
from tests.support.smtp_server import Deed, SmtpServer

ACCEPTED = Receipt(Verdict.ACCEPTED, Phase.DOT, 250, "2.0.0")
LOGIN = {"username": "upright", "password": "s3cret-word"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def server_with(tls: Tls, authority: Authority, host: str = "127.0.0.1") -> SmtpServer:
    context = authority.server_context(host)
    return SmtpServer(implicit_tls=context) if tls is Tls.IMPLICIT else SmtpServer(starttls=context)


async def refusal(pool: SmtpPool) -> SmtpUnavailable:
    with pytest.raises(SmtpUnavailable) as caught:
        await send_one_raising(pool)
    return caught.value


async def send_one_raising(pool: SmtpPool) -> None:
    async with pool.connection():
        pass


@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.IMPLICIT])
async def test_mails_go_over_a_verified_line(tls: Tls, authority: Authority) -> None:
    async with server_with(tls, authority) as server, pool_to(server, tls=tls, ca_file=authority.ca_file) as pool:
        assert await send_one(pool) == ACCEPTED
        assert await send_one(pool, content=b"z" * 3_000_000) == ACCEPTED
        assert server.connections == 1
        assert [len(mail.content) for mail in server.mails] == [len(server.mails[0].content), 3_000_002]
        assert any(read.startswith(b"MAIL") and read.endswith(b"DATA\r\n") for read in server.reads)


@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.IMPLICIT])
@pytest.mark.parametrize("step", ["body", "dot"])
async def test_a_line_lost_under_tls_has_the_same_verdicts(tls: Tls, step: str, authority: Authority) -> None:
    async with server_with(tls, authority) as server, pool_to(server, tls=tls, ca_file=authority.ca_file) as pool:
        server.script("body" if step == "body" else "dot", Deed.DROP)
        expected = Receipt(Verdict.RETRY, Phase.DATA) if step == "body" else Receipt(Verdict.UNCERTAIN, Phase.DOT)
        assert await send_one(pool, content=b"z" * 16_000_000) == expected
        assert await send_one(pool) == ACCEPTED


@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.IMPLICIT])
async def test_an_unknown_authority_is_refused(tls: Tls, authority: Authority) -> None:
    async with server_with(tls, authority) as server, pool_to(server, tls=tls) as pool:
        refused = await refusal(pool)
        assert refused.receipt == Receipt(Verdict.UNSENT, Phase.CONNECT)
        assert "certificate" in str(refused)
        assert not any(command.startswith("MAIL") for command in server.commands)


@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.IMPLICIT])
async def test_a_certificate_for_another_host_is_refused(tls: Tls, authority: Authority) -> None:
    server = server_with(tls, authority, host="other.example.org")
    async with server, pool_to(server, tls=tls, ca_file=authority.ca_file) as pool:
        assert "not valid for" in str(await refusal(pool))


async def test_a_server_without_starttls_gets_no_mail(authority: Authority) -> None:
    async with SmtpServer() as server, pool_to(server, tls=Tls.STARTTLS, ca_file=authority.ca_file) as pool:
        assert (await refusal(pool)).receipt == Receipt(Verdict.UNSENT, Phase.CONNECT)
        assert server.mails == []


async def test_a_server_that_answers_starttls_with_no_gets_no_mail(authority: Authority) -> None:
    server = server_with(Tls.STARTTLS, authority)
    async with server, pool_to(server, tls=Tls.STARTTLS, ca_file=authority.ca_file) as pool:
        server.script("starttls", "454 4.7.0 not now")
        assert (await refusal(pool)).receipt == Receipt(Verdict.UNSENT, Phase.CONNECT, 454, "4.7.0")
        assert await send_one(pool) == ACCEPTED


@pytest.mark.parametrize(("before", "under_tls"), [(["PIPELINING"], ["SIZE 0"]), (["SIZE 0"], ["PIPELINING"])])
async def test_pipelining_counts_only_when_offered_under_tls(
    before: list[str], under_tls: list[str], authority: Authority
) -> None:
    context = authority.server_context()
    server = SmtpServer(starttls=context, extensions=before, extensions_under_tls=under_tls)
    async with server, pool_to(server, tls=Tls.STARTTLS, ca_file=authority.ca_file) as pool:
        assert await send_one(pool) == ACCEPTED
        in_one = [read for read in server.reads if read.startswith(b"MAIL") and read.endswith(b"DATA\r\n")]
        assert len(in_one) == ("PIPELINING" in under_tls)


@pytest.mark.parametrize("tls", [Tls.NONE, Tls.STARTTLS])
async def test_the_right_password_opens_the_line(tls: Tls, authority: Authority) -> None:
    server = SmtpServer(starttls=authority.server_context(), login=("upright", "s3cret-word"))
    async with server, pool_to(server, tls=tls, ca_file=authority.ca_file, **LOGIN) as pool:
        assert await send_one(pool) == ACCEPTED


async def test_a_wrong_password_is_the_relays_fault_and_nothing_is_said_of_it() -> None:
    async with SmtpServer(login=("upright", "another")) as server, pool_to(server, **LOGIN) as pool:
        refused = await refusal(pool)
        assert refused.receipt == Receipt(Verdict.UNSENT, Phase.AUTH, 535, "5.7.8")
        assert str(refused) == "auth: answered 535"
        assert refused.__cause__ is None


async def test_a_line_lost_during_auth_is_the_relays_fault() -> None:
    async with SmtpServer(login=("upright", "s3cret-word")) as server, pool_to(server, **LOGIN) as pool:
        server.script("auth", Deed.DROP)
        assert (await refusal(pool)).receipt == Receipt(Verdict.UNSENT, Phase.AUTH)


async def test_a_relay_without_auth_although_we_have_a_password_gets_no_mail() -> None:
    async with SmtpServer() as server, pool_to(server, **LOGIN) as pool:
        assert (await refusal(pool)).receipt == Receipt(Verdict.UNSENT, Phase.AUTH)


async def test_a_relay_that_wants_a_login_which_we_do_not_have_is_at_fault_and_no_attempt_counts() -> None:
    async with SmtpServer(login=("upright", "s3cret-word")) as server, pool_to(server) as pool:
        assert await send_one(pool) == Receipt(Verdict.UNSENT, Phase.AUTH, 530, "5.7.0")
        assert await send_one(pool) == Receipt(Verdict.UNSENT, Phase.AUTH, 530, "5.7.0")
        assert server.connections == 2
        assert "RSET" not in server.commands


def test_a_ca_file_that_is_not_there_is_noticed_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        SmtpPool(settings_for(SmtpServer(port=25), tls=Tls.STARTTLS, ca_file=tmp_path / "none.pem"))


def test_a_password_is_not_shown() -> None:
    settings = settings_for(SmtpServer(port=25), **LOGIN)
    assert "s3cret" not in f"{settings!r} {settings}"
