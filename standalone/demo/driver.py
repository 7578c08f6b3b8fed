"""Tells the story: owns the one civil clock, posts what happens, and moves time only when the system is quiet."""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import select

from chassis.clock import SimulatedClock
from services.notifier.store.claims import Claim
from services.notifier.tables import subjects
from standalone.demo.acts import ACTS, Act
from standalone.demo.desks import FrontDesk, StuckError, TrialDesk
from standalone.demo.matches import Matched, match_changes
from standalone.demo.offsets import Offsets
from standalone.demo.posts import Posts
from standalone.demo.quiet import is_quiet, next_moment
from standalone.demo.staff import Staff
from standalone.demo.story import END, REFUSAL, REFUSED, START, STORY, Happening
from standalone.system import Outside, System
from standalone.waiting import until

QUIET_WITHIN = 60.0
"""Seconds for everything that one moment sets off, restarts of services included."""
STAGED_WITHIN = 20.0


@dataclass(frozen=True, slots=True)
class Posted:
    """One batch that intake accepted, or one act that trials did, at the civil time ``at``; ``seconds`` is real."""

    at: datetime
    happenings: tuple[Happening | Act, ...]
    seconds: float

    @property
    def events(self) -> int:
        """How many it posted to intake."""
        return sum(isinstance(each, Happening) for each in self.happenings)


Watch = Callable[[Posted | Matched], None]


def unheard(seen: Posted | Matched) -> None:
    """Nobody watches."""


class Driver:
    """One run of the story on a system of its own in ``folder``. ``start``, then ``step`` or ``play``, then ``stop``.

    ``twice`` posts every event a second time and has all events go through the broker again.
    """

    def __init__(self, folder: Path, *, outside: Outside | None = None, watch: Watch = unheard) -> None:
        self.clock = SimulatedClock(START)
        self.posts = Posts(uuid.uuid4())
        self.system = System(folder, self.clock, simulated=True, before_guard=self._stage, outside=outside)
        self.system.mailbox.refuse(REFUSED, REFUSAL)
        self.twice = False
        self.posted: list[Posted] = []
        self.matched: list[Matched] = []
        self._watch = watch
        self._offsets: Offsets | None = None
        coming: list[Happening | Act] = [*(each for each in STORY if not each.while_claimed), *ACTS]
        self._coming = sorted(coming, key=lambda each: each.at)
        self._staged = [each for each in STORY if each.while_claimed]
        self._http = httpx2.AsyncClient(timeout=10.0)
        self._front = FrontDesk(self.system, self.posts, self._http)
        self._coordinators = TrialDesk(self.system, self._http)
        self.staff = Staff(self.system, self.posts, self._http)

    async def start(self) -> None:
        """Everything up, at the end of its topics, and armed from the story's start on."""
        await self.system.start()
        self._offsets = Offsets(self.system.kafka, self.system.groups())
        await self.system.ready()
        await self.system.arm(START)

    async def stop(self) -> None:
        if self._offsets is not None:
            await self._offsets.close()
        await self._http.aclose()
        await self.system.stop()

    @property
    def over(self) -> bool:
        return not self._coming and not self._staged and self.clock.now() >= END

    async def play(self) -> None:
        """To the story's end. Raises ``StuckError``."""
        while not self.over:
            await self.step()

    async def step(self, within: float = QUIET_WITHIN) -> None:
        """One moment: jump to the next at which something happens or falls due, and wait until all of it is done.

        Raises ``StuckError``. The first step is the story's start itself. A step that was interrupted goes on.
        """
        if self.over:
            return
        moment = await self.next_moment()
        self.clock.advance_to(max(moment, self.clock.now()))
        now = [each for each in self._coming if each.at <= moment]
        self._coming = self._coming[len(now) :]
        for batch in _by_person([each for each in now if isinstance(each, Happening)]):
            await self.post(batch)
        for act in (each for each in now if isinstance(each, Act)):
            await self.act(act)
        await self.settle(within)
        await self._look_at_matches()

    async def _look_at_matches(self) -> None:
        told = {each.match_id: each.version for each in self.matched}
        for each in await match_changes(self.system, self.posts, told, self.clock.now()):
            self.matched.append(each)
            self._watch(each)

    async def next_moment(self) -> datetime:
        """The earliest of: the next event, the next mail or plan that falls due, the end."""
        due = await next_moment(self.system)
        coming = self._coming[0].at if self._coming else END
        return min(coming, due or END, END)

    async def settle(self, within: float = QUIET_WITHIN) -> None:
        """Wait until nothing moves. Raises ``StuckError``."""
        self._nudge()
        offsets = self._asked()
        if not await until(lambda: is_quiet(self.system, offsets), within):
            raise StuckError(f"not at rest {within:.0f} s after {self.clock.now():%d %b %Y %H:%M} UTC")

    def _nudge(self) -> None:
        """The clock has jumped: nobody needs to find out by itself."""
        if self.system.runs("notifier"):
            self.system.notifier.replanner.nudge()
            self.system.notifier.sender.nudge()
        if self.system.runs("trials"):
            for timer in (self.system.trials.ageing, self.system.trials.inviter):
                timer.nudge()

    def _asked(self) -> Offsets:
        if self._offsets is None:
            raise StuckError("the story has not been started")
        return self._offsets

    # events

    async def post(self, happenings: Sequence[Happening]) -> list[dict[str, Any]]:
        """Events of one person to intake; what it answered for each. Raises ``StuckError``."""
        began = time.monotonic()
        answer = await self._front.post(happenings)
        if self.twice:
            await self._front.post(happenings)
            self.system.intake.relay.republish()
        self._done(happenings, began)
        return answer

    async def act(self, act: Act) -> None:
        """What a coordinator does at trials. Raises ``StuckError``."""
        began = time.monotonic()
        await self._coordinators.do(act)
        if self.twice:
            self.system.trials.relay.republish()
        self._done([act], began)

    def _done(self, happenings: Sequence[Happening | Act], began: float) -> None:
        posted = Posted(self.clock.now(), tuple(happenings), time.monotonic() - began)
        self.posted.append(posted)
        self._watch(posted)

    async def _stage(self, claim: Claim) -> None:
        """What happens while this claim is held: posted now, and applied by the notifier before the guard looks."""
        _, patient_id = claim.key
        person = self.posts.person_of(patient_id)
        now = [each for each in self._staged if each.person == person and each.at == self.clock.now()]
        if not now:
            return
        self._staged = [each for each in self._staged if each not in now]
        answer = await self.post(now)
        if not await until(lambda: self._applied(answer), STAGED_WITHIN):
            raise StuckError("the notifier didn't apply a staged event")

    async def _applied(self, answer: Sequence[Mapping[str, Any]]) -> bool:
        async with self.system.notifier.store.read() as connection:
            for each in answer:
                at_least = (subjects.c.subject == each["subject"]) & (subjects.c.version >= each["version"])
                if (await connection.execute(select(subjects.c.version).where(at_least))).first() is None:
                    return False
        return True


def _by_person(happenings: Sequence[Happening]) -> list[list[Happening]]:
    batches: dict[str, list[Happening]] = {}
    for each in happenings:
        batches.setdefault(each.person, []).append(each)
    return list(batches.values())
