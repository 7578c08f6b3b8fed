"""What commands take from the environment: settings, Kafka, and a service that is wired but not started."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from chassis import logs
from chassis.errors import ChassisError, Unavailable
from chassis.secret_files import SettingsWithSecretFiles
from chassis.settings import KafkaSettings, LogLevel, ObservabilitySettings
from chassis.store import is_outage
from schemas.yaml_files import ProgramFilesError
from services.intake.__main__ import start as start_intake
from services.intake.app import Intake
from services.intake.settings import IntakeSettings
from services.notifier.__main__ import start as start_notifier
from services.notifier.app import Notifier
from services.notifier.settings import NotifierSettings
from services.trials.__main__ import start as start_trials
from services.trials.app import Trials
from services.trials.settings import TrialsSettings
from standalone.commands.errors import AWAY, NO, WRONG, Failure

PREFIXES = ("UPRIGHT_", "INTAKE_", "NOTIFIER_", "TRIALS_")
"""Where Kafka's settings are looked for, in this order."""

ASKED = {
    "kafka": "Kafka doesn't answer. Is it running, and does the setting KAFKA__BOOTSTRAP name it?",
    "acls": "Kafka grants no rights. Has it an authorizer, and may this user alter ACLs?",
    "store": "The store doesn't answer. Is it running, and does the setting STORE__URL name it?",
}

REFUSED = {
    "no_such_letter": "There is no such letter.",
    "letter_closed": "This letter is closed already.",
    "not_used": "This service doesn't use such events.",
}

S = TypeVar("S", bound=BaseSettings)
T = TypeVar("T")


class _Environment(SettingsWithSecretFiles):
    model_config = SettingsConfigDict(
        extra="ignore", env_nested_delimiter="__", hide_input_in_errors=True, env_ignore_empty=True
    )

    kafka: KafkaSettings


def settings_of(kind: type[S], prefix: str | None = None) -> S:
    """A service's settings. ``Failure`` names the variables that are missing or wrong, and shows no value."""
    prefix = prefix if prefix is not None else str(kind.model_config.get("env_prefix", ""))
    try:
        return kind(_env_prefix=prefix)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        lines = [f"{_variable(prefix, each['loc'])}{each['msg'].removeprefix('Value error, ')}" for each in found]
        raise Failure("\n".join(["The settings in the environment aren't whole:", *lines]), WRONG) from None
    except SettingsError as error:
        raise Failure(f"A setting {prefix}... isn't JSON where it has to be: {error}", WRONG) from None


def _variable(prefix: str, where: tuple[int | str, ...]) -> str:
    name = "__".join(str(each) for each in where).upper()
    return f"  {prefix}{name}: " if name else "  "


def kafka_settings(bootstrap: str | None = None) -> KafkaSettings:
    """Of the option ``--kafka``, else of the environment."""
    if bootstrap is not None:
        return KafkaSettings(bootstrap=bootstrap)
    for prefix in PREFIXES:
        if any(name.startswith(f"{prefix}KAFKA__") for name in os.environ):
            return settings_of(_Environment, prefix).kafka
    raise Failure("Say where Kafka is: --kafka HOST:PORT, or UPRIGHT_KAFKA__BOOTSTRAP in the environment.", WRONG)


def is_set(prefix: str) -> bool:
    """Whether the environment has settings of the service with this prefix."""
    return any(name.startswith(prefix) for name in os.environ)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Do it; what may well happen (a server away, a table missing) is said as ``Failure``."""
    logs.configure(ObservabilitySettings(log_level=LogLevel.ERROR, log_json=False))
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it logs each try; the answer says it once
    try:
        return asyncio.run(work)
    except Failure:
        raise
    except Unavailable as error:
        raise Failure(ASKED.get(error.reason, f"Away: {error.reason}."), AWAY) from error
    except ChassisError as error:
        raise Failure(REFUSED.get(error.reason, f"Refused: {error.reason}."), NO) from error
    except ProgramFilesError as error:
        raise Failure(str(error), NO) from error
    except Exception as error:
        if _is_bare(error):
            raise Failure(
                "The store isn't migrated: run upright intake migrate, notifier migrate or trials migrate.", WRONG
            ) from error
        if is_outage(error):
            raise Failure(ASKED["store"], AWAY) from error
        raise


def _is_bare(error: Exception) -> bool:
    """Whether a table isn't there: SQLite's text, PostgreSQL's code (42P01)."""
    cause = getattr(error, "orig", None)
    return "no such table" in str(cause) or getattr(cause, "sqlstate", None) == "42P01"


@asynccontextmanager
async def intake() -> AsyncIterator[Intake]:
    """Wired as the service is, over its store; nothing of it runs."""
    service = start_intake(settings_of(IntakeSettings))
    try:
        yield service
    finally:
        await service.close()


@asynccontextmanager
async def notifier() -> AsyncIterator[Notifier]:
    """As ``intake``."""
    service = start_notifier(settings_of(NotifierSettings))
    try:
        yield service
    finally:
        await service.close()


@asynccontextmanager
async def trials() -> AsyncIterator[Trials]:
    """As ``intake``."""
    service = start_trials(settings_of(TrialsSettings))
    try:
        yield service
    finally:
        await service.close()
