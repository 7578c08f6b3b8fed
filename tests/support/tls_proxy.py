"""A server that speaks plainly, reached over TLS: what stands in front of it has the certificate."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.proxy import Proxy

_SSL_REQUEST = bytes.fromhex("0000000804d2162f")  # PostgreSQL's protocol, "SSLRequest"


class KafkaOverTls(Proxy):
    """A broker's clients begin with TLS at once."""

    def __init__(self, address: str, context: ssl.SSLContext) -> None:
        host, _, port = address.rpartition(":")
        super().__init__(host, int(port), kafka=True)
        self._context = context

    async def mend(self) -> None:
        self._flowing.set()
        self._server = await asyncio.start_server(self._serve, self.host, self.port, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]


class PostgresOverTls(Proxy):
    """A database's clients ask first; whoever doesn't is sent away."""

    def __init__(self, address: str, context: ssl.SSLContext) -> None:
        host, _, port = address.rpartition(":")
        super().__init__(host, int(port))
        self._context = context

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if await reader.readexactly(len(_SSL_REQUEST)) != _SSL_REQUEST:
                raise ConnectionError
            writer.write(b"S")
            await writer.start_tls(self._context)
        except (OSError, EOFError):
            writer.transport.abort()
            return
        await super()._serve(reader, writer)


@asynccontextmanager
async def mended(proxy: Proxy) -> AsyncIterator[Proxy]:
    """It listens, and is cut at the end."""
    await proxy.mend()
    try:
        yield proxy
    finally:
        await proxy.cut()
