"""Digests that trials ask for, and a clinic whose notifier mails them, at work or step by step."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from chassis.decoding import Event
from chassis.settings import StoreSettings
from schemas.envelope import Envelope
from schemas.registry import EVENT_TYPES
from schemas.trials import DigestLine, DigestRequest
from services.notifier.tables import digests
from tests.support.clinic import Clinic, clinic, new_id
from tests.support.eventually import eventually
from tests.support.sending import read
from tests.support.smtp_server import SmtpServer

TO = "coordinator@example.org"
LINES = (
    DigestLine(registry_id="NCT07085260", found=2, changed=1),
    DigestLine(registry_id="NCT00000002", found=1, withdrawn=3),
)


def a_request(desk: Clinic, *, hours: int = 24, tenant: str | None = None, **changes: Any) -> Event[Any]:
    """Asked for now, for so many hours."""
    kind, now = EVENT_TYPES["digest.requested"], desk.clock.now()
    data = DigestRequest.strict_data({
        "digest_id": new_id(), "subscription_id": new_id(), "program": desk.program, "to": TO, "day": now.date(),
        "lines": LINES, "expires_at": now + timedelta(hours=hours), **changes,
    })  # fmt: skip
    envelope = Envelope(
        id=new_id(), source="https://trials.example.org/trials", type=kind.wire, time=now,
        subject=f"digest/{data.digest_id}", partitionkey=data.subscription_id, recordedtime=now, sequence=1,
        tenant=tenant or desk.tenant,
    )  # fmt: skip
    return Event(kind, envelope, data, data.subscription_id, kind.topic, 0, 0)


async def ask(desk: Clinic, *asked: Event[Any]) -> int:
    """One batch of the consumer: these requests, or one. How many were no news."""
    async with desk.notifier.store.write() as connection:
        stale = await desk.notifier.digest_handlers.apply(connection, asked or [a_request(desk)])
    desk.notifier.digest_sender.nudge()
    return stale


@asynccontextmanager
async def mailing(desk: Clinic) -> AsyncIterator[None]:
    """The sender of digests runs."""
    stopping = asyncio.Event()
    task = asyncio.create_task(desk.notifier.digest_sender.run(stopping))
    try:
        yield
    finally:
        stopping.set()
        desk.notifier.digest_sender.nudge()
        await task


@asynccontextmanager
async def open_desk(store: StoreSettings) -> AsyncIterator[tuple[Clinic, SmtpServer]]:
    """The sender of digests at work on a real SMTP server, without a broker."""
    async with SmtpServer() as smtp, clinic(store, smtp.port) as desk, mailing(desk):
        yield desk, smtp


async def rows(desk: Clinic) -> list[Any]:
    return await read(desk, select(digests).order_by(digests.c.requested_at))


async def becomes(desk: Clinic, state: str, reason: str | None = None) -> Any:
    """The one digest there is, once it is in that state."""

    async def there() -> Any:
        [row] = await rows(desk)
        return row if (row.state, row.reason) == (state, reason) else None

    return await eventually(there, within=15)
