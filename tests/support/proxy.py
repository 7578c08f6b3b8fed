"""A TCP line between a client and a server that can be cut, stalled, delayed and mended."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Proxy:
    """Listens on a loopback port of its own, the same after ``mend``; forwards to ``host:port``.

    A Kafka broker tells its clients where it is. With ``kafka`` its answers name the proxy instead: host and port stand
    together in them, and both are of the same length. Whatever comes through is ``delay`` seconds late.
    """

    def __init__(self, host: str, port: int, *, kafka: bool = False) -> None:
        self.host = "127.0.0.1"
        self.port = 0
        self.delay = 0.0
        self._target = (host, port)
        self._kafka = kafka
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    async def mend(self) -> None:
        """Listen (again) and forward everything."""
        self._flowing.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, self.host, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Close every connection; refuse new ones until ``mend``."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self._flowing.set()
        for line in list(self._lines):
            line.transport.abort()
        for pump in list(self._pumps):
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    def stall(self) -> None:
        """Connections stay open and nothing comes through, as with a silent firewall."""
        self._flowing.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        there, back = (writer, far_writer), (far_writer, writer)
        self._lines.update(there)
        pumps = {
            asyncio.create_task(self._pump(reader, back[0], rewrite=False)),
            asyncio.create_task(self._pump(far_reader, back[1], rewrite=self._kafka)),
        }
        self._pumps |= pumps
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        for line in there:
            line.close()
            with suppress(OSError):
                await line.wait_closed()
        self._pumps -= pumps
        self._lines.difference_update(there)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, rewrite: bool) -> None:
        with suppress(OSError):
            while chunk := await reader.read(65536):
                await self._flowing.wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
                writer.write(self._rewritten(chunk) if rewrite else chunk)
                await writer.drain()

    def _rewritten(self, chunk: bytes) -> bytes:
        host, port = self._target
        return chunk.replace(host.encode() + struct.pack(">i", port), self.host.encode() + struct.pack(">i", self.port))


@asynccontextmanager
async def proxied(address: str, *, kafka: bool = False) -> AsyncIterator[Proxy]:
    """A mended proxy to ``host:port``, cut at the end."""
    host, _, port = address.rpartition(":")
    proxy = Proxy(host, int(port), kafka=kafka)
    await proxy.mend()
    try:
        yield proxy
    finally:
        await proxy.cut()
