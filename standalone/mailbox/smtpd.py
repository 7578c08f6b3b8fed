"""The SMTP side: one ``aiosmtpd`` session per connection, on the running loop, for UTF-8 addresses and pipelining."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from aiosmtpd.smtp import MISSING, SMTP, Envelope, Session

logging.getLogger("mail.log").setLevel(logging.WARNING)  # below that, aiosmtpd logs every address and every line

Accept = Callable[[str, list[str], bytes], object]


class SmtpSession(SMTP):
    """A session that enters itself in ``open_sessions``, so that stopping can drop it."""

    def __init__(self, handler: Handler, open_sessions: set[SmtpSession]) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(handler, enable_SMTPUTF8=True, hostname="mailbox.localhost", ident="mailbox", loop=loop)
        self._open_sessions = open_sessions

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._open_sessions.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._open_sessions.discard(self)
        super().connection_lost(error)

    def drop(self) -> None:
        """Cut the connection without a word."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()


class Handler:
    """What aiosmtpd asks (its ``handle_*`` hooks): refuse some recipients, accept mails."""

    def __init__(self, refusals: Mapping[str, str], accept: Accept) -> None:
        self._refusals = refusals
        self._accept = accept

    async def handle_EHLO(  # noqa: N802 - the name aiosmtpd looks for
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", responses[-1]]  # RFC 2920: the session reads line by line anyway

    async def handle_RCPT(  # noqa: N802 - the name aiosmtpd looks for
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> object:
        return self._refusals.get(address.lower(), MISSING)  # MISSING: aiosmtpd does its own part

    async def handle_DATA(  # noqa: N802 - the name aiosmtpd looks for
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        self._accept(envelope.mail_from or "", envelope.rcpt_tos, bytes(envelope.original_content or b""))
        return "250 2.0.0 Accepted"

    async def handle_exception(self, error: Exception) -> str:
        """A mail that couldn't be kept (a full disk) is the sender's to try again."""
        logging.getLogger(__name__).error("mail not kept", extra={"reason": type(error).__name__})
        return "451 4.3.0 The mailbox can't keep mail now"
