"""An SMTP server that takes every mail as fast as Python can, in a process of its own: ``python -m bench.sink``.

It offers what relays usually offer, so that a client may pipeline; it keeps nothing but a count and, where it is asked
for, when each mail came.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

_EHLO = (
    b"250-sink\r\n250-PIPELINING\r\n250-SIZE 33554432\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 ENHANCEDSTATUSCODES\r\n"
)
_ANSWERS = {b"EHLO": _EHLO, b"DATA": b"354 go on\r\n", b"QUIT": b"221 2.0.0 bye\r\n"}
_END = b"\r\n.\r\n"


@dataclass(slots=True)
class Sink:
    """Where it listens, and the file with a line for each mail: recipient, and seconds of the monotonic clock."""

    port: int
    arrivals: Path | None

    @property
    def count(self) -> int:
        """How many mails were accepted; 0 without a file."""
        return self.arrivals.read_text().count("\n") if self.arrivals else 0

    def arrived(self) -> dict[str, float]:
        """When each recipient's first mail was accepted."""
        found: dict[str, float] = {}
        for line in self.arrivals.read_text().splitlines() if self.arrivals else []:
            recipient, _, at = line.partition(" ")
            found.setdefault(recipient, float(at))
        return found


class _Session(asyncio.Protocol):
    def __init__(self, arrivals: Path | None) -> None:
        self._kept = arrivals.open("a", buffering=1) if arrivals else None  # each mail is there at once
        self._buffer, self._in_body, self._recipient = b"", False, ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(b"220 sink\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        if self._kept:
            self._kept.close()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        out = []
        while (answer := self._next()) is not None:
            out.append(answer)
        self._transport.write(b"".join(out))

    def _next(self) -> bytes | None:
        """The answer to the next whole command or body; None while there is none."""
        end = self._buffer.find(_END if self._in_body else b"\r\n")
        if end < 0:
            return None
        if self._in_body:
            self._buffer, self._in_body = self._buffer[end + len(_END) :], False
            if self._kept:
                self._kept.write(f"{self._recipient} {time.monotonic()}\n")
            return b"250 2.0.0 taken\r\n"
        line, self._buffer = self._buffer[:end], self._buffer[end + 2 :]
        verb = line[:4].upper()
        self._in_body = verb == b"DATA"
        if verb == b"RCPT":
            self._recipient = line[line.find(b"<") + 1 : line.find(b">")].decode()
        return _ANSWERS.get(verb, b"250 2.0.0 fine\r\n")


async def _serve(arrivals: Path | None) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: _Session(arrivals), "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)  # ends with whoever started it


@asynccontextmanager
async def sink(arrivals: Path | None = None) -> AsyncIterator[Sink]:
    """A sink for the block."""
    asked = [str(arrivals)] if arrivals else []
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.sink", *asked, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    said, held = cast("asyncio.StreamReader", process.stdout), cast("asyncio.StreamWriter", process.stdin)
    try:
        yield Sink(int(await said.readline()), arrivals)
    finally:
        held.close()
        await process.wait()


if __name__ == "__main__":
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    if where:
        where.touch()
    asyncio.run(_serve(where))
