"""Opens a lab: settings as in production, a program that sends at any hour, the notifier armed."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiokafka import AIOKafkaProducer

from chassis.sealing import KeyringSettings
from chassis.settings import StoreSettings
from chassis.store import Store
from chassis.topics import apply as apply_topics
from schemas.topics import ALL_TOPICS
from services.notifier.arm import arm
from tests.support.cli import ring
from tests.support.eventually import eventually
from tests.support.installing import write_programs
from tests.support.lab import TABLES, Lab, Name
from tests.support.processes import ServiceProcess
from tests.support.research import KEY, beside
from tests.support.servers import Pair
from tests.support.smtp_server import SmtpServer


@asynccontextmanager
async def lab(pair: Pair, folder: Path) -> AsyncIterator[Lab]:
    """Both services at work and armed. An error inside carries the ends of their logs."""
    pair.up()
    await eventually(lambda: _usable(pair), within=60)
    contact = ring()
    common = {"PROGRAMS": str(write_programs(folder / "programs"))}
    links = {"PAGES__PUBLIC_URL": "https://messages.example.com", "PAGES__LINKS": ring()}
    stores = {name: StoreSettings(url=pair.postgres, schema=name, connections=2) for name in TABLES}
    async with (
        SmtpServer() as smtp,
        AIOKafkaProducer(
            bootstrap_servers=pair.kafka.bootstrap, acks="all", enable_idempotence=True, request_timeout_ms=90_000
        ) as producer,
        beside(stores["trials"], start=_a_minute_ago(), kafka=pair.kafka) as desk,
    ):
        mail = {"SMTP__HOST": "127.0.0.1", "SMTP__PORT": str(smtp.port), "SMTP__TLS": "none"}
        own = {"MASTER": ring(), "CONTACT": contact, "ADDRESS_KEY": secrets.token_urlsafe(32)}
        processes: dict[Name, ServiceProcess] = {
            "trials": _process(pair, folder, "trials", common | {"MASTER": json.dumps(KEY), "FACTS": json.dumps(KEY)}),
            "notifier": _process(pair, folder, "notifier", common | links | mail | own),
        }
        looked_into: dict[Name, Store] = {"trials": desk.trials.store, "notifier": Store(stores["notifier"])}
        keys = KeyringSettings.model_validate_json(contact).ring()
        made = Lab(pair, smtp, processes, looked_into, desk, keys, producer)
        beating = asyncio.create_task(made.beat())
        try:
            await _open(made)
            yield made
        except BaseException as error:
            for process in processes.values():
                error.add_note(process.last_words())
            raise
        finally:
            beating.cancel()
            with suppress(asyncio.CancelledError):
                await beating
            for process in processes.values():
                await process.kill()
            await looked_into["notifier"].close()


def _process(pair: Pair, folder: Path, name: Name, own: dict[str, str]) -> ServiceProcess:
    settings = {
        "KAFKA__BOOTSTRAP": pair.kafka.bootstrap, "KAFKA__INSTANCE": "a", "STORE__URL": pair.postgres,
        "STORE__SCHEMA": name, "STORE__MIGRATE_AT_START": "true", **own,
    }  # fmt: skip
    env = {f"{name.upper()}_{key}": value for key, value in settings.items()}
    return ServiceProcess(name, env, folder / f"{name}.log")


async def _open(made: Lab) -> None:
    for process in made.processes.values():
        await process.start()
    for process in made.processes.values():
        await process.ready()
    async with made.stores["notifier"].write() as connection:
        await arm(connection, made.desk.tenant, datetime.now(UTC) - timedelta(days=1))


def _a_minute_ago() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)


async def _usable(pair: Pair) -> bool:
    return (await apply_topics(pair.kafka, ALL_TOPICS.values())).usable
