"""``upright`` as typed at a terminal, with an environment of its own, beside real services in the test's event loop."""

import asyncio
import base64
import json
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from chassis import logs
from chassis.decoding import Record
from chassis.settings import KafkaSettings, LogLevel, ObservabilitySettings
from standalone.cli import app


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str


class _Runner(CliRunner):
    """A command configures its process: the log goes back before the streams that it had are closed."""

    @contextmanager
    def isolation(self, *arguments: Any, **named: Any) -> Iterator[Any]:
        ours = sys.stderr
        with super().isolation(*arguments, **named) as streams:
            try:
                yield streams
            finally:
                logs.configure(ObservabilitySettings(log_level=LogLevel.DEBUG), ours)


@dataclass(frozen=True, slots=True)
class Terminal:
    """``env`` is what the commands find in their environment."""

    env: dict[str, str | None] = field(default_factory=dict)

    def run(self, *arguments: str, typed: str | bytes | None = None, **env: str) -> Said:
        with patch.dict(os.environ):  # a command may set variables of its process
            result = _Runner().invoke(app, list(arguments), input=typed, env={**self.env, **env})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    async def beside(self, *arguments: str, typed: str | bytes | None = None, **env: str) -> Said:
        """``run`` in a thread, while the test's own servers go on."""
        return await asyncio.to_thread(lambda: self.run(*arguments, typed=typed, **env))


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


def ring() -> str:
    return json.dumps({"active": "k1", "keys": {"k1": base64.b64encode(secrets.token_bytes(32)).decode()}})


def intake_env(folder: Path, kafka: KafkaSettings | None = None, api_keys: str = "[]") -> dict[str, str]:
    """Settings of an intake on SQLite in ``folder``."""
    rings = {f"INTAKE_{name}": ring() for name in ("MASTER", "CONTACT", "FACTS")}
    return _env("INTAKE", folder, kafka) | rings | {"INTAKE_HTTP__API_KEYS": api_keys}


def notifier_env(folder: Path, kafka: KafkaSettings | None = None) -> dict[str, str]:
    """Settings of a notifier on SQLite in ``folder``."""
    own = {"NOTIFIER_MASTER": ring(), "NOTIFIER_CONTACT": ring(), "NOTIFIER_ADDRESS_KEY": secrets.token_urlsafe(32)}
    smtp = {"NOTIFIER_SMTP__HOST": "127.0.0.1", "NOTIFIER_SMTP__PORT": "1", "NOTIFIER_SMTP__TLS": "none"}
    return _env("NOTIFIER", folder, kafka) | own | smtp


def _env(service: str, folder: Path, kafka: KafkaSettings | None) -> dict[str, str]:
    kafka = kafka or KafkaSettings(bootstrap="127.0.0.1:1", embedded=True)
    return {
        f"{service}_KAFKA__BOOTSTRAP": kafka.bootstrap,
        f"{service}_KAFKA__EMBEDDED": str(kafka.embedded).lower(),
        f"{service}_STORE__URL": f"sqlite:///{folder}/{service.lower()}.db",
    }


def example(name: str, **data: Any) -> Record:
    """A golden example as a record; ``data`` replaces some of its fields."""
    found: Mapping[str, Any] = json.loads((files("schemas") / "examples" / f"{name}.v1" / "1.json").read_text())
    headers = found["headers"]
    if "version" in data:
        headers |= {"ce_sequence": f"{data['version']:020}"}
    value = json.dumps(found["data"] | data).encode()
    pairs = tuple((header, text.encode()) for header, text in headers.items())
    return Record(found["topic"], 3, secrets.randbelow(10**9), 1, found["key"].encode(), pairs, value)
