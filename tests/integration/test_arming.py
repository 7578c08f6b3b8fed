"""Arming: nothing goes out before, nothing from before is caught up after. On both stores."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete

from chassis.settings import StoreSettings
from services.notifier.arm import arm, get_armed_at
from services.notifier.tables import arming
from tests.support.clinic import Clinic, clinic, new_id, refresh
from tests.support.smtp_server import SmtpServer

VISIT = datetime(2027, 3, 16, 16, 30, tzinfo=UTC)
STEPS = [datetime(2027, 3, day, hour, tzinfo=UTC) for day, hour in ((2, 18), (13, 18), (15, 17))]
"""P14D, P3D, P1D at ten in Los Angeles, across the change to summer time."""


@pytest.fixture
async def smtp() -> AsyncIterator[SmtpServer]:
    async with SmtpServer() as server:
        yield server


@pytest.fixture
async def desk(store_settings: StoreSettings, smtp: SmtpServer) -> AsyncIterator[Clinic]:
    """A clinic that isn't armed, with one consultation on 16 March."""
    async with clinic(store_settings, smtp.port) as opened:
        async with opened.notifier.store.write() as connection:
            await connection.execute(delete(arming))
        patient_id = new_id()
        visit = opened.visit(patient_id, new_id(), VISIT, told=True)
        await opened.hear(opened.patient(patient_id), opened.enrolment(patient_id), visit)
        yield opened


async def set_armed(desk: Clinic, at: datetime) -> int:
    async with desk.notifier.store.write() as connection:
        marked = await arm(connection, desk.tenant, at)
    await desk.notifier.replanner.wave()
    return marked


async def pass_time(desk: Clinic, until: datetime) -> None:
    desk.clock.advance_to(until)
    await refresh(desk.notifier)
    await desk.notifier.replanner.wave()
    for claim in await desk.notifier.sender._claim():
        await desk.notifier.sender._work(claim)


async def ledger(desk: Clinic) -> list[tuple[str, str, str | None]]:
    return [(row.step, row.state, row.reason) for row in await desk.rows()]


async def test_disarmed_nothing_goes_out_whatever_is_due(desk: Clinic, smtp: SmtpServer) -> None:
    async with desk.notifier.store.read() as connection:
        assert await get_armed_at(connection, desk.tenant) is None
    for moment in STEPS:
        await pass_time(desk, moment)
    assert smtp.mails == []


async def test_steps_from_before_are_skipped_and_not_caught_up_in_one_mail(desk: Clinic, smtp: SmtpServer) -> None:
    desk.clock.advance_to(STEPS[1] + timedelta(hours=1))
    assert await set_armed(desk, desk.clock.now()) == 1
    assert await ledger(desk) == [
        ("P14D", "skipped", "before_arming"), ("P3D", "skipped", "before_arming"), ("P1D", "planned", None),
    ]  # fmt: skip
    await pass_time(desk, STEPS[1] + timedelta(hours=2))
    assert smtp.mails == []
    await pass_time(desk, STEPS[2])
    assert len(smtp.mails) == 1


async def test_armed_for_later_everything_before_is_left_to_whoever_is_responsible_until_then(
    desk: Clinic, smtp: SmtpServer
) -> None:
    await set_armed(desk, STEPS[2])
    assert [row[1] for row in await ledger(desk)] == ["skipped", "skipped", "planned"]
    for moment in STEPS:
        await pass_time(desk, moment)
    assert len(smtp.mails) == 1


async def test_armed_earlier_after_all_what_is_still_ahead_is_planned_again(desk: Clinic) -> None:
    await set_armed(desk, STEPS[2])
    await set_armed(desk, desk.clock.now())
    assert await ledger(desk) == [("P14D", "planned", None), ("P3D", "planned", None), ("P1D", "planned", None)]


async def test_another_tenant_stays_as_it_is(desk: Clinic) -> None:
    async with desk.notifier.store.write() as connection:
        assert await arm(connection, "kaiser", desk.clock.now()) == 0
    async with desk.notifier.store.read() as connection:
        assert await get_armed_at(connection, desk.tenant) is None
        assert await get_armed_at(connection, "kaiser") == desk.clock.now()
