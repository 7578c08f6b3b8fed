"""A real SMTP server on loopback that misbehaves on command and keeps what it accepted.

    async with SmtpServer() as server:
        server.script("rcpt", "550 5.1.1 no such user")          # the next RCPT only
        server.script("dot", Deed.KEEP_AND_DROP, times=2)        # accept the mail, then hang up without an answer
        server.refuse("lars@example.org", "550 5.1.1 unknown")   # for ever, this recipient only
        … connect to 127.0.0.1:server.port …
        assert [mail.recipients for mail in server.mails] == [("ana@example.org",)]

Steps that can be scripted, in the order of a conversation: greeting, ehlo, starttls, auth, mail, rcpt, data, body
(after the 354, before the first byte is read), dot, rset, quit. The first rule that fits is used.
"""

import asyncio
import ssl
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from tests.support.smtp_session import Deed, Manners, ReceivedMail, Script, Session, Step

__all__ = ["EXTENSIONS", "Deed", "ReceivedMail", "SmtpServer"]

EXTENSIONS = ("PIPELINING", "SIZE 33554432", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")


class SmtpServer:
    """Use as an async context manager; or ``start`` and ``stop``, again and again on the same port.

    ``extensions_under_tls`` replaces ``extensions`` once the line is encrypted. ``login`` is (username, password) for
    AUTH PLAIN, then required. ``close_after`` hangs up on a connection after so many mails. ``delay`` (seconds) comes
    before every answer. After saying 421 it hangs up, unless it ``lingers``.
    """

    def __init__(
        self,
        *,
        extensions: Sequence[str] = EXTENSIONS,
        extensions_under_tls: Sequence[str] | None = None,
        starttls: ssl.SSLContext | None = None,
        implicit_tls: ssl.SSLContext | None = None,
        login: tuple[str, str] | None = None,
        close_after: int | None = None,
        delay: float = 0.0,
        lingers: bool = False,
        port: int = 0,
    ) -> None:
        encrypted = implicit_tls is not None
        self._manners = Manners(
            extensions, extensions_under_tls, starttls, encrypted, login, close_after, delay, lingers
        )
        self._implicit_tls = implicit_tls
        self._script = Script()
        self._sessions: dict[asyncio.Task[None], Session] = {}
        self._server: asyncio.Server | None = None
        self.port = port
        self.connections = 0  # ever made

    @property
    def mails(self) -> list[ReceivedMail]:
        """What was accepted, in order."""
        return self._script.mails

    @property
    def commands(self) -> list[str]:
        """Every command line, without AUTH's secret."""
        return self._script.commands

    @property
    def reads(self) -> list[bytes]:
        """What came off the line in one piece: shows what was pipelined."""
        return self._script.reads

    @property
    def stray_bodies(self) -> list[bytes]:
        """Bodies sent after a 354 although there was no recipient."""
        return self._script.stray_bodies

    @property
    def open_connections(self) -> int:
        """How many clients are connected now."""
        return len(self._sessions)

    @property
    def stalled(self) -> int:
        """How many conversations wait for ``release`` now."""
        return self._script.stalled

    def script(self, at: Step, answer: str | Deed, *, times: int | None = 1, recipient: str | None = None) -> None:
        """Answer the next ``times`` (None: all) of that step so; ``recipient`` limits it to mails for one address.

        A line feed in ``answer`` makes a multi-line reply, CR LF a second reply.
        """
        self._script.add(at, answer, times, recipient)

    def refuse(self, recipient: str, reply: str) -> None:
        """Answer every RCPT for ``recipient`` with ``reply``."""
        self.script("rcpt", reply, times=None, recipient=recipient)

    def behave(self) -> None:
        """Forget all rules."""
        self._script.rules.clear()

    def release(self) -> None:
        """Let all stalled conversations go on."""
        self._script.released.set()
        self._script.released = asyncio.Event()

    def say(self, reply: str) -> None:
        """Say something unasked on every open connection."""
        for session in self._sessions.values():
            session.write(reply)

    def hang_up(self) -> None:
        """Drop every open connection."""
        for session in self._sessions.values():
            session.writer.transport.abort()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._met, "127.0.0.1", self.port, ssl=self._implicit_tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections and drop those which are open. Mails and rules stay."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        self.hang_up()
        tasks = list(self._sessions)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        session = Session(self._manners, self._script, reader, writer)
        task = asyncio.create_task(session.run())
        self._sessions[task] = session
        task.add_done_callback(self._sessions.pop)
