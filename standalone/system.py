"""The whole system in one process on embedded defaults: broker, mailbox, intake and notifier, each on a free port.

Everything it keeps lies in one data folder: SQLite files, mails, and the keys made at the first start.
"""

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chassis.api_keys import new_api_key
from chassis.clock import CivilClock
from chassis.http_server import HttpServer
from chassis.metrics import MetricsRegistry
from chassis.migrations import migrate
from chassis.settings import ApiKeySetting, HttpSettings, KafkaSettings, StoreSettings
from chassis.topics import apply as apply_topics
from schemas.program_files import load_programs
from schemas.programs import Program
from schemas.topics import ALL_TOPICS
from services.intake.app import Intake
from services.intake.app import build as build_intake
from services.intake.settings import IntakeSettings
from services.notifier.app import Notifier
from services.notifier.app import build as build_notifier
from services.notifier.sender import Hook, nothing
from services.notifier.settings import NotifierSettings
from standalone.broker import EmbeddedBroker
from standalone.mailbox import Mailbox

RINGS = ("intake_master", "notifier_master", "contact", "facts")


@dataclass(frozen=True, slots=True)
class Keys:
    """Secrets of one data folder; ``staff`` is the text of each tenant's API key."""

    rings: Mapping[str, dict[str, Any]]
    address_key: str
    staff: Mapping[str, str]
    settings: tuple[ApiKeySetting, ...]


def load_keys(folder: Path, tenants: set[str]) -> Keys:
    """The folder's keys; made at the first start, readable by their owner alone."""
    file = folder / "keys.json"
    if not file.exists():
        made = {name: base64.b64encode(secrets.token_bytes(32)).decode() for name in RINGS}
        staff = {}
        for tenant in sorted(tenants):
            text, setting = new_api_key(f"staff-{tenant}", tenant, roles=("publish", "staff", "operator"))
            staff[tenant] = {"text": text, "setting": setting.model_dump(mode="json")}
        file.touch(mode=0o600)
        file.write_text(json.dumps({"rings": made, "address_key": secrets.token_urlsafe(32), "staff": staff}))
    stored = json.loads(file.read_text())
    return Keys(
        rings={name: {"active": "k1", "keys": {"k1": key}} for name, key in stored["rings"].items()},
        address_key=stored["address_key"],
        staff={tenant: each["text"] for tenant, each in stored["staff"].items()},
        settings=tuple(ApiKeySetting.model_validate(each["setting"]) for each in stored["staff"].values()),
    )


class System:
    """``start`` it, use ``intake_url`` and ``notifier_url``, ``stop`` it. A service can be stopped and started alone."""

    def __init__(
        self, folder: Path, clock: CivilClock, *, simulated: bool = False, before_guard: Hook = nothing
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.clock, self.simulated, self.before_guard = folder, clock, simulated, before_guard
        self.programs: dict[str, Program] = {code: each.program for code, each in load_programs(demo=True).items()}
        self.tenants = {each.tenant for each in self.programs.values()}
        self.keys = load_keys(folder, self.tenants)
        self.broker = EmbeddedBroker(folder)
        self.mailbox = Mailbox(folder / "mails")
        self.registry = MetricsRegistry()
        self.intake: Intake | None = None
        self.notifier: Notifier | None = None
        self._servers: dict[str, HttpServer] = {}
        self.ports: dict[str, int] = {"intake": 0, "notifier": 0}

    async def start(self) -> None:
        """Broker, topics, mailbox, then both services."""
        await self.broker.start()
        await apply_topics(self.kafka, ALL_TOPICS.values())
        await self.mailbox.start()
        await self.start_intake()
        await self.start_notifier()

    async def stop(self) -> None:
        """In reverse; nothing is left behind."""
        await self.stop_notifier()
        await self.stop_intake()
        await self.mailbox.stop()
        await self.broker.stop()

    @property
    def kafka(self) -> KafkaSettings:
        return KafkaSettings(bootstrap=self.broker.bootstrap, embedded=True)

    @property
    def intake_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['intake']}"

    @property
    def notifier_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['notifier']}"

    def _common(self, name: str) -> dict[str, Any]:
        return {
            "kafka": self.kafka,
            "store": StoreSettings(url=f"sqlite:///{self.folder / name}.db"),
            "http": HttpSettings(port=self.ports[name], api_keys=self.keys.settings),
            "contact": self.keys.rings["contact"],
        }

    async def start_intake(self) -> None:
        settings = IntakeSettings.model_validate(
            self._common("intake") | {"master": self.keys.rings["intake_master"], "facts": self.keys.rings["facts"]}
        )
        self.intake = build_intake(settings, self.clock, self.programs, self.registry)
        await migrate(self.intake.store, "services.intake")
        await self._listen("intake", self.intake.app, settings.http)
        await self.intake.supervisor.start()

    async def stop_intake(self) -> None:
        if self.intake:
            await self._servers.pop("intake").stop()
            await self.intake.supervisor.stop()
            await self.intake.close()
            self.intake = None

    async def start_notifier(self) -> None:
        smtp = {"host": "127.0.0.1", "port": self.mailbox.port, "tls": "none"}
        settings = NotifierSettings.model_validate(
            self._common("notifier")
            | {"master": self.keys.rings["notifier_master"], "address_key": self.keys.address_key, "smtp": smtp}
        )
        self.notifier = build_notifier(
            settings, self.clock, self.programs, self.registry, simulated=self.simulated, before_guard=self.before_guard
        )
        await migrate(self.notifier.store, "services.notifier")
        await self._listen("notifier", self.notifier.app, settings.http)
        await self.notifier.supervisor.start()

    async def stop_notifier(self) -> None:
        if self.notifier:
            await self._servers.pop("notifier").stop()
            await self.notifier.supervisor.stop()
            await self.notifier.close()
            self.notifier = None

    async def _listen(self, name: str, app: Any, http: HttpSettings) -> None:
        server = HttpServer(app, http)
        self._servers[name] = server
        self.ports[name] = await server.start()
