"""Tells the story: owns the one civil clock, posts what happens, and moves time only when the system is quiet."""

import contextlib
import json
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
from standalone.demo.offsets import Offsets
from standalone.demo.posts import Posts
from standalone.demo.quiet import is_quiet, next_moment
from standalone.demo.story import CAST, END, REFUSAL, REFUSED, START, STORY, Happening
from standalone.system import Outside, System
from standalone.waiting import until

QUIET_WITHIN = 60.0
"""Seconds for everything that one moment sets off, restarts of services included."""
POSTED_WITHIN = 20.0
STAGED_WITHIN = 20.0


class StuckError(RuntimeError):
    """The system didn't come to rest; the text says where to look."""


@dataclass(frozen=True, slots=True)
class Posted:
    """One batch that intake accepted, at the civil time ``at``; ``seconds`` is real."""

    at: datetime
    happenings: tuple[Happening, ...]
    seconds: float


Watch = Callable[[Posted], None]


def unheard(posted: Posted) -> None:
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
        self._watch = watch
        self._offsets: Offsets | None = None
        self._coming = sorted((each for each in STORY if not each.while_claimed), key=lambda each: each.at)
        self._staged = [each for each in STORY if each.while_claimed]
        self._http = httpx2.AsyncClient(timeout=10.0)

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
        for batch in _by_person(now):
            await self.post(batch)
        await self.settle(within)

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
        """The clock has jumped: the sender needn't find out by itself."""
        if self.system.runs("notifier"):
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
        """Events of one person over HTTP to intake, as one batch; what it answered for each. Tried while it is away."""
        began = time.monotonic()
        answer = await self._post(happenings)
        if self.twice:
            await self._post(happenings)
            self.system.intake.relay.republish()
        posted = Posted(self.clock.now(), tuple(happenings), time.monotonic() - began)
        self.posted.append(posted)
        self._watch(posted)
        return answer

    async def _post(self, happenings: Sequence[Happening]) -> list[dict[str, Any]]:
        key = self.system.staff_key(CAST[happenings[0].person].program)
        headers = {"authorization": f"Bearer {key}", "content-type": "application/cloudevents-batch+json"}
        body = json.dumps([self.posts.event(each) for each in happenings])
        answers: list[httpx2.Response] = []

        async def answered() -> bool:
            with contextlib.suppress(httpx2.TransportError):  # it is being started again: post the same once more
                url = f"{self.system.intake_url}/v1/events"
                answers.append(await self._http.post(url, content=body, headers=headers))
            return bool(answers)

        if not await until(answered, POSTED_WITHIN):
            raise StuckError("intake is away")
        if answers[0].status_code != 202:
            raise StuckError(f"intake refused an event of the story: {answers[0].status_code} {answers[0].text}")
        accepted: list[dict[str, Any]] = answers[0].json()["events"]
        return accepted

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
