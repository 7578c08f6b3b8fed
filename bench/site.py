"""Intake and notifier as processes on the given servers, as in production: each with a store and keys of its own."""

import json
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.spent import cpu_of
from chassis.api_keys import new_api_key
from chassis.heartbeats import Heartbeats
from chassis.publisher import Publisher
from chassis.sealing import Keyring, KeyringSettings
from chassis.settings import KafkaSettings, StoreSettings
from chassis.store import Store
from chassis.topics import apply as apply_topics
from schemas.registry import INTAKE_EVENTS
from schemas.topics import ALL_TOPICS, TOPICS
from services.notifier.arm import arm
from tests.support.cli import ring
from tests.support.eventually import eventually
from tests.support.installation import TENANT
from tests.support.installing import write_programs
from tests.support.processes import Service, ServiceProcess
from tests.support.stage import skip_what_others_left
from tests.support.stores import postgresql_schema

CONNECTIONS = 16


class Watched(ServiceProcess):
    """A service's process whose use of the machine is looked at."""

    __slots__ = ()

    @property
    def pid(self) -> int:
        """Of the running process; ``RuntimeError`` when there is none."""
        if self._process is None:
            raise RuntimeError(f"{self.service} doesn't run")
        return self._process.pid

    @property
    def cpu(self) -> float:
        """Processor seconds so far."""
        return cpu_of(self.pid)


@dataclass(frozen=True, slots=True, repr=False)
class Site:
    """What runs, and a key that may post."""

    kafka: KafkaSettings
    services: Mapping[Service, Watched]
    stores: Mapping[Service, StoreSettings]
    token: str
    contact: Keyring

    async def beat(self) -> None:
        """A heartbeat of intake's, which may not run: for an hour the notifier believes that it knows the truth."""
        source = "https://intake.example.org"
        [message] = Heartbeats([TOPICS[INTAKE_EVENTS]], source).messages(datetime.now(UTC), timedelta(0))
        publisher = Publisher(self.kafka)
        try:
            await publisher.publish_to_all(message)
        finally:
            await publisher.close()


@asynccontextmanager
async def site(smtp_port: int, *names: Service) -> AsyncIterator[Site]:
    """The named services, ready and reading, the notifier armed. Its program sends at any hour."""
    kafka = KafkaSettings(bootstrap=os.environ["TEST_KAFKA"])
    await apply_topics(kafka, ALL_TOPICS.values())
    await skip_what_others_left(kafka)
    token, key = new_api_key("bench", TENANT, None, ["publish"])
    contact = ring()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stores = {name: await stack.enter_async_context(postgresql_schema()) for name in names}
        env = _settings(folder, kafka, smtp_port, contact, f"[{key.model_dump_json()}]")
        services = {name: _process(name, env, stores[name], folder) for name in names}
        made = Site(kafka, services, stores, token, KeyringSettings.model_validate_json(contact).ring())
        for each in made.services.values():
            stack.push_async_callback(each.kill)
            await each.start()
        for each in made.services.values():
            await each.ready()
            await eventually(each.partitions, within=60)
        if "notifier" in names:
            await _arm(stores["notifier"])
        yield made


def _settings(
    folder: Path, kafka: KafkaSettings, smtp_port: int, contact: str, api_keys: str
) -> dict[Service, dict[str, str]]:
    """Beside the store: by service, without the prefix."""
    common = {"KAFKA__BOOTSTRAP": kafka.bootstrap, "KAFKA__INSTANCE": "bench", "STORE__MIGRATE_AT_START": "true"}
    common |= {"PROGRAMS": str(write_programs(folder / "programs", settle=0)), "MASTER": ring()}
    facts = ring()
    smtp = {"host": "127.0.0.1", "port": smtp_port, "tls": "none", "connections": CONNECTIONS}
    sends = {"SMTP": json.dumps(smtp), "ADDRESS_KEY": secrets.token_urlsafe(32)}
    return {
        "intake": common | {"CONTACT": contact, "FACTS": facts, "HTTP__API_KEYS": api_keys},
        "notifier": common | {"CONTACT": contact, **sends},
        "trials": common | {"FACTS": facts},
    }


def _process(name: Service, env: Mapping[Service, Mapping[str, str]], store: StoreSettings, folder: Path) -> Watched:
    where = {"STORE__URL": store.url, "STORE__SCHEMA": store.schema_name or ""}
    said = {f"{name.upper()}_{setting}": value for setting, value in {**env[name], **where}.items()}
    return Watched(name, said, folder / f"{name}.log")


async def _arm(settings: StoreSettings) -> None:
    store = Store(settings)
    async with store.write() as connection:
        await arm(connection, TENANT, datetime.now(UTC) - timedelta(days=1))
    await store.close()
