"""A clinic with its sender at work, or taken step by step: claim, guard, ``sending``, receipt."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from chassis.settings import StoreSettings
from services.notifier.checks import Ready
from services.notifier.making import make
from services.notifier.recording import HandedOver
from services.notifier.sender import Hook, nothing
from services.notifier.smtp import Phase, Receipt, Verdict
from services.notifier.store.claims import Claim, claim_due, claim_uncertain
from services.notifier.tables import worklist
from tests.support.clinic import Clinic, clinic, new_id
from tests.support.eventually import eventually
from tests.support.smtp_server import SmtpServer

VISIT = datetime(2027, 3, 16, 16, 30, tzinfo=UTC)
FIRST = datetime(2027, 3, 2, 18, 0, tzinfo=UTC)
"""P14D: Tuesday 2 March, 10:00 in Los Angeles."""
ACCEPTED = Receipt(Verdict.ACCEPTED, Phase.DOT, 250, "2.0.0")
BUSY = Receipt(Verdict.RETRY, Phase.RCPT, 450, "4.2.1")
UNKNOWN = Receipt(Verdict.UNCERTAIN, Phase.DOT)


@asynccontextmanager
async def open_clinic(
    store: StoreSettings, *, before_guard: Hook = nothing
) -> AsyncIterator[tuple[Clinic, SmtpServer]]:
    """Sender and replanner at work on a real SMTP server, without a broker."""
    async with SmtpServer() as smtp, clinic(store, smtp.port, before_guard=before_guard) as desk, at_work(desk):
        yield desk, smtp


@asynccontextmanager
async def at_work(desk: Clinic) -> AsyncIterator[None]:
    """Sender, sweeper and replanner run."""
    stopping = asyncio.Event()
    parts = (desk.notifier.sender, desk.notifier.sweeper, desk.notifier.replanner)
    tasks = [asyncio.create_task(part.run(stopping)) for part in parts]
    try:
        yield
    finally:
        stopping.set()
        await asyncio.gather(*tasks)


async def booked(desk: Clinic, *, told: bool = True, start: datetime = VISIT, **patient: Any) -> tuple[str, str]:
    """A registered, enrolled patient with a consultation on 16 March."""
    patient_id, appointment_id = new_id(), new_id()
    visit = desk.visit(patient_id, appointment_id, start, told=told)
    await desk.hear(desk.patient(patient_id, **patient), desk.enrolment(patient_id), visit)
    return patient_id, appointment_id


async def one(desk: Clinic, step: str) -> Any:
    return next(row for row in await desk.rows() if row.step == step)


async def in_state(desk: Clinic, step: str, state: str) -> Any:
    async def there() -> Any:
        row = await one(desk, step)
        return row if row.state == state else None

    return await eventually(there, within=15)


async def read(desk: Clinic, query: Any) -> list[Any]:
    async with desk.notifier.store.read() as connection:
        return list(await connection.execute(query))


async def force(desk: Clinic, statement: Any) -> None:
    async with desk.notifier.store.write() as connection:
        await connection.execute(statement)


async def claim(desk: Clinic) -> Claim:
    """What is due now, of the patient whose turn it is."""
    async with desk.notifier.store.write() as connection:
        [claimed] = await claim_due(connection, desk.clock.now(), new_id(), 1)
    return claimed


async def claim_again(desk: Clinic) -> Claim:
    """The uncertain notice whose repeat is due now."""
    async with desk.notifier.store.write() as connection:
        [claimed] = await claim_uncertain(connection, desk.clock.now(), new_id(), 1)
    return claimed


async def check(desk: Clinic, claimed: Claim) -> Ready | None:
    async with desk.notifier.store.write() as connection:
        return (await desk.notifier.sender.checker.check(connection, [claimed])).get(claimed.key)


async def hand_over(desk: Clinic, claimed: Claim) -> None:
    """As far as the commit before the first byte."""
    ready = await check(desk, claimed)
    assert ready is not None
    await desk.notifier.sender.commits.enter_sending(claimed, ready, make(ready))


async def record(desk: Clinic, claimed: Claim, receipt: Receipt) -> None:
    async with desk.notifier.store.write() as connection:
        await desk.notifier.sender.recorder.record(connection, [HandedOver(claimed, receipt)])


async def open_items(desk: Clinic) -> set[str]:
    """Codes of what stands on the worklist."""
    return {row.code for row in await read(desk, select(worklist.c.code).where(worklist.c.closed_at.is_(None)))}
