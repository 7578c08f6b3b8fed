"""From intake's events to mails on a real SMTP server, and to what the ledger says of them."""

import asyncio
import email
import email.policy
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import select, update

from chassis.settings import StoreSettings
from chassis.store import database_now
from chassis.tracing import span
from schemas.appointment import AppointmentStatus, ItemStatus
from schemas.patient import PatientStatus
from services.notifier.making import make
from services.notifier.store.claims import Claim, LostClaimError, claim_due
from services.notifier.tables import deliveries, mails, outbox, suppressions, told, worklist
from tests.support.clinic import Clinic, clinic, new_id
from tests.support.eventually import eventually
from tests.support.sending import FIRST, VISIT, booked, claim, force, hand_over, in_state, one, open_clinic, read
from tests.support.smtp_server import Deed, SmtpServer

pytest_plugins = ["tests.support.stores"]


async def test_a_booked_visit_becomes_its_reminders_and_the_due_one_is_sent(store_settings: StoreSettings) -> None:
    async with open_clinic(store_settings) as (desk, smtp):
        await booked(desk)
        assert [row.step for row in await desk.rows()] == ["P14D", "P3D", "P1D"]
        desk.clock.advance_to(FIRST)
        await in_state(desk, "P14D", "sent")
        assert [row.state for row in await desk.rows()] == ["sent", "planned", "planned"]
        assert [mail.recipients for mail in smtp.mails] == [("ana@example.org",)]


async def test_nothing_goes_out_before_it_is_due_or_from_a_tenant_that_is_not_armed(
    store_settings: StoreSettings,
) -> None:
    async with SmtpServer() as smtp, clinic(store_settings, smtp.port) as desk:
        await booked(desk)
        async with desk.notifier.store.write() as connection:
            assert await claim_due(connection, FIRST - timedelta(seconds=1), new_id(), 10) == []
        desk.tenant = "kaiser"
        await booked(desk)
        async with desk.notifier.store.write() as connection:
            claims = await claim_due(connection, FIRST, new_id(), 10)
        assert [claim.key[0] for claim in claims] == ["cedars"]


async def test_forms_ride_on_the_reminder_of_the_same_day(store_settings: StoreSettings) -> None:
    async with open_clinic(store_settings) as (desk, smtp):
        patient, visit = await booked(desk)
        forms = {"patient-intake": ItemStatus.REQUESTED, "patient-privacy": ItemStatus.REQUESTED}
        await desk.hear(desk.forms(patient, new_id(), visit, forms))
        desk.clock.advance_to(desk.clock.now() + timedelta(minutes=15))
        await eventually(lambda: len(smtp.mails) == 1)
        desk.clock.advance_to(FIRST)
        await eventually(lambda: len(smtp.mails) == 2)
        subjects = [email.message_from_bytes(m.content, policy=email.policy.default)["subject"] for m in smtp.mails]
        assert subjects == ["You have a form to complete", "Appointment reminder"]
        await in_state(desk, "P14D", "sent")
        sent = [row for row in await desk.rows() if row.state == "sent" and row.due_at == FIRST]
        assert len(sent) == 2
        assert len({row.mail_id for row in sent}) == 1


@pytest.mark.parametrize("answer", ["421 4.3.2 closing", "432 4.7.0 wait", "450 4.2.1 busy"])
async def test_a_no_for_now_is_tried_again_later(store_settings: StoreSettings, answer: str) -> None:
    async with open_clinic(store_settings) as (desk, smtp):
        await booked(desk)
        smtp.script("rcpt", answer)
        desk.clock.advance_to(FIRST)
        await eventually(lambda: attempted(desk, "P14D"))
        row = await in_state(desk, "P14D", "planned")
        assert row.not_before is not None
        assert row.entered_sending is False
        await force(desk, update(deliveries).values(not_before=None))
        await in_state(desk, "P14D", "sent")
        assert len(smtp.mails) == 1


async def attempted(desk: Clinic, step: str) -> bool:
    row = await one(desk, step)
    return bool(row.attempts) and row.state != "sending"


async def test_a_refused_address_is_suppressed_and_staff_are_asked_to_phone(store_settings: StoreSettings) -> None:
    async with open_clinic(store_settings) as (desk, smtp):
        await booked(desk)
        smtp.refuse("ana@example.org", "550 5.1.1 no such user")
        desk.clock.advance_to(FIRST)
        await in_state(desk, "P14D", "failed")
        assert [row.code for row in await read(desk, select(suppressions))] == ["5.1.1"]
        assert [row.code for row in await read(desk, select(worklist))] == ["address_refused"]
        desk.clock.advance_to(datetime(2027, 3, 13, 18, 0, tzinfo=UTC))
        assert (await in_state(desk, "P3D", "held")).reason == "suppressed"
        assert smtp.mails == []


async def test_a_reminder_of_which_nobody_knows_whether_it_arrived_is_not_sent_again(
    store_settings: StoreSettings,
) -> None:
    async with open_clinic(store_settings) as (desk, smtp):
        _, visit = await booked(desk, told=False)
        smtp.script("dot", Deed.KEEP_AND_DROP)
        desk.clock.advance_to(desk.clock.now() + timedelta(minutes=15))
        desk.clock.advance_to(FIRST)
        await in_state(desk, "P14D", "uncertain")
        heard = (await read(desk, select(told).where(told.c.appointment_id == visit)))[0]
        assert (heard.start, heard.certain) == (VISIT, False)
        await force(desk, update(deliveries).where(deliveries.c.step == "P14D").values(lease_until=database_now(-1)))
        desk.clock.advance_to(datetime(2027, 3, 13, 18, 0, tzinfo=UTC))
        await in_state(desk, "P3D", "sent")
        assert (await one(desk, "P14D")).state == "uncertain"


async def test_a_change_notice_says_the_new_time_and_voids_the_old_one(store_settings: StoreSettings) -> None:
    async with open_clinic(store_settings) as (desk, smtp):
        patient, visit = await booked(desk)
        moved = VISIT + timedelta(days=2)
        await desk.hear(desk.visit(patient, visit, moved, name="appointment.rescheduled"))
        desk.clock.advance_to(desk.clock.now() + timedelta(minutes=15))
        await eventually(lambda: smtp.mails)
        message = email.message_from_bytes(smtp.mails[0].content, policy=email.policy.default)
        body = message.get_body(("plain",))
        assert message["subject"] == "Your appointment has changed"
        assert body is not None
        assert "Thursday, March 18, 2027" in body.get_content()
        assert "Tuesday, March 16 at 9:30 AM is no longer booked" in body.get_content()
        [heard] = await eventually(lambda: read(desk, select(told).where(told.c.start == moved)))
        assert heard.sequence == 2


async def test_a_safety_notice_that_may_be_lost_is_sent_once_more_with_the_same_bytes(
    store_settings: StoreSettings,
) -> None:
    async with open_clinic(store_settings) as (desk, smtp):
        patient, visit = await booked(desk)
        await desk.hear(desk.visit(patient, visit, VISIT, status=AppointmentStatus.CANCELLED))
        smtp.script("dot", Deed.KEEP_AND_DROP, times=9)
        desk.clock.advance_to(desk.clock.now() + timedelta(minutes=15))
        await eventually(lambda: read(desk, select(deliveries).where(deliveries.c.state == "uncertain")))
        expired = update(deliveries).where(deliveries.c.state == "uncertain").values(lease_until=database_now(-1))
        await force(desk, expired)
        await eventually(lambda: len(smtp.mails) == 2)
        assert smtp.mails[0].content == smtp.mails[1].content
        await eventually(lambda: read(desk, select(deliveries).where(deliveries.c.state == "uncertain")))
        await force(desk, expired)
        async with desk.notifier.store.write() as connection:
            assert await claim_due(connection, desk.clock.now(), new_id(), 9) == []
        assert [row.resends for row in await read(desk, select(mails))] == [1]


async def test_a_cancellation_that_arrives_while_a_mail_is_claimed_stops_it(store_settings: StoreSettings) -> None:
    heard = asyncio.Event()
    known: dict[str, Any] = {}

    async def cancel(claim: Claim) -> None:
        if not heard.is_set():
            heard.set()
            desk = known["desk"]
            cancelled = desk.visit(known["patient"], known["visit"], VISIT, status=AppointmentStatus.CANCELLED)
            await desk.hear(cancelled)

    async with open_clinic(store_settings, before_guard=cancel) as (desk, smtp):
        patient, visit = await booked(desk)
        known.update(desk=desk, patient=patient, visit=visit)
        desk.clock.advance_to(FIRST)
        row = await in_state(desk, "P14D", "skipped")
        assert row.reason == "visit_cancelled"
        desk.clock.advance_to(FIRST + timedelta(minutes=15))
        await eventually(lambda: smtp.mails)
        subjects = [email.message_from_bytes(m.content, policy=email.policy.default)["subject"] for m in smtp.mails]
        assert subjects == ["Your appointment is cancelled"]


async def test_a_change_after_the_guard_has_looked_takes_the_mail_back(store_settings: StoreSettings) -> None:
    async with SmtpServer() as smtp, clinic(store_settings, smtp.port) as desk:
        patient, _ = await booked(desk)
        desk.clock.advance_to(FIRST)
        sender = desk.notifier.sender
        async with desk.notifier.store.write() as connection:
            [claim] = await claim_due(connection, FIRST, new_id(), 1)
        async with desk.notifier.store.write() as connection:
            ready = (await sender.checker.check(connection, [claim])).get(claim.key)
        assert ready is not None
        await desk.hear(desk.patient(patient, status=PatientStatus.DECEASED))
        with pytest.raises(LostClaimError):
            await sender.commits.enter_sending(claim, ready, make(ready))
        assert (await one(desk, "P14D")).state == "claimed"


async def test_what_a_dead_process_had_claimed_or_handed_over_is_found_again(store_settings: StoreSettings) -> None:
    async with SmtpServer() as smtp, clinic(store_settings, smtp.port) as desk:
        await booked(desk)
        desk.clock.advance_to(FIRST)
        await claim(desk)
        dead = update(deliveries).where(deliveries.c.step == "P14D").values(lease_until=database_now(-1))
        await force(desk, dead)
        await desk.notifier.sweeper.sweep()
        assert (await one(desk, "P14D")).state == "planned"
        await hand_over(desk, await claim(desk))
        await force(desk, dead)
        await desk.notifier.sweeper.sweep()
        assert (await one(desk, "P14D")).state == "uncertain"


async def test_without_a_relay_mail_waits_and_no_attempt_is_counted(store_settings: StoreSettings) -> None:
    async with open_clinic(store_settings) as (desk, smtp):
        await booked(desk)
        await smtp.stop()
        desk.clock.advance_to(FIRST)
        await eventually(lambda: desk.notifier.sender.status()["smtp"] != "ready")
        assert (await one(desk, "P14D")).attempts == 0
        await smtp.start()
        await in_state(desk, "P14D", "sent")


async def test_a_dead_relay_is_left_alone_for_longer_and_longer_however_much_is_due(
    store_settings: StoreSettings,
) -> None:
    tries: list[float] = []

    async def tried(claim: Claim) -> None:
        tries.append(time.monotonic())

    async with open_clinic(store_settings, before_guard=tried) as (desk, smtp):
        for number in range(8):
            await booked(desk, email=f"ana{number}@example.org")
        await smtp.stop()
        desk.clock.advance_to(FIRST)
        await eventually(lambda: tries)
        await asyncio.sleep(2.5)
        later = [each for each in tries if each > tries[0] + 0.5]  # those of the first moment had not heard of it
        assert 1 <= len(later) <= 2
        await smtp.start()
        await eventually(lambda: len(smtp.mails) == 8, within=15)


async def test_a_visit_booked_in_place_of_a_cancelled_one_is_one_change_notice(store_settings: StoreSettings) -> None:
    async with open_clinic(store_settings) as (desk, smtp):
        patient, old = await booked(desk)
        new = new_id()
        await desk.hear(
            desk.visit(patient, old, VISIT, status=AppointmentStatus.CANCELLED, name="appointment.cancelled"),
            desk.visit(patient, new, VISIT + timedelta(days=2), name="appointment.scheduled"),
        )
        desk.clock.advance_to(desk.clock.now() + timedelta(minutes=15))
        await eventually(lambda: smtp.mails)
        message = email.message_from_bytes(smtp.mails[0].content, policy=email.policy.default)
        body = message.get_body(("plain",))
        assert body is not None
        assert "Thursday, March 18, 2027" in body.get_content()
        assert "Tuesday, March 16 at 9:30 AM is no longer booked" in body.get_content()
        entry = next(part for part in message.walk() if part.get_content_type() == "text/calendar")
        assert "SEQUENCE:2" in entry.get_content()
        await eventually(lambda: told_both(desk, old, new))
        assert len(smtp.mails) == 1


async def told_both(desk: Clinic, old: str, new: str) -> bool:
    heard = {row.appointment_id: row.start for row in await read(desk, select(told))}
    return heard == {old: None, new: VISIT + timedelta(days=2)}


async def test_a_mail_continues_the_trace_of_the_event_that_planned_it(store_settings: StoreSettings) -> None:
    async with open_clinic(store_settings) as (desk, _):
        spans = InMemorySpanExporter()
        desk.notifier.traces.add_span_processor(SimpleSpanProcessor(spans))
        with span(desk.notifier.traces, "batch") as batch:
            await booked(desk)
        desk.clock.advance_to(FIRST)
        await in_state(desk, "P14D", "sent")
        [mail] = await eventually(lambda: [each for each in spans.get_finished_spans() if each.name == "send mail"])
        assert mail.context.trace_id == batch.get_span_context().trace_id
        sent = (await read(desk, select(outbox).where(outbox.c.topic == "notifier.outcomes.v1")))[-1]
        headers = dict(sent.headers)
        assert f"{mail.context.trace_id:032x}" in (headers["traceparent"] or b"").decode()


async def test_the_day_before_a_visit_a_mail_says_time_and_place_only(store_settings: StoreSettings) -> None:
    async with open_clinic(store_settings) as (desk, smtp):
        patient, _ = await booked(desk)
        await desk.hear(desk.consent(patient))
        desk.clock.advance_to(datetime(2027, 3, 13, 17, 0, tzinfo=UTC))
        await eventually(lambda: len(smtp.mails) == 1)
        desk.clock.advance_to(datetime(2027, 3, 15, 17, 0, tzinfo=UTC))
        await eventually(lambda: len(smtp.mails) == 2)
        three_days, one_day = (plain_text(mail.content) for mail in smtp.mails)
        for words in ("How to get ready", "bring a spouse"):
            assert words in three_days
            assert words not in one_day


def plain_text(content: bytes) -> str:
    body = email.message_from_bytes(content, policy=email.policy.default).get_body(("plain",))
    assert body is not None
    return str(body.get_content())
