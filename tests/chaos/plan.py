"""Which faults, in which order."""

from collections.abc import Sequence

from tests.chaos import disk, groups, kills, outages
from tests.chaos.rounds import Fault, Scene, together


async def _nothing(scene: Scene) -> str:
    return "what the load looks like when nothing happens"


def faults(times: int) -> list[Fault]:
    """``times`` services killed at random, and every other fault once."""
    others: Sequence[Fault] = [
        *outages.SERVERS,
        *outages.MAIL,
        *outages.LINES,
        *disk.DISK,
        *groups.RESTARTS,
        *groups.LOG,
    ]
    return [Fault("no fault", _nothing), *kills.kills(times), *kills.points(), *others]


def short() -> list[Fault]:
    """Five kills and each fault once, several in a round, with outages of seconds."""
    return [
        together("deaths", [*kills.kills(5), kills.EACH_POINT]),
        together("broker", outages.SERVERS[:3]),
        together("store", [*outages.SERVERS[3:], *disk.DISK]),
        together("mail server; restarts and rebalances", outages.MAIL, groups.RESTARTS),
        together("lines; clock and log", [*outages.LINES, *groups.LOG]),
    ]
