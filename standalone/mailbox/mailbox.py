"""The mailbox as one thing to start and stop. Every mail reaches it by SMTP, none by a shortcut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from standalone.mailbox.message import Message
from standalone.mailbox.smtpd import Handler, SmtpSession
from standalone.mailbox.store import Store


class Mailbox:
    """SMTP on ``127.0.0.1:port`` and the mails it accepted, oldest first; those of ``folder`` are there before start.

    ``port`` 0 takes a free one at the first start and keeps it across ``stop()`` and ``start()``.
    """

    def __init__(self, folder: Path | None = None, port: int = 0) -> None:
        self.port = port
        self._store = Store(folder)
        self._refusals: dict[str, str] = {}
        self._watchers: list[Callable[[Message], None]] = []
        self._server: asyncio.Server | None = None
        self._sessions: set[SmtpSession] = set()

    @property
    def messages(self) -> list[Message]:
        return self._store.messages

    @property
    def running(self) -> bool:
        """True while SMTP accepts connections; the pages live on without it."""
        return self._server is not None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen. Raises ``OSError`` if the port is taken. Nothing if it already listens."""
        if self._server is not None:
            return
        handler = Handler(self._refusals, self._accept)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SmtpSession(handler, self._sessions), host="127.0.0.1", port=self.port
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and cut open connections, as an outage would. The mails stay."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        for session in list(self._sessions):
            session.drop()
        await server.wait_closed()

    def get(self, message_id: str) -> Message | None:
        return next((message for message in self.messages if message.id == message_id), None)

    def clear(self) -> None:
        """Delete all mails, also their files."""
        self._store.clear()

    def refuse(self, address: str, reply: str) -> None:
        """Answer RCPT for this address (in any case) with ``reply``, such as ``550 5.1.1 No such mailbox``."""
        self._refusals[address.lower()] = reply

    def on_message(self, watcher: Callable[[Message], None]) -> None:
        """Call ``watcher`` on the loop after each accepted mail; its errors don't reach the SMTP client."""
        self._watchers.append(watcher)

    def _accept(self, sender: str, recipients: list[str], source: bytes) -> None:
        message = self._store.add(sender, recipients, source)
        for watcher in self._watchers:
            asyncio.get_running_loop().call_soon(watcher, message)
