"""The process: ``python -m services.notifier serve`` or ``migrate``; settings from the environment (``NOTIFIER_…``)."""

import sys
from collections.abc import Sequence

from chassis.clock import SystemClock
from chassis.process import run
from schemas.program_checks import sound_programs
from services.notifier.app import Notifier, build
from services.notifier.settings import NotifierSettings


def start(settings: NotifierSettings) -> Notifier:
    """The service on the machine's clock, with the programs of its settings."""
    return build(settings, SystemClock(), sound_programs(settings.programs))


def main(arguments: Sequence[str]) -> int:
    """The exit status of ``serve`` or ``migrate``."""
    return run(arguments, "services.notifier", NotifierSettings, start)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
