"""Deaths of services: at random, and at each named step."""

import asyncio
import random
from functools import partial

from chassis.faults import VARIABLE, Step
from tests.chaos.rounds import Fault, Scene
from tests.chaos.site import SERVICES
from tests.support.eventually import eventually
from tests.support.processes import Service

KILLS_A_ROUND = 5
PAUSE_SECONDS = (0.2, 2.0)
DEATH_SECONDS = 150.0

POINTS: list[tuple[Step, Service, int]] = [
    (Step.BATCH_STORED, "notifier", 2),
    (Step.BATCH_STORED, "intake", 1),
    (Step.BATCH_STORED, "trials", 1),
    (Step.PUBLISHED, "intake", 2),
    (Step.PUBLISHED, "notifier", 1),
    (Step.BEFORE_CLAIM, "notifier", 5),
    (Step.AFTER_CLAIM, "notifier", 2),
    (Step.AFTER_SENDING, "notifier", 2),
    (Step.INSIDE_DATA, "notifier", 2),
    (Step.AFTER_DOT, "notifier", 2),
    (Step.AFTER_ANSWER, "notifier", 2),
]
"""Which service dies where, and the how manieth time it comes there."""


async def _kill_at_random(scene: Scene, times: int) -> str:
    killed = []
    for _ in range(times):
        await asyncio.sleep(random.uniform(*PAUSE_SECONDS))  # any moment: what is waited for is chance
        service = random.choice(SERVICES)
        await scene.site.instances[f"{service}-a"].kill()
        await scene.site.resurrect(service)
        killed.append(service)
    return ", ".join(f"{each} {killed.count(each)}" for each in SERVICES if each in killed)


def kills(times: int) -> list[Fault]:
    """``times`` in all, a few a round."""
    sizes = [min(KILLS_A_ROUND, times - done) for done in range(0, times, KILLS_A_ROUND)]
    return [Fault(f"SIGKILL at random × {size}", partial(_kill_at_random, times=size)) for size in sizes]


async def _die_at(scene: Scene, step: Step, service: Service, hit: int) -> str:
    await scene.site.instances[f"{service}-a"].stop()
    doomed = await scene.site.start(service, doomed=True, **{VARIABLE: f"{step}@{hit}"})
    await eventually(doomed.is_dead, within=DEATH_SECONDS)
    await scene.site.resurrect(service)
    return "died there"


def points() -> list[Fault]:
    """Each step once, in each service that comes there."""
    return [
        Fault(f"dies at {step}: {service}", partial(_die_at, step=step, service=service, hit=hit))
        for step, service, hit in POINTS
    ]


async def _die_at_each(scene: Scene) -> str:
    """All services at once, each dying at one step after another."""
    await asyncio.gather(*(_die_on(scene, each) for each in SERVICES))
    return f"{len(POINTS)} deaths"


async def _die_on(scene: Scene, service: Service) -> None:
    for step, mine, hit in POINTS:
        if mine == service:
            await scene.site.instances[f"{service}-a"].kill()
            doomed = await scene.site.resurrect(service, doomed=True, **{VARIABLE: f"{step}@{hit}"})
            await eventually(doomed.is_dead, within=DEATH_SECONDS)
    await scene.site.resurrect(service)


EACH_POINT = Fault("dies at each named step", _die_at_each)
"""The same in one round."""
