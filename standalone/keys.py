"""Secrets of one data folder: made at the first start, kept, readable by their owner alone."""

import base64
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chassis.api_keys import new_api_key
from chassis.settings import ApiKeySetting

RINGS = ("intake_master", "notifier_master", "trials_master", "contact", "facts", "links")
ROLES = ("staff", "publish", "operator", "coordinator")


@dataclass(frozen=True, slots=True)
class Keys:
    """``rings`` by name as settings take them; ``staff`` is the text of each tenant's API key.

    ``second`` is that of a second coordinator's: whoever publishes a trial can't release its invitations.
    """

    rings: Mapping[str, dict[str, Any]]
    address_key: str
    staff: Mapping[str, str]
    second: Mapping[str, str]
    settings: tuple[ApiKeySetting, ...]


def load_keys(folder: Path, tenants: Iterable[str]) -> Keys:
    """The folder's keys. What is new since the first start (a tenant, a ring) gets its key now."""
    file = folder / "keys.json"
    stored = json.loads(file.read_text("utf-8")) if file.exists() else {}
    before = json.dumps(stored)
    _complete(stored, sorted(tenants))
    if json.dumps(stored) != before:
        write_secret(file, json.dumps(stored))
    return Keys(
        rings={name: {"active": "k1", "keys": {"k1": key}} for name, key in stored["rings"].items()},
        address_key=stored["address_key"],
        staff={tenant: each["text"] for tenant, each in stored["staff"].items()},
        second={tenant: each["text"] for tenant, each in stored["second"].items()},
        settings=tuple(
            ApiKeySetting.model_validate(each["setting"])
            for each in (*stored["staff"].values(), *stored["second"].values())
        ),
    )


def write_secret(file: Path, text: str) -> None:
    """Whole or not at all, and never readable by others, not even for a moment."""
    partial = file.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
        opened.write(text)
    partial.replace(file)


def _complete(stored: dict[str, Any], tenants: Iterable[str]) -> None:
    stored.setdefault("address_key", secrets.token_urlsafe(32))
    rings, staff, second = (stored.setdefault(name, {}) for name in ("rings", "staff", "second"))
    for name in RINGS:
        rings.setdefault(name, _new_key())
    for tenant in tenants:
        staff.setdefault(tenant, _new_api_key(f"staff-{tenant}", tenant, ROLES))
        second.setdefault(tenant, _new_api_key(f"coordinator-{tenant}", tenant, ("coordinator",)))


def _new_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _new_api_key(name: str, tenant: str, roles: Iterable[str]) -> dict[str, Any]:
    text, setting = new_api_key(name, tenant, roles=roles)
    return {"text": text, "setting": setting.model_dump(mode="json")}
