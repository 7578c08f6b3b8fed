"""A service as its own process, as in production: ``python -m services.<name>``, settings in the environment."""

import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx2

from tests.support.eventually import eventually
from tests.support.servers import free_port

Service = Literal["intake", "notifier", "trials"]
GROUPS: Mapping[Service, str] = {
    "intake": "intake.outcomes", "notifier": "notifier.intake", "trials": "trials.intake",
}  # fmt: skip
ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0
STOP_SECONDS = 30.0
SHOWN_LINES = 60
NOISE = ('"logger": "aiokafka', '"event": "request"')


@dataclass(slots=True)
class ServiceProcess:
    """``env`` holds its settings; the port is its own at every start. What it logs goes on in one file.

    ``program`` is what ``python -m`` runs instead of the service as it is.
    """

    service: Service
    env: Mapping[str, str]
    log: Path
    port: int = field(default_factory=free_port)
    program: Sequence[str] = ()
    _process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def group(self) -> str:
        return GROUPS[self.service]

    async def start(self) -> None:
        """Only begin to."""
        port = {f"{self.service.upper()}_HTTP__PORT": str(self.port)}
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", *(self.program or (f"services.{self.service}", "serve")),
                cwd=ROOT, env={**self.env, **port}, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    async def stop(self) -> int:
        """SIGTERM, as a rolling restart; the exit status."""
        assert self._process is not None
        self._process.terminate()
        return await asyncio.wait_for(self._process.wait(), STOP_SECONDS)

    async def kill(self) -> None:
        """SIGKILL. Nothing if it has ended already."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def is_dead(self) -> bool:
        """Whether it has ended, however."""
        return self._process is not None and self._process.returncode is not None

    def pause(self) -> None:
        """SIGSTOP: alive to the broker for ten seconds, and doing nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """After ``pause``."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def answers(self, path: str) -> bool:
        """Whether ``/livez`` or ``/readyz`` says 200."""
        try:
            async with httpx2.AsyncClient() as http:
                return (await http.get(self.url + path)).status_code == 200
        except httpx2.TransportError:
            return False

    async def part(self, name: str) -> dict[str, Any]:
        """What ``/status`` shows of a part, such as ``relay``."""
        async with httpx2.AsyncClient() as http:
            parts: dict[str, dict[str, Any]] = (await http.get(f"{self.url}/status")).json()["parts"]
        return parts[name]

    async def partitions(self) -> set[int]:
        """Which partitions its consumer reads now."""
        return set((await self.part(f"consumer {self.group}"))["partitions"])

    async def ready(self) -> None:
        """Wait for ``/readyz``; not for the broker. Fails at once when the process ends instead."""
        await eventually(self._ready_or_dead, within=START_SECONDS)
        assert self._process is not None
        assert self._process.returncode is None, f"{self.service} ended by itself"

    async def _ready_or_dead(self) -> bool:
        ended = self._process is not None and self._process.returncode is not None
        return ended or await self.answers("/readyz")

    def last_words(self) -> str:
        """The end of its log, without requests and the Kafka client's laments, thirty a second in an outage."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        own = [each for each in lines if not any(noise in each for noise in NOISE)]
        return "\n".join([f"--- {self.log.name}, the last of {len(own)} lines", *own[-SHOWN_LINES:]])
