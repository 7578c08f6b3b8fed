"""From intake's events to mails on a real SMTP server, and to what the ledger says of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from chassis.settings import StoreSettings
from tests.support.clinic import Clinic, clinic, new_id
from tests.support.eventually import eventually
from tests.support.smtp_server import SmtpServer

pytest_plugins = ["tests.support.stores"]

VISIT = datetime(2027, 3, 16, 16, 30, tzinfo=UTC)


@asynccontextmanager
async def running(desk: Clinic) -> AsyncIterator[None]:
    """Sender and replanner at work, without a broker."""
    stopping = asyncio.Event()
    tasks = [asyncio.create_task(part.run(stopping)) for part in (desk.notifier.sender, desk.notifier.replanner)]
    try:
        yield
    finally:
        stopping.set()
        await asyncio.gather(*tasks)


async def states(desk: Clinic) -> list[tuple[Any, ...]]:
    return [(row.kind, row.step, row.state, row.reason) for row in await desk.rows()]


async def test_a_booked_visit_becomes_its_reminders_and_the_due_one_is_sent(store_settings: StoreSettings) -> None:
    async with SmtpServer() as smtp, clinic(store_settings, smtp.port) as desk:
        patient = new_id()
        await desk.hear(desk.patient(patient), desk.enrolment(patient), desk.visit(patient, new_id(), VISIT, told=True))
        assert [row.step for row in await desk.rows()] == ["P14D", "P3D", "P1D"]
        async with running(desk):
            desk.clock.advance_to(VISIT - timedelta(days=14) + timedelta(hours=2))
            await eventually(lambda: smtp.mails)
        assert [row.state for row in await desk.rows()] == ["sent", "planned", "planned"]
        assert [mail.recipients for mail in smtp.mails] == [("ana@example.org",)]
