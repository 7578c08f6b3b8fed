"""The process: ``python -m services.trials serve`` or ``migrate``; settings from the environment (``TRIALS_…``)."""

import sys
from collections.abc import Sequence

from chassis.clock import SystemClock
from chassis.process import run
from schemas.program_checks import sound_programs
from schemas.vocabulary_files import load_vocabularies
from services.trials.app import Trials, build
from services.trials.domain import Offer
from services.trials.settings import TrialsSettings


def start(settings: TrialsSettings) -> Trials:
    """The service on the machine's clock, with the programs and vocabularies of its settings."""
    programs, vocabularies = sound_programs(settings.programs), load_vocabularies(settings.programs)
    return build(settings, SystemClock(), {code: Offer(each, vocabularies[code]) for code, each in programs.items()})


def main(arguments: Sequence[str]) -> int:
    """The exit status of ``serve`` or ``migrate``."""
    return run(arguments, "services.trials", TrialsSettings, start)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
