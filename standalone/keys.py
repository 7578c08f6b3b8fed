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

RINGS = ("intake_master", "notifier_master", "trials_master", "contact", "facts")
ROLES = ("staff", "publish", "operator", "coordinator")


@dataclass(frozen=True, slots=True)
class Keys:
    """``rings`` by name as settings take them; ``staff`` is the text of each tenant's API key."""

    rings: Mapping[str, dict[str, Any]]
    address_key: str
    staff: Mapping[str, str]
    settings: tuple[ApiKeySetting, ...]


def load_keys(folder: Path, tenants: Iterable[str]) -> Keys:
    """The folder's keys. A tenant that is new since the first start gets its key now."""
    file = folder / "keys.json"
    stored = json.loads(file.read_text("utf-8")) if file.exists() else _new_secrets()
    missing = sorted(set(tenants) - stored["staff"].keys())
    stored["staff"] |= {tenant: _new_staff_key(tenant) for tenant in missing}
    if missing:
        write_secret(file, json.dumps(stored))
    return Keys(
        rings={name: {"active": "k1", "keys": {"k1": key}} for name, key in stored["rings"].items()},
        address_key=stored["address_key"],
        staff={tenant: each["text"] for tenant, each in stored["staff"].items()},
        settings=tuple(ApiKeySetting.model_validate(each["setting"]) for each in stored["staff"].values()),
    )


def write_secret(file: Path, text: str) -> None:
    """Whole or not at all, and never readable by others, not even for a moment."""
    partial = file.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
        opened.write(text)
    partial.replace(file)


def _new_secrets() -> dict[str, Any]:
    rings = {name: base64.b64encode(secrets.token_bytes(32)).decode() for name in RINGS}
    return {"rings": rings, "address_key": secrets.token_urlsafe(32), "staff": {}}


def _new_staff_key(tenant: str) -> dict[str, Any]:
    text, setting = new_api_key(f"staff-{tenant}", tenant, roles=ROLES)
    return {"text": text, "setting": setting.model_dump(mode="json")}
