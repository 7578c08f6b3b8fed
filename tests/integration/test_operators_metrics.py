"""What the notifier's operators see: what waits and why, what the mail server answered, what a dead process left."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from chassis.settings import StoreSettings
from chassis.store import database_now
from schemas.outcomes import Kind
from services.notifier.making import make
from services.notifier.store.pauses import add_pause
from services.notifier.tables import deliveries
from tests.support.clinic import Clinic, clinic, new_id, refresh
from tests.support.smtp_server import Deed, SmtpServer

VISIT = datetime(2027, 3, 16, 16, 30, tzinfo=UTC)
FIRST = datetime(2027, 3, 2, 18, 0, tzinfo=UTC)


@pytest.fixture
async def smtp() -> AsyncIterator[SmtpServer]:
    async with SmtpServer() as server:
        yield server


@pytest.fixture
async def desk(store_settings: StoreSettings, smtp: SmtpServer) -> AsyncIterator[Clinic]:
    async with clinic(store_settings, smtp.port) as opened:
        yield opened


async def book(desk: Clinic, number: int, email: str | None) -> None:
    patient_id = new_id()
    visit = desk.visit(patient_id, new_id(), VISIT + timedelta(hours=number), told=True)
    await desk.hear(desk.patient(patient_id, email=email), desk.enrolment(patient_id), visit)


async def send_what_is_due(desk: Clinic) -> None:
    await refresh(desk.notifier)
    for claim in await desk.notifier.sender._claim():
        await desk.notifier.sender._work(claim)


def seen(desk: Clinic, name: str, **labels: str) -> float | None:
    registry = desk.notifier.sender.metrics.registry.prometheus
    return registry.get_sample_value(f"upright_{name}", {"service": "notifier", **labels})


async def test_what_waits_is_counted_by_reason_and_is_nought_once_it_goes_on(desk: Clinic, smtp: SmtpServer) -> None:
    await book(desk, 0, None)
    await book(desk, 1, "p1@example.org")
    desk.clock.advance_to(FIRST + timedelta(minutes=3))
    await desk.notifier.sweeper.sweep()
    assert (seen(desk, "deliveries_due"), seen(desk, "deliveries_due_oldest_seconds")) == (2, 180)
    smtp.script("dot", Deed.KEEP_AND_DROP)
    await send_what_is_due(desk)
    async with desk.notifier.store.write() as connection:
        what = (desk.program, Kind.CHANGE)
        await add_pause(connection, desk.tenant, what, "desk", "tried out", desk.clock.now())
    await desk.notifier.sweeper.sweep()
    assert seen(desk, "deliveries_held", reason="no_address") == 1
    assert (seen(desk, "deliveries_uncertain"), seen(desk, "programs_paused"), seen(desk, "deliveries_due")) == (
        1,
        1,
        0,
    )
    desk.clock.advance_to(VISIT + timedelta(hours=3))
    await desk.notifier.replanner.wave()
    await desk.notifier.sweeper.sweep()
    assert (seen(desk, "deliveries_held", reason="no_address"), seen(desk, "deliveries_uncertain")) == (0, 0)


async def test_answers_of_the_mail_server_are_counted_by_class_and_phase(desk: Clinic, smtp: SmtpServer) -> None:
    for number in range(3):
        await book(desk, number, f"p{number}@example.org")
    smtp.refuse("p0@example.org", "550 5.1.1 no such user")
    smtp.refuse("p1@example.org", "451 4.3.0 later")
    desk.clock.advance_to(FIRST + timedelta(hours=3))
    await send_what_is_due(desk)
    assert [seen(desk, "smtp_answers_total", phase=phase, answer=answer) for phase, answer in (
        ("rcpt", "5xx"), ("rcpt", "4xx"), ("dot", "2xx"), ("connect", "none"),
    )] == [1, 1, 1, None]  # fmt: skip


async def test_a_relay_that_is_away_is_an_answer_of_none(desk: Clinic, smtp: SmtpServer) -> None:
    await book(desk, 0, "p0@example.org")
    desk.clock.advance_to(FIRST)
    await smtp.stop()
    await send_what_is_due(desk)
    assert seen(desk, "smtp_answers_total", phase="connect", answer="none") == 1


@pytest.mark.parametrize("state", ["claimed", "sending"])
async def test_what_a_dead_process_left_is_counted_by_its_state(desk: Clinic, state: str) -> None:
    await book(desk, 0, "p0@example.org")
    desk.clock.advance_to(FIRST)
    await refresh(desk.notifier)
    [claim] = await desk.notifier.sender._claim()
    if state == "sending":
        async with desk.notifier.store.write() as connection:
            ready = (await desk.notifier.sender.checker.check(connection, [claim])).get(claim.key)
        assert ready is not None
        await desk.notifier.sender.commits.enter_sending(claim, ready, make(ready))
    async with desk.notifier.store.write() as connection:
        late = update(deliveries).where(deliveries.c.state == state).values(lease_until=database_now(-1))
        await connection.execute(late)
    await desk.notifier.sweeper.sweep()
    assert seen(desk, "lease_expiries_total", state=state) == 1
