"""The ledger adds up, and when it is broken by hand in any of these ways, that is found. On both stores."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, update

from chassis.metrics import Metrics
from chassis.settings import StoreSettings
from chassis.store import database_now
from schemas.appointment import AppointmentStatus
from services.notifier.making import make
from services.notifier.reconcile import Report, reconcile
from services.notifier.tables import deliveries, history, mails
from services.notifier.timers import Reconciler
from tests.support.clinic import Clinic, clinic, new_id, refresh
from tests.support.eventually import eventually
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


async def look(desk: Clinic, tenant: str | None = None) -> Report:
    async with desk.notifier.store.read() as connection:
        return await reconcile(connection, desk.clock.now(), tenant)


async def force(desk: Clinic, *statements: Any) -> None:
    async with desk.notifier.store.write() as connection:
        for each in statements:
            await connection.execute(each)


async def sent(desk: Clinic) -> Any:
    """A booked patient whose first reminder went out: its row."""
    patient_id = new_id()
    await desk.hear(
        desk.patient(patient_id), desk.enrolment(patient_id), desk.visit(patient_id, new_id(), VISIT, told=True)
    )
    desk.clock.advance_to(FIRST)
    await send_what_is_due(desk)
    return next(row for row in await desk.rows() if row.step == "P14D")


async def send_what_is_due(desk: Clinic) -> None:
    await refresh(desk.notifier)
    for claim in await desk.notifier.sender._claim():
        await desk.notifier.sender._work(claim)


def codes(report: Report) -> list[str]:
    return [each.code for each in report.findings]


async def test_a_ledger_that_lived_through_everything_adds_up(desk: Clinic, smtp: SmtpServer) -> None:
    smtp.script("rcpt", "450 4.2.1 busy")
    row = await sent(desk)
    assert row.state == "planned"
    await force(desk, update(deliveries).values(not_before=None))
    await send_what_is_due(desk)
    people = [(new_id(), new_id()) for _ in range(5)]
    for number, (patient, visit) in enumerate(people):
        start = VISIT + timedelta(hours=number)
        address = None if number == 4 else f"p{number}@example.org"
        await desk.hear(
            desk.patient(patient, email=address), desk.enrolment(patient), desk.visit(patient, visit, start, told=True)
        )
    smtp.refuse("p0@example.org", "550 5.1.1 no such user")
    smtp.script("dot", Deed.KEEP_AND_DROP)
    await desk.hear(desk.visit(*people[1], VISIT, status=AppointmentStatus.CANCELLED))
    await desk.hear(desk.preference(people[2][0], reminders=False))
    desk.clock.advance_to(datetime(2027, 3, 13, 18, 0, tzinfo=UTC))
    for _ in range(3):
        await send_what_is_due(desk)
    desk.clock.advance_to(datetime(2027, 3, 16, 18, 0, tzinfo=UTC))
    await desk.notifier.replanner.wave()
    report = await look(desk)
    assert report.findings == ()
    assert report.balanced
    states = {row.state for row in await desk.rows()}
    assert {"sent", "failed", "skipped", "cancelled", "missed", "uncertain"} <= states
    uncertain = [row.delivery_id for row in await desk.rows() if row.state == "uncertain"]
    assert report.uncertain == tuple(sorted(uncertain))
    assert str(report.total).startswith(f"planned {len(await desk.rows())} = sent ")


async def test_claimed_and_sending_are_in_the_sum_without_a_row_of_history(desk: Clinic) -> None:
    await sent(desk)
    desk.clock.advance_to(datetime(2027, 3, 13, 18, 0, tzinfo=UTC))
    [claim] = await desk.notifier.sender._claim()
    assert (await look(desk)).balanced
    async with desk.notifier.store.write() as connection:
        ready = (await desk.notifier.sender.checker.check(connection, [claim])).get(claim.key)
    assert ready is not None
    await desk.notifier.sender.commits.enter_sending(claim, ready, make(ready))
    assert {row.state for row in await desk.rows()} == {"sent", "sending", "planned"}
    assert (await look(desk)).balanced


async def test_tenants_are_added_up_alone(desk: Clinic) -> None:
    row = await sent(desk)
    await force(desk, delete(history).where(history.c.delivery_id == row.delivery_id))
    assert not (await look(desk, "cedars")).balanced
    assert (await look(desk, "kaiser")).balanced
    assert (await look(desk, "kaiser")).equations == ()


def broken(row: Any) -> dict[str, list[Any]]:
    """One way to break the ledger for each finding."""
    mine, its = deliveries.c.delivery_id == row.delivery_id, history.c.delivery_id == row.delivery_id
    mail = mails.c.mail_id == row.mail_id
    planned = deliveries.c.state == "planned"
    line = {"delivery_id": row.delivery_id, "at": FIRST, "by": "plan"}
    return {
        "state_unexplained": [update(deliveries).where(mine).values(state="cancelled")],
        "history_broken": [insert(history).values(**line, from_state="sent", to_state="sent")],
        "history_broken ": [insert(history).values(**line, from_state="held", to_state="skipped")],
        "no_history": [delete(history).where(its)],
        "vanished": [delete(deliveries).where(mine), delete(mails)],
        "mail_disagrees": [update(mails).where(mail).values(verdict="refused")],
        "mail_disagrees ": [update(deliveries).where(mine).values(mail_id=None), delete(mails)],
        "orphan_mail": [insert(mails).values(**another(row), verdict="accepted")],
        "orphan_mail ": [insert(mails).values(**another(row), verdict=None)],
        "overdue": [update(deliveries).where(planned).values(useful_until=FIRST - timedelta(minutes=11))],
        "abandoned": [update(deliveries).where(planned).values(state="claimed", lease_until=database_now(-61))],
        "abandoned ": [update(deliveries).where(planned).values(state="claimed", lease_until=None)],
    }


def another(row: Any) -> dict[str, Any]:
    return {
        "mail_id": new_id(), "tenant": row.tenant, "patient_id": row.patient_id, "program": row.program,
        "kind": row.kind, "tier": 0, "message_id": "<x@y>", "address_hash": "h", "program_version": "v",
        "template_version": "v", "looked_at": "{}", "sending_at": FIRST,
    }  # fmt: skip


WAYS = [
    "state_unexplained", "history_broken", "history_broken ", "no_history", "vanished", "mail_disagrees",
    "mail_disagrees ", "orphan_mail", "orphan_mail ", "overdue", "abandoned", "abandoned ",
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
async def test_a_broken_ledger_is_found_and_named_with_its_ids(desk: Clinic, way: str) -> None:
    row = await sent(desk)
    assert (await look(desk)).balanced
    ways = broken(row)
    assert sorted(ways) == sorted(WAYS)
    await force(desk, *ways[way])
    report = await look(desk)
    assert not report.balanced
    finding = next(each for each in report.findings if each.code == way.strip())
    assert finding.ids
    if way.strip() not in ("orphan_mail", "overdue", "abandoned"):
        assert finding.ids == (row.delivery_id,)


async def test_a_delivery_without_a_beginning_unbalances_the_equation(desk: Clinic) -> None:
    row = await sent(desk)
    await force(desk, delete(history).where(history.c.delivery_id == row.delivery_id))
    report = await look(desk)
    assert not report.total.balanced
    assert str(report.total).endswith("NOT BALANCED")


async def test_the_daily_look_is_made_once_a_civil_day_and_alarms_only_when_a_second_look_agrees(desk: Clinic) -> None:
    row = await sent(desk)
    metrics = Metrics("notifier")
    daily = Reconciler(desk.notifier.store, desk.clock, metrics)
    assert (await daily.look(asyncio.Event(), 0.0)).balanced
    assert daily.status() == {"last": "2027-03-02", "balanced": True}
    await force(desk, delete(history).where(history.c.delivery_id == row.delivery_id))
    assert not (await daily.look(asyncio.Event(), 0.0)).balanced
    assert daily.status()["balanced"] is False
    said = metrics.registry.exposition()
    assert b'upright_ledger_unbalanced{service="notifier"} 1.0' in said
    assert b'upright_ledger_difference{service="notifier"} 1.0' in said


async def test_the_daily_look_runs_as_a_part_and_stops_when_told(desk: Clinic) -> None:
    await sent(desk)
    daily, stopping = Reconciler(desk.notifier.store, desk.clock, Metrics("notifier")), asyncio.Event()
    task = asyncio.create_task(daily.run(stopping))
    await eventually(lambda: daily.status()["last"] == "2027-03-02")
    stopping.set()
    await task
