"""No secret of the settings stands in what a service says, at its most talkative and while nothing works."""

import base64
import os
import secrets
from pathlib import Path

import httpx2
import pytest
from sqlalchemy.engine import make_url

from tests.support.eventually import eventually
from tests.support.installing import write_programs
from tests.support.processes import Service, ServiceProcess

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif("TEST_POSTGRES" not in os.environ, reason="no TEST_POSTGRES"),
]
SERVICES: tuple[Service, ...] = ("intake", "notifier", "trials")


def canary() -> str:
    """Nothing else looks like it; 32 bytes, so it can be a key, too."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


class Secrets:
    """A service's settings, each secret its own canary."""

    def __init__(self, service: Service, programs: Path) -> None:
        self.all: list[str] = []
        self._prefix = f"{service.upper()}_"
        own = {
            "intake": {"MASTER": self.ring(), "CONTACT": self.ring(), "FACTS": self.ring(), "PROGRAMS": str(programs)},
            "notifier": {
                "MASTER": self.ring(), "CONTACT": self.ring(), "ADDRESS_KEY": self.new(), "PROGRAMS": str(programs),
                "SMTP__HOST": "127.0.0.1", "SMTP__PORT": "1", "SMTP__TLS": "none",
                "SMTP__USERNAME": "upright", "SMTP__PASSWORD": self.new(),
            },
            "trials": {"MASTER": self.ring(), "FACTS": self.ring(), "PROGRAMS": str(programs)},
        }[service]  # fmt: skip
        url = make_url(os.environ["TEST_POSTGRES"]).set(password=self.new())
        key = f'{{"id": "desk", "sha256": "{self.hash()}", "tenant": "cedars", "roles": ["staff"]}}'
        self.env = self._named({
            "KAFKA__BOOTSTRAP": os.environ.get("TEST_KAFKA_SASL", "127.0.0.1:1"), "KAFKA__SECURITY": "sasl_plaintext",
            "KAFKA__USERNAME": "intake", "KAFKA__PASSWORD": self.new(), "HTTP__API_KEYS": f"[{key}]",
            "STORE__URL": url.render_as_string(hide_password=False), "OBSERVABILITY__LOG_LEVEL": "debug", **own,
        })  # fmt: skip

    def new(self) -> str:
        self.all.append(canary())
        return self.all[-1]

    def hash(self) -> str:
        self.all.append(secrets.token_hex(32))
        return self.all[-1]

    def ring(self) -> str:
        return f'{{"active": "k1", "keys": {{"k1": "{self.new()}"}}}}'

    def broken(self) -> dict[str, str]:
        """Settings that make no sense, beside those that do."""
        more = {"SHUTDOWN_SECONDS": self.new(), "KAFKA__INSTANCE": f"/{self.new()}", "STORE__URL": f"x://{self.new()}"}
        return self.env | self._named(more | {"HTTP__API_KEYS": f"[{self.new()}", "STORE__SCHEMA": self.new()})

    def _named(self, settings: dict[str, str]) -> dict[str, str]:
        return {self._prefix + name: value for name, value in settings.items()}

    def shown(self, text: str) -> list[str]:
        """Those of them in ``text``, also as a URL has them."""
        return [each for each in self.all if each in text or each.replace("/", "%2F") in text]


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_says_no_secret_however_much_it_is_asked(service: Service, tmp_path: Path) -> None:
    settings = Secrets(service, write_programs(tmp_path / "programs"))
    process = ServiceProcess(service, settings.env, tmp_path / "log")
    headers = {"authorization": f"Bearer desk.{settings.new()}"}
    await process.start()
    said = ""
    try:
        async with httpx2.AsyncClient(base_url=process.url, headers=headers) as http:

            async def alive() -> bool:
                try:
                    return (await http.get("/livez")).status_code == 200
                except httpx2.TransportError:
                    return False

            await eventually(alive, within=60)
            for path in ("/readyz", "/status", "/metrics", "/openapi.json", "/v1/worklist", "/v1/trials", "/nowhere"):
                said += (await http.get(path)).text
            await eventually(lambda: len(process.log.read_text().splitlines()) > 10, within=20)
    finally:
        await process.kill()
    heard = process.log.read_text()
    assert '"level"' in heard
    assert settings.shown(said + heard) == []


@pytest.mark.parametrize("service", SERVICES)
async def test_settings_that_make_no_sense_are_named_and_not_shown(service: Service, tmp_path: Path) -> None:
    settings = Secrets(service, tmp_path)
    process = ServiceProcess(service, settings.broken(), tmp_path / "log")
    await process.start()
    try:
        await eventually(process.is_dead, within=60)
    finally:
        await process.kill()
    heard = process.log.read_text()
    assert "error" in heard.lower()
    assert settings.shown(heard) == []
