"""Round after round: a load, a fault in the middle of it, rest, judgement."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from schemas.registry import INTAKE_EVENTS
from tests.chaos.load import Client, Life, Load
from tests.chaos.log import Log
from tests.chaos.site import Site
from tests.chaos.truth import Outcome, judge
from tests.chaos.watch import Watch
from tests.support.eventually import eventually

REST_SECONDS = 150.0


@dataclass(slots=True, repr=False)
class Scene:
    """What a fault may lay hands on. ``away``: seconds for which a server stays away."""

    site: Site
    watch: Watch
    client: Client
    log: Log
    away: float
    poison: int = 0  # records so far that must have become dead letters
    lives: list[Life] = field(default_factory=list)


Strike = Callable[[Scene], Awaitable[str]]
"""Does the harm and mends it; a word on what happened, for the table."""


@dataclass(frozen=True, slots=True)
class Fault:
    """``skip`` says why it can't be done here, or nothing."""

    name: str
    strike: Strike
    skip: Callable[[], str] = str


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the report. ``note`` is what the fault says of itself, ``skipped`` why it wasn't tried."""

    name: str
    outcome: Outcome
    seconds: float
    note: str = ""
    skipped: str = ""


def together(name: str, *tracks: Sequence[Fault]) -> Fault:
    """In one round: less load and less to wait for. Those of a track one after another, the tracks at the same time.

    What can't be done here is left out.
    """

    async def strike(scene: Scene) -> str:
        notes = await asyncio.gather(*(_one_after_another(scene, each) for each in tracks))
        return "; ".join(note for its in notes for note in its)

    return Fault(name, strike)


async def _one_after_another(scene: Scene, faults: Sequence[Fault]) -> list[str]:
    return [f"{each.name}: {each.skip() or await each.strike(scene)}" for each in faults]


async def play(scene: Scene, fault: Fault) -> Row:
    """One round."""
    if reason := fault.skip():
        return Row(fault.name, Outcome(), 0.0, skipped=reason)
    began = time.monotonic()
    load, over = Load(scene.client, scene.watch), asyncio.Event()
    said = asyncio.create_task(load.run(over))
    try:
        note, failure = await fault.strike(scene), None
    except Exception as error:  # the next faults have their turn, and the report is written
        note, failure = "NOT DONE", f"{type(error).__name__}: {error}"[:200]
    over.set()
    await said
    scene.lives += load.lives
    await rest(scene, load.lives)
    outcome = await judge(scene.site, load.lives, scene.log, scene.poison)
    outcome.wrong += [failure] if failure else []
    return Row(fault.name, outcome, time.monotonic() - began, note)


async def rest(scene: Scene, lives: Sequence[Life], *, repeated: bool = False) -> None:
    """Until nothing is due, in hand or unsent any more; whoever waits in vain is for the judge."""

    async def at_rest() -> bool:
        owed = {each.id: each.owes for each in lives}
        return scene.watch.at_rest(owed, repeated=repeated) and await scene.site.relayed()

    try:
        await eventually(at_rest, within=REST_SECONDS)
    except AssertionError:
        print(f"  no rest within {REST_SECONDS:.0f} s")
    await scene.log.read_on()


async def all_again(scene: Scene) -> Row:
    """Everybody of all rounds once more: a mail that came after its round would show here."""
    began = time.monotonic()
    scene.watch.follow([each.id for each in scene.lives])
    await scene.watch.look()
    await rest(scene, scene.lives, repeated=True)
    outcome = await judge(scene.site, scene.lives, scene.log, scene.poison)
    return Row("everybody, at the end", outcome, time.monotonic() - began, f"{scene.log.records} {INTAKE_EVENTS}")
