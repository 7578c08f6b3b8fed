"""Mail that is held, put off, or called off between claim and ``sending``."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from chassis.settings import StoreSettings
from chassis.store import database_now
from schemas.appointment import AppointmentStatus
from schemas.outcomes import DeliveryState
from schemas.protected import Protected
from services.notifier.commits import GUARD_SECONDS
from services.notifier.domain import Reason
from services.notifier.guard import No
from services.notifier.making import BrokenMailError, make
from services.notifier.programs import apply
from services.notifier.store.claims import LostClaimError
from services.notifier.tables import consumer, deliveries, mails, patients
from tests.support.clinic import Clinic, clinic, new_id
from tests.support.programs import CEDARS, PROGRAMS
from tests.support.sending import (
    FIRST,
    VISIT,
    booked,
    check,
    claim,
    force,
    hand_over,
    one,
    open_items,
    read,
)
from tests.support.smtp_server import SmtpServer

pytest_plugins = ["tests.support.stores"]

NOBODY = 9
"""A port on which nothing listens: each step is taken by hand."""


async def test_held_mail_is_tried_again_when_nobody_shares_the_address_any_more(
    store_settings: StoreSettings,
) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        await booked(desk)
        other, _ = await booked(desk)
        desk.clock.advance_to(FIRST)
        for _ in range(2):
            assert await check(desk, await claim(desk)) is None
        assert {row.reason for row in await desk.rows() if row.step == "P14D"} == {"unverified_address"}
        await desk.hear(desk.patient(other, email="other@example.org"))
        await desk.notifier.replanner.wave()
        assert {row.state for row in await desk.rows() if row.step == "P14D"} == {"planned"}


async def test_a_new_program_tries_held_mail_again_and_time_alone_does_not(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        await booked(desk, email=None)
        desk.clock.advance_to(FIRST)
        assert await check(desk, await claim(desk)) is None
        await force(desk, update(patients).values(replan_at=FIRST))
        assert await desk.notifier.replanner.wave() == 1
        assert (await one(desk, "P14D")).state == "held"
        async with desk.notifier.store.write() as connection:
            await apply(connection, PROGRAMS, desk.clock.now(), demo=True)
        assert await desk.notifier.replanner.wave() == 1
        assert (await one(desk, "P14D")).state == "planned"


async def test_a_mail_that_goes_out_closes_no_hold_under_which_another_stands(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        patient, _ = await booked(desk, email=None)
        await desk.hear(desk.visit(patient, new_id(), VISIT + timedelta(days=1), told=True))
        desk.clock.advance_to(FIRST)
        assert await check(desk, await claim(desk)) is None
        await desk.hear(desk.patient(patient))
        assert await open_items(desk) == {"no_address"}
        claimed = await claim(desk)
        async with desk.notifier.store.write() as connection:
            held = No(Reason.RENDER_ERROR, DeliveryState.HELD)
            await desk.notifier.sender.checker.refuse(connection, claimed, held)
        assert await open_items(desk) == {"no_address", "render_error"}
        desk.clock.advance_to(FIRST + timedelta(days=1))
        await hand_over(desk, await claim(desk))
        assert await open_items(desk) == {"render_error"}


async def test_a_hold_ends_with_the_last_mail_that_stood_under_it(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        patient, visit = await booked(desk, told=False, email=None)
        desk.clock.advance_to(FIRST)
        assert await check(desk, await claim(desk)) is None
        assert await open_items(desk) == {"no_address"}
        await desk.hear(desk.enrolment(patient))
        assert await open_items(desk) == {"no_address"}
        assert await check(desk, await claim(desk)) is None
        await desk.hear(desk.visit(patient, visit, VISIT, status=AppointmentStatus.CANCELLED))
        assert await open_items(desk) == set()


async def test_a_hold_ends_when_the_guard_ends_its_last_mail(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        patient, _ = await booked(desk, email=None)
        desk.clock.advance_to(FIRST)
        assert await check(desk, await claim(desk)) is None
        await desk.hear(desk.preference(patient, email=True, reminders=False, forms=True))
        assert await open_items(desk) == {"no_address"}
        assert await check(desk, await claim(desk)) is None
        assert (await one(desk, "P14D")).reason == "opted_out"
        assert await open_items(desk) == set()


async def test_a_safety_notice_that_cannot_be_sent_is_a_call(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        patient, visit = await booked(desk, email=None)
        await desk.hear(desk.visit(patient, visit, VISIT, status=AppointmentStatus.CANCELLED))
        desk.clock.advance_to(desk.clock.now() + timedelta(minutes=15))
        assert await check(desk, await claim(desk)) is None
        assert await open_items(desk) == {"no_address", "call_patient"}


async def test_what_no_civil_time_ends_is_looked_at_again_by_the_databases_clock(
    store_settings: StoreSettings,
) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        await booked(desk)
        desk.clock.advance_to(FIRST)
        await force(desk, consumer.positions.update().values(caught_up_at=database_now(-3600)))
        assert await check(desk, await claim(desk)) is None
        row = await one(desk, "P14D")
        assert (row.state, row.reason, row.not_before is None) == ("planned", "stale_truth", False)


async def test_what_the_plan_calls_off_while_claimed_is_not_forgotten_when_the_guard_puts_it_off(
    store_settings: StoreSettings,
) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        patient, _ = await booked(desk)
        desk.clock.advance_to(FIRST)
        claimed = await claim(desk)
        await force(desk, update(deliveries).where(deliveries.c.step == "P14D").values(cancel_requested="superseded"))
        await force(desk, consumer.positions.update().values(caught_up_at=database_now(-3600)))
        assert await check(desk, claimed) is None
        [row] = await read(desk, select(patients).where(patients.c.patient_id == patient))
        assert row.stale


async def test_what_the_plan_has_called_off_while_claimed_is_left_to_it(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        await booked(desk)
        desk.clock.advance_to(FIRST)
        claimed = await claim(desk)
        await force(desk, update(deliveries).where(deliveries.c.step == "P14D").values(cancel_requested="superseded"))
        assert await check(desk, claimed) is None
        row = await one(desk, "P14D")
        assert (row.state, row.cancel_requested) == ("planned", None)
        assert [row.stale for row in await read(desk, select(patients))] == [True]


async def test_a_guard_that_has_looked_too_long_ago_lets_nothing_out(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        await booked(desk)
        desk.clock.advance_to(FIRST)
        claimed = await claim(desk)
        ready = await check(desk, claimed)
        assert ready is not None
        old = replace(ready, at=ready.at - GUARD_SECONDS - 1)
        with pytest.raises(LostClaimError):
            await desk.notifier.sender.commits.enter_sending(claimed, old, make(ready))
        assert (await one(desk, "P14D")).state == "claimed"


async def test_an_address_that_no_server_can_be_told_is_held_before_the_hand_over(
    store_settings: StoreSettings,
) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        await booked(desk)
        desk.clock.advance_to(FIRST)
        ready = await check(desk, await claim(desk))
        assert ready is not None
        patient = ready.sending.truth.patient
        assert patient is not None
        truth = replace(ready.sending.truth, patient=replace(patient, email=Protected("ana rivera@example.org")))
        with pytest.raises(BrokenMailError):
            make(replace(ready, sending=replace(ready.sending, truth=truth)))


async def test_the_breaker_of_one_program_holds_up_no_mail_of_another(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, NOBODY) as desk:
        patient, _ = await booked(desk)
        other = CEDARS.model_copy(update={"public_code": "zzzz"})
        async with desk.notifier.store.write() as connection:
            both = {CEDARS.public_code: CEDARS, "zzzz": other}
            await apply(connection, both, desk.clock.now(), demo=True)
        desk.program = "zzzz"
        await desk.hear(desk.enrolment(patient), desk.visit(patient, new_id(), VISIT, told=True))
        desk.clock.advance_to(FIRST)
        many = CEDARS.policy.volume_per_hour
        await force(desk, mails.insert().values([_mail(desk, f"{number:036}") for number in range(many)]))
        ready = await check(desk, await claim(desk))
        assert ready is not None
        assert ready.sending.program.public_code == "zzzz"
        rows = {row.program: row.reason for row in await desk.rows() if row.due_at > FIRST and row.reason}
        assert rows == {CEDARS.public_code: "breaker_open"}


def _mail(desk: Clinic, mail_id: str) -> dict[str, object]:
    return {
        "mail_id": mail_id, "tenant": desk.tenant, "patient_id": new_id(), "program": CEDARS.public_code,
        "kind": "appointment-reminder", "tier": 0, "message_id": mail_id, "address_hash": mail_id,
        "program_version": "v", "template_version": "v", "looked_at": "{}", "sending_at": FIRST,
        "verdict": "accepted",
    }  # fmt: skip


async def test_a_mail_whose_commit_was_never_heard_of_is_not_uncertain_and_goes_out_later(
    store_settings: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with SmtpServer() as smtp, clinic(store_settings, smtp.port) as desk:
        await booked(desk)
        desk.clock.advance_to(FIRST)
        commits = desk.notifier.sender.commits
        enter = commits.enter_sending

        async def unheard(*mail: Any) -> bytes:
            await enter(*mail)
            raise ConnectionResetError

        monkeypatch.setattr(commits, "enter_sending", unheard)
        await desk.notifier.sender._work(await claim(desk))
        row = await one(desk, "P14D")
        assert (row.state, row.attempts) == ("planned", 0)
        monkeypatch.undo()
        await force(desk, update(deliveries).values(not_before=None))
        await desk.notifier.sender._work(await claim(desk))
        assert (await one(desk, "P14D")).state == "sent"
        assert len(smtp.mails) == 1
