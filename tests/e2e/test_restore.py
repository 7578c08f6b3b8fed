"""The notifier's store is lost and comes back as it was at a moment: nothing is sent twice, nothing ahead is lost.

What the runbook says, on a PostgreSQL that is really lost: restore, arm for the moment of the loss, republish. The mail
of the time in between is known to nobody but the mail server, so it is left to people.
"""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from chassis.decoding import Event
from chassis.settings import StoreSettings
from chassis.store import Store
from schemas.appointment import AppointmentStatus
from schemas.envelope import Origin
from services.notifier.app import build
from services.notifier.arm import arm
from services.notifier.reconcile import reconcile
from tests.support.backups import Backups
from tests.support.clinic import Clinic, clinic, clinic_settings, new_id, refresh
from tests.support.programs import PROGRAMS
from tests.support.servers import CRASHES_SERVERS, Pair
from tests.support.smtp_server import SmtpServer

pytestmark = [*CRASHES_SERVERS, pytest.mark.timeout(300)]

VISIT = datetime(2027, 3, 16, 16, 30, tzinfo=UTC)
FIRST, SECOND, THIRD = (datetime(2027, 3, day, hour, tzinfo=UTC) for day, hour in ((2, 18), (13, 18), (15, 17)))
"""P14D, P3D, P1D at ten in Los Angeles, across the change to summer time."""


@pytest.fixture
async def smtp() -> AsyncIterator[SmtpServer]:
    async with SmtpServer() as server:
        yield server


class People:
    """Patients with a visit each, and what intake last said of them, to be said again."""

    def __init__(self, desk: Clinic) -> None:
        self.desk = desk
        self.visits: dict[str, str] = {}
        self.said: dict[str, Event[Any]] = {}

    async def say(self, *events: Event[Any]) -> None:
        self.said |= {each.envelope.subject or "": each for each in events}
        await self.desk.hear(*events)

    async def book(self, name: str) -> None:
        patient_id, self.visits[name] = self.id_of(name), new_id()
        patient = self.desk.patient(patient_id, email=f"{name}@example.org")
        await self.say(patient, self.desk.enrolment(patient_id), self._visit(name, VISIT))

    async def change(self, name: str, start: datetime, status: AppointmentStatus = AppointmentStatus.BOOKED) -> None:
        await self.say(self._visit(name, start, status=status, told=False))

    def _visit(self, name: str, start: datetime, told: bool = True, **changes: Any) -> Event[Any]:
        return self.desk.visit(self.id_of(name), self.visits[name], start, told=told, **changes)

    def id_of(self, name: str) -> str:
        return f"00000000-0000-4000-8000-{name.encode().hex():0>12}"

    async def republished(self) -> None:
        """``upright intake republish``: the state of everybody, as it is now."""
        for each in self.said.values():
            snapshot = each.envelope.model_copy(update={"origin": Origin.SNAPSHOT, "id": new_id()})
            await self.desk.hear(replace(each, envelope=snapshot))


async def send_what_is_due(desk: Clinic) -> None:
    """Until there is nothing left to claim."""
    await refresh(desk.notifier)
    while await desk.notifier.replanner.wave():
        pass
    while claims := await desk.notifier.sender._claim():
        for claim in claims:
            await desk.notifier.sender._work(claim)


def received(smtp: SmtpServer) -> Counter[str]:
    return Counter(recipient.partition("@")[0] for mail in smtp.mails for recipient in mail.recipients)


async def reopened(desk: Clinic, settings: StoreSettings, smtp: SmtpServer) -> None:
    """Another process, on what was restored."""
    await desk.notifier.sender.pool.close()
    await desk.notifier.store.close()
    desk.notifier = build(clinic_settings(settings, smtp.port), desk.clock, PROGRAMS)


async def test_restored_to_a_moment_armed_and_republished_it_sends_nothing_twice_and_goes_on(
    pair: Pair, smtp: SmtpServer
) -> None:
    backups = Backups(pair)
    await backups.begin()
    settings = StoreSettings(url=pair.postgres, schema="notifier")
    await make_schema(pair)
    async with clinic(settings, smtp.port) as desk:
        people = People(desk)
        for name in ("ana", "ben", "cleo"):
            await people.book(name)
        desk.clock.advance_to(FIRST)
        await send_what_is_due(desk)
        assert received(smtp) == {"ana": 1, "ben": 1, "cleo": 1}
        moment = await backups.now()

        await people.book("dora")
        await people.change("ben", VISIT, AppointmentStatus.CANCELLED)
        await people.change("cleo", VISIT + timedelta(days=7))
        desk.clock.advance_to(SECOND)
        await send_what_is_due(desk)
        lost = received(smtp)
        assert lost == {"ana": 2, "ben": 2, "cleo": 2, "dora": 1}, "a reminder, a cancellation, a change, a first mail"

        await backups.lose()
        await backups.restore(moment)
        desk.clock.advance_to(SECOND + timedelta(hours=1))
        await reopened(desk, settings, smtp)
        states = [row.state for row in await desk.rows()]
        assert states.count("sent") == 3, "nothing of what came after the moment"
        async with desk.notifier.store.write() as connection:
            await arm(connection, desk.tenant, desk.clock.now())
        await people.republished()
        await send_what_is_due(desk)
        assert received(smtp) == lost, "nobody hears twice of what they heard before the loss"
        assert await balanced(desk)

        desk.clock.advance_to(THIRD)
        await send_what_is_due(desk)
        assert received(smtp) == lost + Counter({"ana": 1, "dora": 1}), "what was ahead goes out, of the newest truth"
        assert await balanced(desk)


async def make_schema(pair: Pair) -> None:
    store = Store(StoreSettings(url=pair.postgres, connections=1))
    async with store.write() as connection:
        await connection.execute(text("CREATE SCHEMA notifier"))
    await store.close()


async def balanced(desk: Clinic) -> bool:
    async with desk.notifier.store.read() as connection:
        return (await reconcile(connection, desk.clock.now())).balanced
