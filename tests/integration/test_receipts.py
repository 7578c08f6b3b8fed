"""What the ledger makes of an answer: in time, late, never, or to a repeat."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update

from chassis.settings import StoreSettings
from chassis.store import database_now
from schemas.appointment import AppointmentStatus
from services.notifier.smtp import Phase, Receipt, Verdict
from services.notifier.store.claims import claim_uncertain
from services.notifier.tables import deliveries, mails, suppressions, told
from tests.support.clinic import Clinic, clinic, new_id
from tests.support.sending import (
    ACCEPTED,
    BUSY,
    FIRST,
    UNKNOWN,
    VISIT,
    booked,
    check,
    claim,
    claim_again,
    force,
    hand_over,
    one,
    open_items,
    read,
    record,
)

pytest_plugins = ["tests.support.stores"]

NOBODY = 9
"""A port on which nothing listens: each step is taken by hand."""
SOON = timedelta(minutes=15)


async def notice_handed_over(desk: Clinic) -> str:
    """A cancellation notice is on its way; its patient."""
    patient, visit = await booked(desk)
    await desk.hear(desk.visit(patient, visit, VISIT, status=AppointmentStatus.CANCELLED))
    desk.clock.advance_to(desk.clock.now() + SOON)
    claimed = await claim(desk)
    await hand_over(desk, claimed)
    await record(desk, claimed, UNKNOWN)
    await force(desk, update(deliveries).where(deliveries.c.state == "uncertain").values(lease_until=database_now(-1)))
    return patient


async def notices(desk: Clinic) -> list[str]:
    return [row.state for row in await desk.rows() if row.kind == "appointment-cancellation"]


async def test_a_visit_moved_while_its_reminder_is_on_the_way_still_gets_its_change_notice(
    store_settings: StoreSettings,
) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        patient, visit = await booked(desk, told=False)
        desk.clock.advance_to(FIRST)
        claimed = await claim(desk)
        await hand_over(desk, claimed)
        await desk.hear(desk.visit(patient, visit, VISIT + timedelta(days=2), name="appointment.rescheduled"))
        await record(desk, claimed, ACCEPTED)
        [heard] = await read(desk, select(told))
        assert (heard.sequence, heard.start, heard.certain) == (1, VISIT, True)
        assert "appointment-change" in {row.kind for row in await desk.rows() if row.state == "planned"}


async def test_what_a_dead_sender_may_have_told_is_what_its_mail_said(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        patient, visit = await booked(desk, told=False)
        desk.clock.advance_to(FIRST)
        await hand_over(desk, await claim(desk))
        await desk.hear(desk.visit(patient, visit, VISIT, status=AppointmentStatus.CANCELLED))
        await force(desk, update(deliveries).values(lease_until=database_now(-1)))
        await desk.notifier.sweeper.sweep()
        [heard] = await read(desk, select(told))
        assert (heard.start, heard.certain) == (VISIT, False)
        assert await notices(desk) == ["planned"]


async def test_an_answer_after_the_lease_turns_uncertain_into_sent(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        await booked(desk, told=False)
        desk.clock.advance_to(FIRST)
        claimed = await claim(desk)
        await hand_over(desk, claimed)
        await force(desk, update(deliveries).values(lease_until=database_now(-1)))
        await desk.notifier.sweeper.sweep()
        assert (await one(desk, "P14D")).state == "uncertain"
        await record(desk, claimed, ACCEPTED)
        assert (await one(desk, "P14D")).state == "sent"
        assert [row.certain for row in await read(desk, select(told))] == [True]
        assert [row.verdict for row in await read(desk, select(mails))] == ["accepted"]


async def test_a_reminder_that_may_be_lost_is_no_call(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        await booked(desk)
        desk.clock.advance_to(FIRST)
        claimed = await claim(desk)
        await hand_over(desk, claimed)
        await record(desk, claimed, UNKNOWN)
        assert await open_items(desk) == set()


async def test_what_is_said_of_the_first_mail_says_nothing_of_its_repeat(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        await notice_handed_over(desk)
        again = await claim_again(desk)
        await hand_over(desk, again)
        for receipt in (BUSY, UNKNOWN, ACCEPTED):
            await record(desk, replace(again, token=new_id(), again=False), receipt)
            assert await notices(desk) == ["sending"]


async def test_only_a_safety_notices_bytes_are_kept_and_they_are_sealed(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        await notice_handed_over(desk)
        await booked(desk, email="other@example.org")
        desk.clock.advance_to(FIRST)
        await hand_over(desk, await claim(desk))
        kept = {row.kind: row.content for row in await read(desk, select(mails))}
        assert kept["appointment-reminder"] is None
        assert b"Subject" not in kept["appointment-cancellation"]


async def test_a_late_no_leaves_uncertain_what_was_called_uncertain(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        await booked(desk)
        desk.clock.advance_to(FIRST)
        claimed = await claim(desk)
        await hand_over(desk, claimed)
        await force(desk, update(deliveries).values(lease_until=database_now(-1)))
        await desk.notifier.sweeper.sweep()
        await record(desk, claimed, BUSY)
        assert (await one(desk, "P14D")).state == "uncertain"


async def test_a_repeat_that_is_put_off_stays_uncertain_and_is_repeated_later(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        await notice_handed_over(desk)
        again = await claim_again(desk)
        await hand_over(desk, again)
        await record(desk, again, BUSY)
        assert await notices(desk) == ["uncertain"]
        assert [(row.verdict, row.resends) for row in await read(desk, select(mails))] == [("uncertain", 0)]
        await force(desk, update(deliveries).values(lease_until=database_now(-1)))
        again = await claim_again(desk)
        await hand_over(desk, again)
        await record(desk, again, ACCEPTED)
        assert await notices(desk) == ["sent"]
        assert len(await read(desk, select(mails))) == 1


async def test_a_repeat_that_is_refused_leaves_the_first_uncertain_and_staff_at_the_phone(
    store_settings: StoreSettings,
) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        await notice_handed_over(desk)
        again = await claim_again(desk)
        await hand_over(desk, again)
        await record(desk, again, Receipt(Verdict.REFUSED, Phase.DOT, 554, "5.7.1"))
        assert await notices(desk) == ["uncertain"]
        assert [(row.verdict, row.resends) for row in await read(desk, select(mails))] == [("uncertain", 1)]
        assert await open_items(desk) == {"call_patient"}


async def test_a_notice_of_no_use_any_more_is_not_repeated(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        await notice_handed_over(desk)
        async with desk.notifier.store.write() as connection:
            assert await claim_uncertain(connection, VISIT, new_id(), 1) == []
            assert len(await claim_uncertain(connection, VISIT - SOON, new_id(), 1)) == 1


async def test_a_repeat_that_the_guard_refuses_stays_uncertain(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        patient = await notice_handed_over(desk)
        await desk.hear(desk.preference(patient, email=False, reminders=False, forms=False))
        assert await check(desk, await claim_again(desk)) is None
        assert await notices(desk) == ["uncertain"]


async def test_nobody_is_asked_to_phone_once_the_repeat_has_arrived(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        await notice_handed_over(desk)
        assert await open_items(desk) == {"call_patient"}
        again = await claim_again(desk)
        await hand_over(desk, again)
        await record(desk, again, ACCEPTED)
        assert await open_items(desk) == set()


async def test_a_no_for_now_is_backed_off_from_although_the_guard_had_put_the_mail_off(
    store_settings: StoreSettings,
) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        await booked(desk)
        desk.clock.advance_to(FIRST + timedelta(hours=1))
        later = {"due_at": FIRST + timedelta(minutes=30), "reason": "cap_reached"}
        await force(desk, update(deliveries).where(deliveries.c.step == "P14D").values(**later))
        claimed = await claim(desk)
        await hand_over(desk, claimed)
        await record(desk, claimed, BUSY)
        row = await one(desk, "P14D")
        assert (row.state, row.not_before is None) == ("planned", False)


async def test_no_attempt_is_counted_when_the_relay_goes_away_in_the_last_moment(
    store_settings: StoreSettings,
) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        await booked(desk)
        desk.clock.advance_to(FIRST)
        claimed = await claim(desk)
        await hand_over(desk, claimed)
        await record(desk, claimed, Receipt(Verdict.UNSENT, Phase.CONNECT))
        assert (await one(desk, "P14D")).attempts == 0


async def test_a_refusal_suppresses_the_address_the_mail_went_to_not_the_one_given_since(
    store_settings: StoreSettings,
) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        patient, _ = await booked(desk)
        desk.clock.advance_to(FIRST)
        claimed = await claim(desk)
        await hand_over(desk, claimed)
        await desk.hear(desk.patient(patient, email="new@example.org"))
        await record(desk, claimed, Receipt(Verdict.REFUSED, Phase.RCPT, 550, "5.1.1"))
        [mail] = await read(desk, select(mails))
        assert [row.address_hash for row in await read(desk, select(suppressions))] == [mail.address_hash]
        desk.clock.advance_to(datetime(2027, 3, 13, 18, 0, tzinfo=UTC))
        assert await check(desk, await claim(desk)) is not None
