"""The same transaction against a server that isn't ours."""

import asyncio

from aiosmtpd.smtp import SMTP, Envelope, Session

from services.notifier.smtp import Phase, SmtpPool, SmtpSettings, Tls, Verdict
from tests.support.smtp_client import ANA, BOUNCE


class Keeper:
    """aiosmtpd calls these by name."""

    def __init__(self) -> None:
        self.kept: list[tuple[str | None, list[str], object]] = []

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("nobody@"):
            return f"550 5.1.1 {address} unknown"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - see above
        self.kept.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.content))
        return "250 2.0.0 kept"


async def test_aiosmtpd_keeps_what_was_sent_and_refuses_whom_it_does_not_know() -> None:
    keeper = Keeper()
    content = "Subject: Hei\r\n\r\n.\r\n..dots and bjørn\r\n".encode()
    factory = lambda: SMTP(keeper, enable_SMTPUTF8=True, loop=asyncio.get_running_loop())  # noqa: E731 - a factory
    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0)
    pool = SmtpPool(SmtpSettings(host="127.0.0.1", port=server.sockets[0].getsockname()[1], tls=Tls.NONE))
    async with pool.connection() as connection:
        refused = await connection.send(BOUNCE, "nobody@example.org", content)
        accepted = await connection.send(BOUNCE, ANA, content)
        unicode = await connection.send(BOUNCE, "bjørn@example.org", content)
    await pool.close()
    server.close()
    await server.wait_closed()
    assert (refused.verdict, refused.phase, refused.code, refused.suppress) == (Verdict.REFUSED, Phase.RCPT, 550, True)
    assert [accepted.verdict, unicode.verdict] == [Verdict.ACCEPTED] * 2
    assert keeper.kept == [(BOUNCE, [ANA], content), (BOUNCE, ["bjørn@example.org"], content)]
