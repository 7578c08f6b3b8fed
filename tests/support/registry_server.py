"""A server on loopback that plays ClinicalTrials.gov's API v2: pages of studies, and faults on command.

async with RegistryServer(studies) as server:
    server.script(Status("500 Oops"), cut, silence)         # the next three requests, in this order
    … GET {server.url}/studies?pageSize=10&pageToken=…
    assert [asked.get("pageToken") for asked in server.asked] == [None, …]
"""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

Answer = Callable[["RegistryServer", dict[str, str]], bytes | None]
"""The bytes to answer with before hanging up; None answers nothing until the client gives up."""


def http(status: str, body: bytes, *headers: str, length: int | None = None) -> bytes:
    """One answer, after which the line is closed; ``length`` may claim more bytes than come."""
    size = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {size}", "Connection: close"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


@dataclass(frozen=True, slots=True)
class Status:
    """An answer without a page; ``retry_after`` is sent as it is."""

    line: str
    retry_after: str | None = None

    def __call__(self, _server: "RegistryServer", _asked: dict[str, str]) -> bytes:
        headers = [] if self.retry_after is None else [f"Retry-After: {self.retry_after}"]
        return http(self.line, b"{}", *headers)


@dataclass(frozen=True, slots=True)
class Body:
    """This body with status 200."""

    body: bytes

    def __call__(self, _server: "RegistryServer", _asked: dict[str, str]) -> bytes:
        return http("200 OK", self.body)


def cut(server: "RegistryServer", asked: dict[str, str]) -> bytes:
    """The right page, cut in its middle."""
    body = server.page(asked)
    return http("200 OK", body[: len(body) // 2], length=len(body))


def silence(_server: "RegistryServer", _asked: dict[str, str]) -> None:
    """No answer at all."""


class RegistryServer:
    """``asked`` are the queries of all requests, ``times`` when they came (the loop's clock)."""

    def __init__(self, studies: Sequence[dict[str, Any]]) -> None:
        self._studies = studies
        self._script: deque[Answer] = deque()
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()
        self.asked: list[dict[str, str]] = []
        self.times: list[float] = []

    @property
    def url(self) -> str:
        """The base address."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/api/v2"

    def script(self, *answers: Answer) -> None:
        """Answer the next requests so, one each."""
        self._script.extend(answers)

    def page(self, asked: dict[str, str]) -> bytes:
        """The page that the real server would give; tokens are offsets in disguise."""
        start = int(asked.get("pageToken", "t0")[1:])
        end = start + int(asked["pageSize"])
        page: dict[str, Any] = {"studies": self._studies[start:end]}
        if end < len(self._studies):
            page["nextPageToken"] = f"t{end}"
        return json.dumps(page).encode()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._met, "127.0.0.1", 0)
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
                request = (await reader.readuntil(b"\r\n\r\n")).decode()
                answer = self._answer(request.split(" ")[1])
                if answer is None:
                    await reader.read()  # until the client hangs up
                else:
                    writer.write(answer)
                    await writer.drain()
        finally:
            writer.transport.close()

    def _answer(self, target: str) -> bytes | None:
        parts = urlsplit(target)
        if parts.path != "/api/v2/studies":
            return http("404 Not Found", b"{}")
        asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        self.asked.append(asked)
        self.times.append(asyncio.get_running_loop().time())
        if self._script:
            return self._script.popleft()(self, asked)
        return http("200 OK", self.page(asked))
