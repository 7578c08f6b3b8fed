"""An installation that is going to suffer: three services, up to two instances of each, on servers of its own.

Settings as in production but for shorter waits: edits settle in two seconds, caps and breakers are out of the way.
"""

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import func, select, update

from chassis.api_keys import new_api_key
from chassis.freshness import PARTITIONS
from chassis.outbox import unsent
from chassis.settings import StoreSettings
from chassis.store import Store, database_now, is_outage
from chassis.topics import apply as apply_topics
from schemas.topics import ALL_TOPICS
from services.intake import tables as intake
from services.notifier import tables as notifier
from services.notifier.arm import arm
from services.trials import tables as trials
from tests.support.cli import ring
from tests.support.eventually import eventually
from tests.support.processes import ROOT, Service, ServiceProcess
from tests.support.servers import Pair
from tests.support.smtp_server import SmtpServer

TENANT = "cedars"
SERVICES: Sequence[Service] = ("intake", "notifier", "trials")
TABLES: Mapping[Service, Any] = {"intake": intake, "notifier": notifier, "trials": trials}
PATIENCE = 120.0
ANSWER_SECONDS = 0.03
"""How long the mail server thinks before each answer, so that a random kill finds mails on the line."""

ALWAYS = {"opens": "00:00", "closes": "23:59:59.999999"}
POLICY = {
    "settle": {"staff": "PT2S", "feed": "PT2S"},
    "windows": {"care": {**ALWAYS}, "notices": {**ALWAYS}, "trials": {**ALWAYS, "weekdays": [1, 2, 3, 4, 5, 6, 7]}},
    "caps": {"per_day": 50, "per_week": 50, "breaker_per_24h": 100},
    "volume_per_hour": 1_000_000,
    "bundle": "PT0S",
    "late_booking": {"horizon": "PT0S", "min_gap": "PT0S", "too_late": "PT1M"},
    "steps": {"follow-up": {"video": {"steps": ["P2D", "PT2H"], "confirm_at": "P2D"}}},
    "last_until_video": "PT119M30S",  # a reminder is of use for half a minute
}
SMTP = {"CONNECT_SECONDS": "5", "COMMAND_SECONDS": "10", "DOT_SECONDS": "20"}


@dataclass(slots=True, repr=False)
class Site:
    """``instances`` by name, such as ``notifier-a``; ``stores`` are looked into from outside."""

    pair: Pair
    smtp: SmtpServer
    folder: Path
    token: str
    env: Mapping[Service, Mapping[str, str]]
    stores: Mapping[Service, Store]
    instances: dict[str, ServiceProcess] = field(default_factory=dict)

    def of(self, service: Service) -> list[ServiceProcess]:
        """Its instances, running or not."""
        return [each for each in self.instances.values() if each.service == service]

    def urls(self) -> list[str]:
        """Where events may be posted."""
        return [each.url for each in self.of("intake")]

    async def open(self) -> None:
        """Topics, one instance of each service, armed."""
        await eventually(self._has_topics, within=PATIENCE)
        await asyncio.gather(*(self.start(each) for each in SERVICES))
        async with self.stores["notifier"].write() as connection:
            await arm(connection, TENANT, datetime.now(UTC) - timedelta(days=1))
        await self.reading()

    async def _has_topics(self) -> bool:
        return (await apply_topics(self.pair.kafka, ALL_TOPICS.values())).usable

    async def start(
        self, service: Service, instance: str = "a", *, program: Sequence[str] = (), doomed: bool = False, **more: str
    ) -> ServiceProcess:
        """A new process under that name, ready unless it is ``doomed``; ``more`` are settings beside the usual,
        ``program`` is run instead.
        """
        name, prefix = f"{service}-{instance}", f"{service.upper()}_"
        own = {prefix + key: value for key, value in more.items() if not key.startswith("UPRIGHT_")}
        plain = {key: value for key, value in more.items() if key.startswith("UPRIGHT_")}
        env = {**self.env[service], f"{prefix}KAFKA__INSTANCE": instance, **own, **plain}
        process = ServiceProcess(service, env, self.folder / f"{name}.log", program=program)
        if before := self.instances.get(name):
            process.port = before.port
        self.instances[name] = process
        await process.start()
        if not doomed:
            await process.ready()
        return process

    async def restart(self, service: Service, *, program: Sequence[str] = (), **more: str) -> None:
        """Stop instance ``a`` in order, and start it with other settings."""
        await self.instances[f"{service}-a"].stop()
        await self.start(service, program=program, doomed=False, **more)

    async def retire(self, service: Service, instance: str) -> None:
        """Stop it for good."""
        await self.instances.pop(f"{service}-{instance}").stop()

    async def resurrect(self, service: Service, *, doomed: bool = False, **more: str) -> ServiceProcess:
        """After the death of its only instance: a new start, spared the minutes until the dead one's leases run out."""
        await eventually(lambda: self.answers(service), within=PATIENCE)
        async with self.stores[service].write() as connection:
            await connection.execute(update(TABLES[service].leases).values(until=database_now(-1)))
            if service == "notifier":
                held = notifier.deliveries.c.lease_until.is_not(None)
                await connection.execute(update(notifier.deliveries).where(held).values(lease_until=database_now(-1)))
        return await self.start(service, doomed=doomed, **more)

    async def answers(self, service: Service) -> bool:
        """Whether its store does."""
        try:
            await self.stores[service].ping()
        except Exception as error:
            if not is_outage(error):
                raise
            return False
        return True

    async def reading(self) -> None:
        """Wait until every instance has its share of intake's topic, and intake of the outcomes."""
        await eventually(self._all_is_shared, within=PATIENCE)

    async def _all_is_shared(self) -> bool:
        for service in SERVICES:
            shares = [await each.partitions() for each in self.of(service)]
            if sorted(chain(*shares)) != list(range(PARTITIONS)) or not all(shares):
                return False
        return True

    async def dead_letters(self) -> int:
        """In all services' tables."""
        found = 0
        for service, store in self.stores.items():
            async with store.read() as connection:
                count = select(func.count()).select_from(TABLES[service].consumer.dead_letters)
                found += (await connection.execute(count)).scalar_one()
        return found

    async def relayed(self) -> bool:
        """Whether all outboxes are empty."""
        for service, store in self.stores.items():
            async with store.read() as connection:
                if await unsent(connection, TABLES[service].outbox):
                    return False
        return True

    def last_words(self) -> str:
        """The ends of all logs."""
        return "\n".join(each.last_words() for each in self.instances.values())


@asynccontextmanager
async def opened(pair: Pair, folder: Path) -> AsyncIterator[Site]:
    """A site at work; everything of it is killed at the end."""
    await asyncio.to_thread(pair.up)
    schemas: dict[Service, str] = {each: f"{each}_{secrets.token_hex(3)}" for each in SERVICES}
    stores = {each: Store(StoreSettings(url=pair.postgres, schema=schemas[each], connections=2)) for each in SERVICES}
    token, setting = new_api_key("chaos", TENANT, None, ["publish"])
    async with SmtpServer(delay=ANSWER_SECONDS) as smtp:
        env = _environment(pair, smtp, folder, schemas, f"[{setting.model_dump_json()}]")
        site = Site(pair, smtp, folder, token, env, stores)
        try:
            await site.open()
            yield site
        except BaseException as error:
            error.add_note(site.last_words())
            raise
        finally:
            for process in site.instances.values():
                await process.kill()
            for store in stores.values():
                await store.close()


def _environment(
    pair: Pair, smtp: SmtpServer, folder: Path, schemas: Mapping[Service, str], api_keys: str
) -> dict[Service, dict[str, str]]:
    contact, facts = ring(), ring()
    mail = {"SMTP__HOST": "127.0.0.1", "SMTP__PORT": str(smtp.port), "SMTP__TLS": "none"}
    own: Mapping[Service, Mapping[str, str]] = {
        "intake": {"CONTACT": contact, "FACTS": facts, "HTTP__API_KEYS": api_keys},
        "notifier": {
            "CONTACT": contact, "ADDRESS_KEY": secrets.token_urlsafe(32), **mail,
            **{f"SMTP__{name}": value for name, value in SMTP.items()},
        },
        "trials": {"FACTS": facts},
    }  # fmt: skip
    programs = write_programs(folder / "programs")
    found: dict[Service, dict[str, str]] = {}
    for service in SERVICES:
        settings = {
            "KAFKA__BOOTSTRAP": pair.kafka.bootstrap, "STORE__URL": pair.postgres, "STORE__SCHEMA": schemas[service],
            "STORE__MIGRATE_AT_START": "true", "PROGRAMS": str(programs), "MASTER": ring(), **own[service],
        }  # fmt: skip
        found[service] = {f"{service.upper()}_{name}": value for name, value in settings.items()}
    return found


def write_programs(folder: Path) -> Path:
    """One program as shipped, with the demo's values in the hospital's place and the policy above."""
    shipped, code = ROOT / "programs", "cedars-sinai-csf"
    shutil.copytree(shipped / code, folder / code)
    shutil.copytree(shipped / "trials", folder / "trials")
    shutil.copy(shipped / "policy.yaml", folder)
    values = yaml.safe_load((folder / code / "demo.yaml").read_text())
    filled = {name: each["value"] for name, each in values.items()} | {"policy": POLICY}
    site = {name: {"value": value, "from": "hospital"} for name, value in filled.items()}
    (folder / code / "site.yaml").write_text(yaml.safe_dump(site))
    return folder
