"""The notifier as its own process with a clock that is wrong: ``python -m tests.chaos.skewed 300`` (seconds ahead)."""

import sys
from datetime import datetime, timedelta

from chassis.clock import SystemClock
from chassis.process import run
from schemas.program_checks import sound_programs
from services.notifier.app import Notifier, build
from services.notifier.settings import NotifierSettings

AHEAD = timedelta(seconds=float(sys.argv[1]))


class SkewedClock:
    """The machine's clock, and as much ahead of it as asked for."""

    def now(self) -> datetime:
        return SystemClock().now() + AHEAD


def start(settings: NotifierSettings) -> Notifier:
    """As ``services.notifier.__main__`` does, but for the clock."""
    return build(settings, SkewedClock(), sound_programs(settings.programs))


if __name__ == "__main__":
    sys.exit(run(["serve"], "services.notifier", NotifierSettings, start))
