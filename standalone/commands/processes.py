"""A service's own process, started by name."""

import importlib
from typing import Literal, NoReturn

import typer

Service = Literal["intake", "notifier"]


def run_process(service: Service, command: Literal["serve", "migrate"]) -> NoReturn:
    """What ``python -m services.<service> <command>`` does, in this process."""
    from services.intake.settings import IntakeSettings
    from services.notifier.settings import NotifierSettings
    from standalone.commands.environment import settings_of

    settings_of(IntakeSettings if service == "intake" else NotifierSettings)
    raise typer.Exit(importlib.import_module(f"services.{service}.__main__").main([command]))
