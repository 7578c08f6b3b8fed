"""Sets up an installation: settings as in production, a program that sends at any hour, soon after an edit."""

import secrets
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from chassis.api_keys import new_api_key
from chassis.settings import StoreSettings
from chassis.store import Store
from tests.support.cli import ring
from tests.support.installation import TENANT, Installation
from tests.support.poster import Poster
from tests.support.processes import ROOT, Service, ServiceProcess
from tests.support.servers import Pair
from tests.support.smtp_server import SmtpServer

ALWAYS = {"opens": "00:00", "closes": "23:59:59.999999"}
WINDOWS = {"care": ALWAYS, "trials": {**ALWAYS, "weekdays": [1, 2, 3, 4, 5, 6, 7]}}
SETTLE_SECONDS = 5


@asynccontextmanager
async def installed(
    pair: Pair, folder: Path, *, notifiers: int = 1, smtp_delay: float = 0.0, settle: int = SETTLE_SECONDS
) -> AsyncIterator[Installation]:
    """Nothing of it runs yet but PostgreSQL and the mail server. An error inside carries the ends of the logs.

    The mail server takes ``smtp_delay`` seconds for each answer; mails are due ``settle`` seconds after their event.
    """
    pair.up("postgres")
    async with SmtpServer(delay=smtp_delay) as smtp:
        made = _installation(_Site.found(pair, folder, settle), smtp, notifiers)
        try:
            yield made
        except BaseException as error:
            error.add_note(made.last_words())
            raise
        finally:
            for process in made.services:
                await process.kill()
            for store in made.stores.values():
                await store.close()


@dataclass(frozen=True, slots=True)
class _Site:
    """What all processes have in common, and who may post."""

    pair: Pair
    folder: Path
    programs: Path
    schemas: Mapping[Service, str]
    contact: str
    token: str
    api_keys: str

    @classmethod
    def found(cls, pair: Pair, folder: Path, settle: int) -> "_Site":
        schemas: dict[Service, str] = {"intake": f"i_{secrets.token_hex(4)}", "notifier": f"n_{secrets.token_hex(4)}"}
        token, setting = new_api_key("poster", TENANT, None, ["publish"])
        api_keys = f"[{setting.model_dump_json()}]"
        return cls(pair, folder, write_programs(folder / "programs", settle), schemas, ring(), token, api_keys)

    def store(self, service: Service) -> Store:
        return Store(StoreSettings(url=self.pair.postgres, schema=self.schemas[service], connections=2))

    def process(self, service: Service, instance: str, own: Mapping[str, str]) -> ServiceProcess:
        settings = {
            "KAFKA__BOOTSTRAP": self.pair.kafka.bootstrap,
            "KAFKA__INSTANCE": instance,
            "STORE__URL": self.pair.postgres,
            "STORE__SCHEMA": self.schemas[service],
            "STORE__MIGRATE_AT_START": "true",
            "PROGRAMS": str(self.programs),
            "CONTACT": self.contact,
            **own,
        }
        env = {f"{service.upper()}_{name}": value for name, value in settings.items()}
        return ServiceProcess(service, env, self.folder / f"{service}-{instance}.log")


def _installation(site: _Site, smtp: SmtpServer, notifiers: int) -> Installation:
    intake = site.process("intake", "a", {"MASTER": ring(), "FACTS": ring(), "HTTP__API_KEYS": site.api_keys})
    mail = {"SMTP__HOST": "127.0.0.1", "SMTP__PORT": str(smtp.port), "SMTP__TLS": "none"}
    own = mail | {"MASTER": ring(), "ADDRESS_KEY": secrets.token_urlsafe(32)}
    senders = [site.process("notifier", instance, own) for instance in "abc"[:notifiers]]
    stores = {"intake": site.store("intake"), "notifier": site.store("notifier")}
    return Installation(site.pair, smtp, intake, senders, Poster(intake.url, site.token), stores)


def write_programs(folder: Path, settle: int = SETTLE_SECONDS) -> Path:
    """One program as shipped, with the demo's values in the hospital's place."""
    shipped = ROOT / "programs"
    shutil.copytree(shipped / "cedars-sinai-csf", folder / "cedars-sinai-csf")
    shutil.copy(shipped / "policy.yaml", folder)
    values = yaml.safe_load((folder / "cedars-sinai-csf" / "demo.yaml").read_text())
    policy = {"settle": dict.fromkeys(("staff", "feed"), f"PT{settle}S"), "windows": WINDOWS}
    filled = {name: each["value"] for name, each in values.items()} | {"policy": policy}
    site = {name: {"value": value, "from": "hospital"} for name, value in filled.items()}
    (folder / "cedars-sinai-csf" / "site.yaml").write_text(yaml.safe_dump(site))
    return folder
