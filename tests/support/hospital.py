"""The whole system for tests of it: real intake, broker, notifier and mailbox; only the civil clock is the test's.

People come in over HTTP, mails go out by SMTP, and a test looks at what intake and notifier answer over HTTP. Several
tests share one hospital: each has patients of its own, and the clock only ever moves forward.
"""

import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
from sqlalchemy import func, select

from chassis.clock import SimulatedClock
from chassis.outbox import unsent
from schemas.envelope import TYPE_PREFIX
from schemas.outcomes import DeliveryState
from services.intake.tables import outbox
from services.notifier.store.claims import Claim
from services.notifier.tables import deliveries, patients
from standalone.demo.offsets import Offsets
from standalone.demo.quiet import is_quiet
from standalone.mailbox import Message as Mail
from standalone.system import Outside, System
from tests.support.eventually import eventually

CEDARS, TENANT = "k7q2m9", "cedars"
PACIFIC, NEW_YORK = "America/Los_Angeles", "America/New_York"
OPENED = datetime(2027, 2, 1, 17, 0, tzinfo=UTC)
"""Monday, 09:00 in Los Angeles."""
SOURCE = "https://desk.example.org/test"
QUIET_WITHIN = 30.0
_WAITS = (DeliveryState.PLANNED, DeliveryState.HELD)

Event = dict[str, Any]


def at(day: date, clock: str, zone: str = PACIFIC) -> datetime:
    """That day at ``11:30`` on a clock there, as UTC."""
    return datetime.combine(day, time.fromisoformat(clock), ZoneInfo(zone)).astimezone(UTC)


def local(instant: datetime, zone: str = PACIFIC) -> datetime:
    return instant.astimezone(ZoneInfo(zone))


def spoken(start: datetime, zone: str = PACIFIC) -> str:
    """As mails say it: ``Tuesday, March 16, 2027, 9:30 AM``."""
    there = local(start, zone)
    return f"{there:%A, %B} {there.day}, {there.year}, {there:%I:%M %p}".replace(" 0", " ")


def hour(start: datetime, zone: str) -> str:
    """``9:30 AM``, on a clock there."""
    return f"{local(start, zone):%I:%M %p}".removeprefix("0")


@dataclass(slots=True, repr=False)
class Hospital:
    """One started system. ``claimed`` is what happens while a patient's mail is claimed, once, by patient id."""

    system: System
    clock: SimulatedClock
    offsets: Offsets
    http: httpx2.AsyncClient
    claimed: dict[str, Callable[[], Awaitable[None]]]

    async def post(self, *events: Event) -> httpx2.Response:
        """One batch over HTTP to intake."""
        headers = self._key() | {"content-type": "application/cloudevents-batch+json"}
        return await self.http.post(f"{self.system.intake_url}/v1/events", content=json.dumps(events), headers=headers)

    async def tell(self, *events: Event) -> None:
        answer = await self.post(*events)
        assert answer.status_code == 202, answer.text

    async def of_intake(self, path: str) -> Any:
        return await self._get(f"{self.system.intake_url}{path}")

    async def of_notifier(self, path: str) -> Any:
        return await self._get(f"{self.system.notifier_url}{path}")

    async def _get(self, url: str) -> Any:
        answer = await self.http.get(url, headers=self._key())
        assert answer.status_code == 200, answer.text
        return answer.json()

    def _key(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.system.staff_key(CEDARS)}"}

    async def settle(self) -> None:
        """Until nothing moves any more, unless the clock does."""
        self.system.notifier.sender.nudge()
        await eventually(lambda: is_quiet(self.system, self.offsets), within=QUIET_WITHIN)

    def to(self, address: str) -> list[Mail]:
        return [each for each in self.system.mailbox.messages if address in each.recipients]

    async def while_claimed(self, claim: Claim) -> None:
        """The hook of the sender."""
        _, patient_id = claim.key
        if happens := self.claimed.pop(patient_id, None):
            await happens()
            await self.heard()

    async def heard(self) -> None:
        """Until everything that was posted has been published and read."""
        await eventually(self._read, within=QUIET_WITHIN)

    async def _read(self) -> bool:
        async with self.system.intake.store.read() as connection:
            waits = await unsent(connection, outbox)
        return not waits and await self.offsets.read_to_the_end({})


@dataclass(slots=True)
class Town:
    """One test's people in a shared hospital, from a morning of their own on: 09:00 in Los Angeles."""

    hospital: Hospital
    today: date
    people: "list[Person]" = field(default_factory=list)

    @property
    def now(self) -> datetime:
        return self.hospital.clock.now()

    def day(self, number: int) -> date:
        return self.today + timedelta(days=number)

    def person(self, name: str = "Ana", *, patient_id: str | None = None, **contact: Any) -> "Person":
        """Somebody who is not registered yet."""
        known_as = patient_id or str(uuid.uuid4())
        given = {"given_name": name, "family_name": "Test", "birth_date": "1984-05-02"}
        mailbox = {"email": f"{name.lower()}-{known_as[-12:]}@example.org"}
        one = Person(self.hospital, known_as, given | mailbox | contact)
        self.people.append(one)
        return one

    async def patient(self, name: str = "Ana", *, zone: str | None = None, **contact: Any) -> "Person":
        """Somebody registered and enrolled, with a verified address."""
        one = self.person(name, **contact)
        await self.hospital.tell(one.registered(zone), one.enrolled())
        return one

    async def until(self, moment: datetime) -> None:
        """Live until ``moment``, with a stop whenever something falls due for one of these people."""
        await self.hospital.settle()
        while (following := await self._next()) and following <= moment:
            self.hospital.clock.advance_to(max(following, self.now))
            await self.hospital.settle()
        self.hospital.clock.advance_to(moment)
        await self.hospital.settle()

    async def _next(self) -> datetime | None:
        ids, due = [each.id for each in self.people], deliveries.c
        mine = due.patient_id.in_(ids)
        questions = (
            select(func.min(due.due_at)).where(due.state == DeliveryState.PLANNED, mine),
            select(func.min(due.useful_until)).where(due.state.in_(_WAITS), mine),
            select(func.min(patients.c.replan_at)).where(patients.c.patient_id.in_(ids)),
        )
        async with self.hospital.system.notifier.store.read() as connection:
            moments = [(await connection.execute(each)).scalar_one() for each in questions]
        return min((each for each in moments if each is not None), default=None)


@dataclass(slots=True)
class Person:
    """A synthetic patient: what can be said of them to intake, and what came of it."""

    hospital: Hospital
    id: str
    contact: dict[str, Any]
    visits: dict[str, Event] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return str(self.contact["email"])

    @property
    def mails(self) -> list[Mail]:
        return self.hospital.to(self.address)

    @property
    def subjects(self) -> list[str]:
        return [each.subject for each in self.mails]

    @property
    def text(self) -> str:
        """Everything they were ever written, in plain text on one line."""
        return " ".join(" ".join((each.text or "").split()) for each in self.mails)

    async def deliveries(self) -> list[dict[str, Any]]:
        found = await self.hospital.of_notifier(f"/v1/patients/{self.id}/deliveries")
        return sorted(found["deliveries"], key=lambda each: str(each["due_at"]))

    async def ends(self) -> list[tuple[str, str, str | None]]:
        """Step or kind, state and reason of each delivery, by due time."""
        return [(each["step"] or each["kind"], each["state"], each["reason"]) for each in await self.deliveries()]

    async def states(self) -> Counter[str]:
        return Counter(each["state"] for each in await self.deliveries())

    async def worklist(self) -> list[str]:
        """Codes of what staff are to do for them, as intake shows it."""
        found = await self.hospital.of_intake("/v1/worklist?limit=1000")
        return sorted(each["code"] for each in found["items"] if each["patient_id"] == self.id)

    # events

    def event(self, name: str, subject_id: str, data: dict[str, Any], **attributes: Any) -> Event:
        """A CloudEvent as a poster writes it, now."""
        family, now = name.partition(".")[0], self.hospital.clock.now()
        return {
            "specversion": "1.0", "id": str(uuid.uuid4()), "source": SOURCE, "type": f"{TYPE_PREFIX}{name}.v1",
            "subject": f"{family}/{subject_id}", "time": now.isoformat(), "datacontenttype": "application/json",
            "data": data, **attributes,
        }  # fmt: skip

    def registered(self, zone: str | None = None, name: str = "patient.registered") -> Event:
        verified = {"email_verified_at": self.hospital.clock.now().isoformat()} if self.contact["email"] else {}
        return self.event(name, self.id, {"contact": self.contact | verified, "zone": zone})

    def enrolled(self) -> Event:
        return self.event("enrolment.opened", str(uuid.uuid4()), self._mine())

    def prefers(self, **choices: bool) -> Event:
        """The whole preference; what isn't named is wanted."""
        return self.event("preference.changed", str(uuid.uuid5(uuid.UUID(self.id), "preference")), self._mine(choices))

    def agrees(self, scope: str = "email-detailed") -> Event:
        decision = {"scope": scope, "text_version": "v1", "recorded_by": "desk"}
        decided = {"patient_id": self.id, "decided_at": self.hospital.clock.now().isoformat()}
        return self.event("consent.granted", str(uuid.uuid4()), decision | decided)

    def booked(
        self, start: datetime, *, visit: str = "visit", visit_type: str = "follow-up", **attributes: Any
    ) -> Event:
        care = {"visit_type": visit_type, "clinician": "Demo Clinician"}
        self.visits[visit] = self._mine({"start": start.isoformat(), "zone": PACIFIC, "care": care})
        return self._visit("scheduled", visit, **attributes)

    def moved(self, start: datetime, visit: str = "visit") -> Event:
        self.visits[visit] = self.visits[visit] | {"start": start.isoformat()}
        return self._visit("rescheduled", visit)

    def edited(self, clinician: str, visit: str = "visit") -> Event:
        """A change nobody is told of."""
        care = self.visits[visit]["care"] | {"clinician": clinician}
        self.visits[visit] = self.visits[visit] | {"care": care}
        return self._visit("updated", visit)

    def cancelled(self, visit: str = "visit") -> Event:
        return self._visit("cancelled", visit)

    def became(self, name: str, visit: str = "visit") -> Event:
        """``arrived``, ``completed``, ``no_show`` or ``removed``."""
        return self._visit(name, visit)

    def _visit(self, name: str, visit: str, **attributes: Any) -> Event:
        return self.event(f"appointment.{name}", self._id(visit), self.visits[visit], **attributes)

    def _mine(self, more: dict[str, Any] | None = None) -> dict[str, Any]:
        return {"patient_id": self.id, "program": CEDARS} | (more or {})

    def _id(self, thing: str) -> str:
        return str(uuid.uuid5(uuid.UUID(self.id), thing))

    def visit_id(self, visit: str = "visit") -> str:
        return self._id(visit)


@asynccontextmanager
async def open_hospital(folder: Path, outside: Outside | None = None) -> AsyncIterator[Hospital]:
    """Everything up, fresh, and responsible from now on; on the embedded parts unless there are others."""
    clock = SimulatedClock(OPENED)
    claimed: dict[str, Callable[[], Awaitable[None]]] = {}
    opened: list[Hospital] = []

    async def hook(claim: Claim) -> None:
        await opened[0].while_claimed(claim)

    system = System(folder, clock, simulated=True, before_guard=hook, outside=outside)
    await system.start()
    offsets = Offsets(system.kafka, system.groups())
    try:
        async with httpx2.AsyncClient(timeout=10.0) as http:
            opened.append(Hospital(system, clock, offsets, http, claimed))
            await system.ready()
            await system.arm(OPENED)
            yield opened[0]
    finally:
        await offsets.close()
        await system.stop()


async def next_morning(hospital: Hospital) -> Town:
    """A test's own town: the clock stands at 09:00 in Los Angeles on a day nobody has used yet."""
    day = local(hospital.clock.now()).date() + timedelta(days=1)
    hospital.clock.advance_to(at(day, "09:00"))
    return Town(hospital, day)


async def all_told(people: Sequence[Person], *events: Callable[[Person], Event]) -> None:
    """Each of these events of each person, a batch a person, in the people's order."""
    for one in people:
        await one.hospital.tell(*(each(one) for each in events))
