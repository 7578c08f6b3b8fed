"""A service's own process, started by name."""

import importlib
from typing import Literal, NoReturn

import typer

Service = Literal["intake", "notifier", "trials"]


def run_process(service: Service, command: Literal["serve", "migrate"]) -> NoReturn:
    """What ``python -m services.<service> <command>`` does, in this process."""
    from chassis.settings import ServiceSettings
    from services.intake.settings import IntakeSettings
    from services.notifier.settings import NotifierSettings
    from services.trials.settings import TrialsSettings
    from standalone.commands.environment import settings_of

    kinds: dict[Service, type[ServiceSettings]] = {
        "intake": IntakeSettings, "notifier": NotifierSettings, "trials": TrialsSettings,
    }  # fmt: skip
    settings_of(kinds[service])
    raise typer.Exit(importlib.import_module(f"services.{service}.__main__").main([command]))
