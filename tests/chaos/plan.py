"""Which faults, in which order."""

from collections.abc import Sequence

from tests.chaos import disk, groups, kills, outages
from tests.chaos.rounds import Fault, Scene, together


async def _nothing(scene: Scene) -> str:
    return "what the load looks like when nothing happens"


def faults(times: int) -> list[Fault]:
    """``times`` services killed at random, and every other fault once."""
    others: Sequence[Fault] = [*outages.SERVERS, *outages.MAIL, *outages.LINES, *disk.DISK, *groups.GROUPS]
    return [Fault("no fault", _nothing), *kills.kills(times), *kills.points(), *others]


def short() -> list[Fault]:
    """Five kills and each fault once, several in a round, with outages of seconds."""
    return [
        Fault("no fault", _nothing),
        *kills.kills(5),
        kills.EACH_POINT,
        *(together(", ".join(each.name for each in pair), *pair) for pair in _pairs()),
    ]


def _pairs() -> list[Sequence[Fault]]:
    return [
        outages.SERVERS[:3],
        outages.SERVERS[3:],
        outages.MAIL,
        [*outages.LINES, *disk.DISK],
        groups.GROUPS[:3],
        groups.GROUPS[3:],
    ]
