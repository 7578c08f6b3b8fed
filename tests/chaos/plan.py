"""Which faults, in which order."""

from tests.chaos import kills
from tests.chaos.rounds import Fault, Scene


async def _nothing(scene: Scene) -> str:
    return "what the load looks like when nothing happens"


def faults(times: int) -> list[Fault]:
    """``times`` services killed at random, and every other fault once."""
    return [Fault("no fault", _nothing), *kills.kills(times), *kills.points()]
