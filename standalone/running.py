"""What other commands need to know of the system that runs from a data folder, kept there as ``running.json``.

``upright --data FOLDER …`` reads it: where the services are, their settings as in an environment, a key per tenant. It
holds secrets, so only its owner can read it.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from standalone.commands.errors import WRONG, Failure

if TYPE_CHECKING:
    from standalone.system import System

PATIENTS = "UPRIGHT_PATIENTS"
"""Names of the demo's patients with their ids, as JSON: a person at the terminal may say ``ana``."""


def write_running(folder: Path, system: "System", patients: Mapping[str, str] | None = None) -> None:
    """For a system on its embedded parts; ``folder`` is the one that people name."""
    from standalone.keys import write_secret

    names = {PATIENTS: json.dumps(patients)} if patients else {}
    content = {"variables": _variables(system) | names, "keys": dict(system.keys.staff)}
    write_secret(folder / "running.json", json.dumps(content, indent=1))


def _variables(system: "System") -> dict[str, str]:
    from standalone.system import SERVICES

    keys = system.keys
    found = {
        "UPRIGHT_INTAKE_URL": system.intake_url,
        "UPRIGHT_NOTIFIER_URL": system.notifier_url,
        "UPRIGHT_TRIALS_URL": system.trials_url,
        "INTAKE_CONTACT": json.dumps(keys.rings["contact"]),
        "INTAKE_FACTS": json.dumps(keys.rings["facts"]),
        "NOTIFIER_CONTACT": json.dumps(keys.rings["contact"]),
        "TRIALS_FACTS": json.dumps(keys.rings["facts"]),
        "NOTIFIER_ADDRESS_KEY": keys.address_key,
        "NOTIFIER_SMTP__HOST": "127.0.0.1",
        "NOTIFIER_SMTP__PORT": str(system.mailbox.port),
        "NOTIFIER_SMTP__TLS": "none",
    }
    for name in SERVICES:
        found |= {
            f"{name.upper()}_STORE__URL": f"sqlite:///{system.folder / name}.db",
            f"{name.upper()}_KAFKA__BOOTSTRAP": system.kafka.bootstrap,
            f"{name.upper()}_KAFKA__EMBEDDED": "true",
            f"{name.upper()}_HTTP__API_KEYS": json.dumps([each.model_dump(mode="json") for each in keys.settings]),
            f"{name.upper()}_MASTER": json.dumps(keys.rings[f"{name}_master"]),
        }
    return found


def use_running(folder: Path, tenant: str | None) -> None:
    """Put it into the environment; what is set there already stays. ``tenant`` None: the first by name."""
    try:
        content = json.loads((folder / "running.json").read_text("utf-8"))
    except (OSError, ValueError):
        raise Failure(f"Nothing runs from {folder}: start upright up --data {folder}", WRONG) from None
    keys = content["keys"]
    if tenant is not None and tenant not in keys:
        raise Failure(f"There is no tenant {tenant}. There are: {', '.join(sorted(keys))}", WRONG)
    for name, value in (content["variables"] | {"UPRIGHT_API_KEY": keys[tenant or min(keys)]}).items():
        os.environ.setdefault(name, value)


def named_patient(text: str) -> str:
    """The id of a patient of the demo by name; any other text as it is."""
    found: dict[str, str] = json.loads(os.environ.get(PATIENTS, "{}"))
    return found.get(text.lower(), text)
