"""A service's process has the collector leave alone what was loaded: seen in a process of its own, for it lasts."""

import subprocess
import sys

from chassis.garbage import OBJECTS

PROGRAM = """
import gc

from chassis import process
from chassis.clock import SimulatedClock
from chassis.settings import StoreSettings
from services.intake.app import build
from tests.support.intake import NOW, PROGRAMS, settings


async def serve(*_: object) -> int:
    print(gc.get_freeze_count(), *gc.get_threshold())
    return 0


process.serve = serve
chosen = settings(StoreSettings(url="sqlite:///never-opened.db"), ())
process.run(["serve"], "services.intake", lambda: chosen, lambda it: build(it, SimulatedClock(NOW), PROGRAMS))
"""


def test_nothing_that_was_loaded_is_looked_through() -> None:
    said = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    kept, objects, *_ = map(int, said.stdout.splitlines()[-1].split())
    assert kept > 50_000
    assert objects == OBJECTS
