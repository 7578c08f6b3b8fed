"""Load with known truth: short lives of synthetic patients, told to intake as a hospital system would.

Each life knows which mails it is owed. It goes on when the ledger says that its first mail is out, so that a change or
a cancellation has something to void.
"""

import asyncio
import json
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx2

from schemas.envelope import TYPE_PREFIX
from schemas.outcomes import Kind
from tests.chaos.watch import Watch
from tests.support.eventually import eventually

PROGRAM, ZONE = "k7q2m9", "America/Los_Angeles"
PATIENCE = 840.0
"""Longer than the longest outage, with time to come back from it."""
REPEAT_SECONDS = 0.3
GAP_SECONDS = 0.8
"""Between two lives; in a long outage more and more, so that it doesn't end with thousands."""
SLOWS_DOWN = 20.0
OF_USE, ONE_SECOND = timedelta(seconds=30), timedelta(seconds=1)
REMINDED_AFTER = timedelta(seconds=10)
"""After booking a visit so near that its last reminder is due now."""

Owed = Mapping[Kind, int]
LATE: Owed = {Kind.LATE_BOOKING: 1}


def address_of(patient_id: str) -> str:
    return f"{patient_id}@example.org"


@dataclass(slots=True, repr=False)
class Client:
    """Posts to whichever intake answers, and repeats under one key what wasn't answered with 202."""

    urls: Callable[[], Sequence[str]]
    token: str
    answers: Counter[str] = field(default_factory=Counter)

    async def say(self, *events: dict[str, Any]) -> None:
        """Accepted when this returns; ``TimeoutError`` after ``PATIENCE``."""
        body, key = json.dumps(events), str(uuid.uuid4())
        async with asyncio.timeout(PATIENCE), httpx2.AsyncClient(timeout=30) as http:
            while not await self._accepted(http, body, key):  # noqa: ASYNC110  # what is waited for is elsewhere
                await asyncio.sleep(REPEAT_SECONDS)  # a client's manners

    async def _accepted(self, http: httpx2.AsyncClient, body: str, key: str) -> bool:
        headers = {
            "content-type": "application/cloudevents-batch+json", "authorization": f"Bearer {self.token}",
            "idempotency-key": key,
        }  # fmt: skip
        try:
            answer = await http.post(f"{random.choice(self.urls())}/v1/events", content=body, headers=headers)
        except httpx2.TransportError as error:
            self.answers[type(error).__name__] += 1
            return False
        self.answers[str(answer.status_code)] += 1
        if answer.status_code not in (202, 409, 429, 503):  # 409: the same key is being worked on
            raise AssertionError(f"{answer.status_code} {answer.text}")
        return answer.status_code == 202


@dataclass(slots=True, repr=False)
class Life:
    """One patient. ``owed`` says what mail there must have been in the end, given whether the first one went out."""

    client: Client
    watch: Watch
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    ended: bool = False

    name = "booked"
    may_miss = False
    most = 2  # different mails, whatever happens

    async def live(self) -> None:
        await self.book(timedelta(days=10))

    def owed(self, told: bool) -> Owed:
        return LATE

    # what can be said

    async def book(self, ahead: timedelta, visit_type: str = "consultation", modality: str = "on-site") -> None:
        """Registered, enrolled and booked, in one request."""
        now = datetime.now(UTC)
        contact = {
            "given_name": "Ana", "family_name": "Test", "birth_date": "1984-05-02", "email": address_of(self.id),
            "email_verified_at": now.isoformat(),
        }  # fmt: skip
        await self.client.say(
            _event("patient.registered", self.id, {"contact": contact}),
            _event("enrolment.opened", self.part("enrolment"), self.mine()),
            self.visit("scheduled", now + ahead, visit_type, modality),
        )

    def visit(self, what: str, start: datetime, visit_type: str = "consultation", modality: str = "on-site") -> Any:
        near = start.astimezone(ZoneInfo(ZONE)).replace(microsecond=0)
        data = self.mine(start=near.isoformat(), zone=ZONE, modality=modality, care={"visit_type": visit_type})
        return _event(f"appointment.{what}", self.part("visit"), data)

    @property
    def owes(self) -> Owed:
        """By what is known of the first mail now."""
        return self.owed(self.watch.told(self.id, Kind.LATE_BOOKING))

    async def told(self) -> None:
        """Wait until the first mail is out, or nobody knows whether it is."""
        await eventually(lambda: self.watch.told(self.id), within=PATIENCE)

    def mine(self, **more: Any) -> dict[str, Any]:
        return {"patient_id": self.id, "program": PROGRAM, **more}

    def part(self, thing: str) -> str:
        return str(uuid.uuid5(uuid.UUID(self.id), thing))


class Moved(Life):
    name = "moved"

    async def live(self) -> None:
        await self.book(timedelta(days=10))
        await self.told()
        await self.client.say(self.visit("rescheduled", datetime.now(UTC) + timedelta(days=11)))

    def owed(self, told: bool) -> Owed:
        return {Kind.LATE_BOOKING: 1, Kind.CHANGE: 1}


class Cancelled(Life):
    name = "cancelled"

    async def live(self) -> None:
        start = datetime.now(UTC) + timedelta(days=10)
        await self.book(timedelta(days=10))
        await self.told()
        await self.client.say(self.visit("cancelled", start))

    def owed(self, told: bool) -> Owed:
        return {Kind.LATE_BOOKING: 1, Kind.CANCELLATION: 1}


class CalledOff(Life):
    """Cancelled before the booking has settled: staff agreed it with the patient, so only its end is told."""

    name = "called off"

    async def live(self) -> None:
        start = datetime.now(UTC) + timedelta(days=10)
        await self.book(timedelta(days=10))
        await self.client.say(self.visit("cancelled", start))

    def owed(self, told: bool) -> Owed:
        return {Kind.LATE_BOOKING: 1, Kind.CANCELLATION: 1} if told else {Kind.CANCELLATION: 1}


class Asked(Life):
    name = "forms"

    async def live(self) -> None:
        await self.book(timedelta(days=10))
        await self.told()
        item = {"item_id": self.part("item"), "form": "patient-intake"}
        forms = self.mine(appointment_id=self.part("visit"), items=[item])
        await self.client.say(_event("paperwork.requested", self.part("forms"), forms))
        await eventually(lambda: self.watch.told(self.id, Kind.PAPERWORK), within=PATIENCE)
        received = forms | {"items": [item | {"status": "received"}]}
        await self.client.say(_event("paperwork.received", self.part("forms"), received))

    def owed(self, told: bool) -> Owed:
        return {Kind.LATE_BOOKING: 1, Kind.PAPERWORK: 1}


class Reminded(Life):
    """Its mails are of use for some seconds; later they are missed, or not even planned, and that is right."""

    name = "reminded"
    may_miss = True
    due = datetime.max.replace(tzinfo=UTC)

    async def live(self) -> None:
        self.due = datetime.now(UTC) + REMINDED_AFTER
        await self.book(timedelta(hours=2) + REMINDED_AFTER, "follow-up", "video")
        await eventually(lambda: self.watch.heard_of(self.id), within=PATIENCE)

    def owed(self, told: bool) -> Owed:
        heard = self.watch.heard_of(self.id)
        until = {Kind.LATE_BOOKING: self.due, Kind.REMINDER: self.due + OF_USE}
        return {kind: 1 for kind, end in until.items() if heard is None or heard < end - ONE_SECOND}


LIVES: Sequence[type[Life]] = (Life, Moved, Cancelled, CalledOff, Asked, Reminded)


@dataclass(slots=True, repr=False)
class Load:
    """Lives of all sorts, one begun after another: at least two of each, and for as long as the fault takes."""

    client: Client
    watch: Watch
    lives: list[Life] = field(default_factory=list)

    async def run(self, over: asyncio.Event) -> None:
        """Until ``over``, and every life has said all it has to say; one that waits in vain has not ended."""
        began = time.monotonic()
        self.watch.follow(())
        async with asyncio.TaskGroup() as group:
            while not over.is_set() or len(self.lives) < 2 * len(LIVES):
                life = LIVES[len(self.lives) % len(LIVES)](self.client, self.watch)
                self.lives.append(life)
                self.watch.follow([each.id for each in self.lives])
                group.create_task(_lived(life))
                await asyncio.sleep(max(GAP_SECONDS, (time.monotonic() - began) / SLOWS_DOWN))  # that is its rate


async def _lived(life: Life) -> None:
    try:
        await life.live()
        life.ended = True
    except (AssertionError, TimeoutError) as error:
        print(f"  {life.name} {life.id}: {error}"[:200])


def _event(name: str, subject_id: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": str(uuid.uuid4()), "source": "https://desk.example.org/chaos",
        "type": f"{TYPE_PREFIX}{name}.v1", "time": datetime.now(UTC).isoformat(),
        "subject": f"{name.partition('.')[0]}/{subject_id}", "datacontenttype": "application/json", "data": data,
    }  # fmt: skip
