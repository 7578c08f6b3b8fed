"""The whole system in one process: broker, mailbox and the three services, each on a port and a store of its own.

Everything it keeps lies in one data folder: SQLite files, mails, and the keys made at the first start. Any part can be
stopped and started alone, as a deployment or a crash would.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from chassis.clock import CivilClock
from chassis.consumer import Consumer
from chassis.metrics import MetricsRegistry
from chassis.process import Service
from chassis.settings import HttpSettings, KafkaSettings, StoreSettings
from chassis.topics import apply as apply_topics
from schemas.program_checks import sound_programs
from schemas.programs import Program
from schemas.topics import ALL_TOPICS
from schemas.vocabulary_files import load_vocabularies
from services.intake.app import Intake
from services.intake.app import build as build_intake
from services.intake.settings import IntakeSettings
from services.notifier.app import Notifier
from services.notifier.app import build as build_notifier
from services.notifier.sender import Hook, nothing
from services.notifier.settings import NotifierSettings
from services.trials.app import Trials
from services.trials.app import build as build_trials
from services.trials.domain import Offer
from services.trials.settings import TrialsSettings
from standalone import arming
from standalone.broker import EmbeddedBroker, free_port
from standalone.keys import load_keys
from standalone.mailbox import Mailbox
from standalone.serving import Serving, listen
from standalone.waiting import until

Name = Literal["intake", "notifier", "trials"]
SERVICES: tuple[Name, ...] = ("intake", "notifier", "trials")
READY_WITHIN = 30.0
"""Seconds; the embedded broker takes about 3 to assign partitions."""


class NotReadyError(RuntimeError):
    """The services didn't come to stand at the end of their topics in time."""


@dataclass(frozen=True, slots=True)
class Outside:
    """Servers from outside instead of the embedded ones: ``stores`` by service."""

    kafka: KafkaSettings
    stores: Mapping[Name, StoreSettings]


class System:
    """``start`` it, use ``intake_url``, ``notifier_url`` and ``trials_url``, ``stop`` it."""

    def __init__(
        self,
        folder: Path,
        clock: CivilClock,
        *,
        simulated: bool = False,
        before_guard: Hook = nothing,
        ports: Mapping[Name, int] | None = None,
        outside: Outside | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder, self.clock, self.simulated, self.before_guard = folder, clock, simulated, before_guard
        self.programs: dict[str, Program] = sound_programs(demo=True)
        self.tenants = sorted({each.tenant for each in self.programs.values()})
        self.keys = load_keys(folder, self.tenants)
        self.broker = EmbeddedBroker(folder)
        self.mailbox = Mailbox(folder / "mails")
        self.registry = MetricsRegistry()
        self.ports: dict[Name, int] = {name: (ports or {}).get(name, 0) for name in SERVICES}
        self._outside = outside
        self._running: dict[Name, Serving] = {}

    async def start_broker(self) -> None:
        """The embedded broker, unless one from outside is used, and the topics. Raises ``BrokerUnavailableError``."""
        if self._outside is None:
            await self.broker.start()
        await apply_topics(self.kafka, ALL_TOPICS.values())

    async def start(self) -> None:
        """Broker, topics, mailbox, then the services. What was started is stopped again if something fails."""
        try:
            await self.start_broker()
            await self.mailbox.start()
            for name in SERVICES:
                await self.start_service(name)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """In reverse, each whatever became of the others; nothing is left behind."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.broker.stop)
            stack.push_async_callback(self.mailbox.stop)
            for name in SERVICES:
                stack.push_async_callback(self.stop_service, name)

    @property
    def kafka(self) -> KafkaSettings:
        if self._outside is not None:
            return self._outside.kafka
        return KafkaSettings(bootstrap=self.broker.bootstrap, embedded=True)

    @property
    def intake_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['intake']}"

    @property
    def notifier_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['notifier']}"

    @property
    def trials_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['trials']}"

    @property
    def intake(self) -> Intake:
        """Raises ``LookupError`` while it is stopped."""
        service = self._running["intake"].service
        assert isinstance(service, Intake)  # noqa: S101 - for the type alone
        return service

    @property
    def notifier(self) -> Notifier:
        """Raises ``LookupError`` while it is stopped."""
        service = self._running["notifier"].service
        assert isinstance(service, Notifier)  # noqa: S101 - for the type alone
        return service

    @property
    def trials(self) -> Trials:
        """Raises ``LookupError`` while it is stopped."""
        service = self._running["trials"].service
        assert isinstance(service, Trials)  # noqa: S101 - for the type alone
        return service

    def groups(self) -> set[str]:
        """The consumer groups of the services that run."""
        parts = [part for each in self._running.values() for part in each.service.parts]
        return {part.group for part in parts if isinstance(part, Consumer)}

    def runs(self, name: Name) -> bool:
        return name in self._running

    def staff_key(self, program: str) -> str:
        """The text of the API key for a program's tenant."""
        return self.keys.staff[self.programs[program].tenant]

    def second_key(self, program: str) -> str:
        """That of a second coordinator in the program's tenant."""
        return self.keys.second[self.programs[program].tenant]

    async def arm(self, at: datetime) -> None:
        """Be responsible for every tenant's mail from ``at`` on, unless it is armed already."""
        await arming.arm(self.notifier.store, self.tenants, at)

    async def failed(self) -> None:
        """Return once a part of a service has died."""
        waits = [asyncio.create_task(each.service.supervisor.wait_failed()) for each in self._running.values()]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def ready(self, within: float = READY_WITHIN) -> None:
        """Wait until everybody reads, and the notifier stands at the end of every partition and has heard intake."""
        if not await until(self._is_ready, within):
            raise NotReadyError(f"not ready within {within:.0f} s; see {self.folder}")

    async def _is_ready(self) -> bool:
        parts = [part for each in self._running.values() for part in each.service.parts]
        reads = all(part.status()["partitions"] for part in parts if isinstance(part, Consumer))
        return reads and await arming.is_fresh(self.notifier.store)

    # services

    async def start_service(self, name: Name) -> None:
        """Migrate its store, listen, start its parts. Nothing if it runs."""
        if name in self._running:
            return
        build: Mapping[Name, Callable[[], Service]] = {
            "intake": self._build_intake, "notifier": self._build_notifier, "trials": self._build_trials,
        }  # fmt: skip
        self._choose_ports()
        running = await listen(build[name](), f"services.{name}", self._http(name))
        self.ports[name], self._running[name] = running.port, running
        await running.service.supervisor.start()

    def _choose_ports(self) -> None:
        """For all: the links in mails name a service before it listens."""
        for each in SERVICES:
            while not self.ports[each]:
                port = free_port()
                self.ports[each] = 0 if port in self.ports.values() else port

    async def stop_service(self, name: Name) -> None:
        """As a rolling restart would: what is in flight is finished or given back. Nothing if it doesn't run."""
        if running := self._running.pop(name, None):
            await running.stop()

    def _http(self, name: Name) -> HttpSettings:
        return HttpSettings(port=self.ports[name], api_keys=self.keys.settings)

    def _common(self, name: Name) -> dict[str, Any]:
        own = StoreSettings(url=f"sqlite:///{self.folder / name}.db")
        return {
            "kafka": self.kafka,
            "store": self._outside.stores[name] if self._outside else own,
            "http": self._http(name),
            "master": self.keys.rings[f"{name}_master"],
        }

    def _build_intake(self) -> Intake:
        rings = {name: self.keys.rings[name] for name in ("contact", "facts")}
        settings = IntakeSettings.model_validate(self._common("intake") | rings)
        return build_intake(settings, self.clock, self.programs, self.registry)

    def _build_notifier(self) -> Notifier:
        smtp = {"host": "127.0.0.1", "port": self.mailbox.port, "tls": "none"}
        pages = {"public_url": self.notifier_url, "links": self.keys.rings["links"]}
        own = {
            "address_key": self.keys.address_key, "smtp": smtp, "contact": self.keys.rings["contact"], "pages": pages,
            "console_url": f"{self.trials_url}/trials",
        }  # fmt: skip
        settings = NotifierSettings.model_validate(self._common("notifier") | own)
        return build_notifier(
            settings, self.clock, self.programs, self.registry, simulated=self.simulated, before_guard=self.before_guard
        )

    def _build_trials(self) -> Trials:
        settings = TrialsSettings.model_validate(self._common("trials") | {"facts": self.keys.rings["facts"]})
        vocabularies = load_vocabularies(demo=True)
        offers = {code: Offer(each, vocabularies[code]) for code, each in self.programs.items()}
        return build_trials(settings, self.clock, offers, self.registry)
