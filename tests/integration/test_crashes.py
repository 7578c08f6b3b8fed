"""A notifier is killed in the middle of a mail: nothing is lost, nothing comes twice, what nobody knows is listed."""

import pytest
from sqlalchemy import update

from chassis.settings import StoreSettings
from chassis.store import database_now
from schemas.appointment import AppointmentStatus
from services.notifier.reconcile import Report, reconcile
from services.notifier.store.claims import claim_due, claim_uncertain
from services.notifier.tables import deliveries
from tests.support.clinic import Clinic, clinic, new_id
from tests.support.doomed import doomed
from tests.support.eventually import eventually
from tests.support.sending import FIRST, VISIT, at_work, booked, force, one
from tests.support.smtp_server import Deed, SmtpServer
from tests.support.smtp_session import Step

pytest_plugins = ["tests.support.stores"]


async def end_leases(desk: Clinic) -> None:
    """As if the dead process's leases had run out."""
    held = deliveries.c.lease_until.is_not(None)
    await force(desk, update(deliveries).where(held).values(lease_until=database_now(-1)))


async def report(desk: Clinic) -> Report:
    async with desk.notifier.store.read() as connection:
        return await reconcile(connection, desk.clock.now())


async def killed_at(desk: Clinic, store: StoreSettings, smtp: SmtpServer, step: Step) -> None:
    """Kill a notifier while the server keeps it waiting at ``step``."""
    smtp.script(step, Deed.STALL)
    async with doomed(desk, store, smtp.port):
        await eventually(lambda: smtp.stalled, within=30)
    smtp.release()
    await eventually(lambda: not smtp.open_connections)


async def test_what_a_killed_process_had_only_claimed_is_sent_once_by_another(store_settings: StoreSettings) -> None:
    async with SmtpServer() as smtp, clinic(store_settings, smtp.port) as desk:
        await booked(desk)
        desk.clock.advance_to(FIRST)
        async with doomed(desk, store_settings, smtp.port, halt=True) as said:
            assert said == "claimed"
        assert (await one(desk, "P14D")).state == "claimed"
        await end_leases(desk)
        async with at_work(desk):
            await eventually(lambda: smtp.mails)
        assert len(smtp.mails) == 1
        assert (await one(desk, "P14D")).state == "sent"
        after = await report(desk)
        assert (after.balanced, after.uncertain) == (True, ())


@pytest.mark.parametrize("step", ["mail", "body", "dot"])
async def test_a_reminder_in_a_killed_process_hands_is_uncertain_and_never_sent_again(
    store_settings: StoreSettings, step: Step
) -> None:
    """After ``sending`` and before any of the mail, inside DATA, and after the dot before its answer."""
    async with SmtpServer() as smtp, clinic(store_settings, smtp.port) as desk:
        await booked(desk)
        desk.clock.advance_to(FIRST)
        await killed_at(desk, store_settings, smtp, step)
        mails = len(smtp.mails)
        assert mails <= (0 if step == "mail" else 1)  # the dot may have been on the line already
        row = await one(desk, "P14D")
        assert row.state == "sending"
        await end_leases(desk)
        async with at_work(desk):
            await eventually(lambda: uncertain(desk))
            await end_leases(desk)
            desk.clock.advance_to((await one(desk, "P3D")).due_at)
            await eventually(lambda: len(smtp.mails) > mails)
        assert len(smtp.mails) == mails + 1
        assert [each.state for each in await desk.rows()] == ["uncertain", "sent", "planned"]
        after = await report(desk)
        assert (after.balanced, after.uncertain) == (True, (row.delivery_id,))


async def uncertain(desk: Clinic) -> bool:
    return bool((await report(desk)).uncertain)


async def notice_dies(desk: Clinic, store: StoreSettings, smtp: SmtpServer, times: int) -> str:
    """A cancellation notice whose sender is killed after the dot, again and again; its id."""
    patient, visit = await booked(desk)
    await desk.hear(desk.visit(patient, visit, VISIT, status=AppointmentStatus.CANCELLED))
    [notice] = [row for row in await desk.rows() if row.kind == "appointment-cancellation"]
    desk.clock.advance_to(notice.due_at)
    for _ in range(times):
        await killed_at(desk, store, smtp, "dot")
        await end_leases(desk)
        await desk.notifier.sweeper.sweep()
        await end_leases(desk)
    assert (await report(desk)).uncertain == (notice.delivery_id,)
    return str(notice.delivery_id)


async def test_a_safety_notice_in_a_killed_process_hands_is_sent_once_more(store_settings: StoreSettings) -> None:
    async with SmtpServer() as smtp, clinic(store_settings, smtp.port) as desk:
        await notice_dies(desk, store_settings, smtp, times=1)
        async with at_work(desk):
            await eventually(lambda: certain(desk))
        assert len({mail.content for mail in smtp.mails}) == 1
        assert len(smtp.mails) <= 2
        assert (await report(desk)).balanced


async def certain(desk: Clinic) -> bool:
    return not (await report(desk)).uncertain


async def test_a_safety_notice_is_repeated_no_third_time(store_settings: StoreSettings) -> None:
    async with SmtpServer() as smtp, clinic(store_settings, smtp.port) as desk:
        notice = await notice_dies(desk, store_settings, smtp, times=2)
        async with desk.notifier.store.write() as connection:
            assert await claim_uncertain(connection, desk.clock.now(), new_id(), 9) == []
            assert await claim_due(connection, desk.clock.now(), new_id(), 9) == []
        after = await report(desk)
        assert (after.balanced, after.uncertain) == (True, (notice,))
