"""A coordinator's webhook on loopback: keeps each request whole, and answers as scripted, else 200.

async with HookServer() as hook:
    hook.script("500 Oops", "307 Away", None)       # None: no answer at all
    … POST {hook.url} …
    assert hook.got[0].headers["webhook-id"] == …
"""

import asyncio
import contextlib
import json
import ssl
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Got:
    """One request. Header names in lower case; ``raw`` is every byte."""

    path: str
    headers: dict[str, str]
    body: bytes
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class HookServer:
    """``url`` names the host ``name``; ``tls`` makes it HTTPS."""

    def __init__(self, tls: ssl.SSLContext | None = None, name: str = "127.0.0.1") -> None:
        self._tls, self._name = tls, name
        self._script: deque[str | None] = deque()
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()
        self.got: list[Got] = []

    @property
    def url(self) -> str:
        assert self._server is not None
        scheme = "https" if self._tls else "http"
        return f"{scheme}://{self._name}:{self._server.sockets[0].getsockname()[1]}/hook?key=of-the-coordinator"

    def script(self, *answers: str | None) -> None:
        """Answer the next requests with these status lines."""
        self._script.extend(answers)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._met, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        await self._server.wait_closed()

    def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.create_task(self._talk(reader, writer))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._answer(reader, writer)
        finally:
            writer.transport.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.got.append(Got(first.split(" ")[1], headers, body, head + body))
        status = self._script.popleft() if self._script else "200 OK"
        if status is None:
            await reader.read()  # until the client hangs up
            return
        away = f"Location: {self.url}/elsewhere\r\n" if status.startswith("3") else ""
        writer.write(f"HTTP/1.1 {status}\r\n{away}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
