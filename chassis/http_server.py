"""Runs an ASGI application: alone, as a process which obeys signals (``serve``), or among others in one process.

``serve`` is the end of every service's ``__main__``: parts and server start, a signal or a dead part ends them, and all
of it is over inside the supervisor's deadline and the server's own.
"""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator

import structlog
import uvicorn
from starlette.types import ASGIApp

from chassis.settings import HttpSettings
from chassis.supervisor import Supervisor

log = structlog.get_logger(__name__)

GRACE_SECONDS = 5
"""How long requests in flight may take once the server stops."""


class _Quiet(uvicorn.Server):
    """Signals are the process's business, not one server's; ``ready`` says that it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


class HttpServer:
    """One listening application. ``died`` is set if it ends without being stopped."""

    def __init__(self, app: ASGIApp, settings: HttpSettings) -> None:
        self._settings = settings
        self._server = _Quiet(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,  # it would show paths
                server_header=False,
                proxy_headers=False,
                ws="none",
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self._task: asyncio.Task[None] | None = None
        self.died = asyncio.Event()

    async def start(self) -> int:
        """Listen, and return the port (a free one for port 0). ``OSError`` if the address is taken."""
        listening = socket.create_server((self._settings.host, self._settings.port), family=_family(self._settings))
        listening.setblocking(False)
        port = int(listening.getsockname()[1])
        self._task = asyncio.create_task(self._server.serve([listening]), name="http")
        self._task.add_done_callback(lambda _: self.died.set())
        ready = asyncio.create_task(self._server.ready.wait())
        await asyncio.wait([ready, self._task], return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._task.done():
            await self._task
        log.info("http_listening", host=self._settings.host, port=port)
        return port

    async def stop(self) -> None:
        """Take no more requests, finish those in flight within the grace, close."""
        if self._task is None:
            return
        self._server.should_exit = True
        await asyncio.wait([self._task])


def _family(settings: HttpSettings) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in settings.host else socket.AF_INET


async def serve(app: ASGIApp, settings: HttpSettings, supervisor: Supervisor) -> int:
    """Run until SIGINT or SIGTERM, or until something dies; the exit status: 0 if we were asked to end.

    A second signal ends the process at once.
    """
    server = HttpServer(app, settings)
    with _signals() as asked:
        await server.start()
        await supervisor.start()
        await _first(asked, supervisor.failed, server.died)
        log.info("stopping", asked=asked.is_set())
        await server.stop()
        await supervisor.stop()
    return 0 if asked.is_set() and not supervisor.failed.is_set() else 1


async def _first(*events: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


@contextlib.contextmanager
def _signals() -> Iterator[asyncio.Event]:
    loop, asked = asyncio.get_running_loop(), asyncio.Event()

    def ask(number: signal.Signals) -> None:
        asked.set()
        loop.remove_signal_handler(number)  # the next one has its usual effect

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ask, number)
    try:
        yield asked
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
