"""A few connections to the relay, made when they are first needed and replaced before they grow old.

Guarantees: never more than ``connections`` at once; a mail is never begun on a line that is closed or on which the
server spoke unasked; a transaction that is cancelled closes its line, so half of it can't end up in the next.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .opening import open_wire
from .receipts import Phase, Receipt, SmtpUnavailable, lost
from .settings import SmtpSettings
from .transaction import transact
from .transfer import Transfer
from .wire import Wire


class Connection:
    """One place in the pool and the line it holds, if any. Use it from one task at a time."""

    def __init__(self, settings: SmtpSettings, context: ssl.SSLContext | None) -> None:
        self._settings = settings
        self._context = context
        self._wire: Wire | None = None
        self._mails = 0
        self._opened_at = 0.0

    async def make_ready(self) -> Wire:
        """The line, replaced if it is closed, was spoken on unasked, or is spent. Raises ``SmtpUnavailable``."""
        if self._wire is not None and self._wire.ready and not self._spent:
            return self._wire
        await self.quit()
        self._wire = await open_wire(self._settings, self._context)
        self._mails, self._opened_at = 0, asyncio.get_running_loop().time()
        return self._wire

    async def send(self, sender: str, recipient: str, content: bytes) -> Receipt:
        """Exactly one transaction; never raises for what a server does.

        ``content`` is the whole message with CRLF line ends. ``ValueError`` for an address or content that could
        break out of its place, before anything is written. A reused line which the server closes before its answer to
        MAIL is replaced once: servers part with idle clients, and nothing was handed over.
        """
        mail = Transfer(sender, recipient, content)
        try:
            wire = await self.make_ready()
            reused = self._mails > 0
            receipt = await self._transact(wire, mail)
            if reused and wire.dropped and receipt == lost(Phase.MAIL):
                receipt = await self._transact(await self.make_ready(), mail)
        except SmtpUnavailable as unavailable:
            return unavailable.receipt
        return receipt

    async def quit(self) -> None:
        """Part from the server. The place stays usable."""
        wire, self._wire = self._wire, None
        if wire is not None:
            await wire.quit()

    @property
    def _spent(self) -> bool:
        age = asyncio.get_running_loop().time() - self._opened_at
        return self._mails >= self._settings.recycle_after_mails or age >= self._settings.recycle_after_seconds

    async def _transact(self, wire: Wire, mail: Transfer) -> Receipt:
        self._mails += 1
        try:
            return await transact(wire, mail, self._settings)
        except BaseException:
            wire.abort()
            raise


class SmtpPool:
    """Connections to one relay. Making it connects nowhere; a CA file that can't be read is an ``OSError``."""

    def __init__(self, settings: SmtpSettings) -> None:
        self._slots = asyncio.Semaphore(settings.connections)
        context = settings.tls_context()
        self._idle = [Connection(settings, context) for _ in range(settings.connections)]
        self._closed = False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection that is ready now, waited for while all are in use. Raises ``SmtpUnavailable``."""
        async with self._slots:
            if self._closed:
                raise RuntimeError("the pool is closed")
            connection = self._idle.pop()
            try:
                await connection.make_ready()
                yield connection
            finally:
                self._idle.append(connection)
                if self._closed:
                    await connection.quit()

    async def close(self) -> None:
        """Part from the server; a connection still in use does so when it is put back."""
        self._closed = True
        await asyncio.gather(*(connection.quit() for connection in self._idle))
