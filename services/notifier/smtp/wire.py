"""The line after aiosmtplib has handed it over: bytes out with back-pressure, whole replies in.

Guarantees that a reply is given to the command it belongs to or to nobody: whatever comes while nothing was asked
makes the line unfit for another mail.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from .replies import Reply, ReplyParser
from .transfer import Offers

_GOODBYE_SECONDS = 5.0


class LineLost(Exception):  # noqa: N818 - what happened on the line, not a mistake of ours
    """The line ended, spoke nonsense, or stayed silent for too long."""


class Wire(asyncio.Protocol):
    """One connection. Use it from one task at a time."""

    def __init__(self, transport: asyncio.Transport, offers: Offers) -> None:
        self.offers = offers
        self.dropped = False  # ended by the other side, not by us
        self._transport = transport
        self._parser = ReplyParser()
        self._replies: deque[Reply] = deque()
        self._open = True
        self._full = False
        self._gone = False
        self._news = asyncio.Event()
        # "Drained" is to mean that nothing is left here (1, because 0 makes asyncio's TLS pause with nothing to send).
        transport.set_write_buffer_limits(high=1, low=0)
        transport.set_protocol(self)

    @property
    def open(self) -> bool:
        """Whether a command can still be written."""
        return self._open and not self._transport.is_closing()

    @property
    def spoken(self) -> bool:
        """Whether the server said something that nobody has read yet."""
        return bool(self._replies) or self._parser.midway

    @property
    def ready(self) -> bool:
        """Whether a new mail may begin: open, and nothing unasked was said (a 421 before closing, for one)."""
        return self.open and not self.spoken

    def write(self, data: bytes) -> None:
        """Hand ``data`` to the transport."""
        if self.open:
            self._transport.write(data)

    async def push(self, data: bytes) -> None:
        """Write, then wait until all is out or the server speaks; ``LineLost`` when the line ends."""
        self.write(data)
        await self._until(lambda: not self._full or self.spoken)

    async def reply(self, seconds: float) -> Reply:
        """The next reply; one which came before the line ended still counts. ``LineLost`` otherwise."""
        try:
            async with asyncio.timeout(seconds):
                await self._until(lambda: bool(self._replies))
        except TimeoutError:
            raise LineLost from None
        return self._replies.popleft()

    async def quit(self) -> None:
        """Part politely, at most five seconds long; never raises for what the server does."""
        try:
            if self.ready:
                self.write(b"QUIT\r\n")
                await self.reply(_GOODBYE_SECONDS)
            self._transport.close()
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await self._until(lambda: self._gone)
        except (LineLost, TimeoutError):
            pass
        finally:
            self.abort()

    def abort(self) -> None:
        """End the line now. What isn't out yet is dropped."""
        self._open = False
        self._transport.abort()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            if not self._open:
                raise LineLost
            self._news.clear()
            await self._news.wait()

    def data_received(self, data: bytes) -> None:
        self._replies.extend(self._parser.feed(data))
        if self._parser.garbled:
            self.abort()
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.dropped = self._open
        self._open, self._gone = False, True
        self._news.set()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._news.set()
