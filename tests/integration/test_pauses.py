"""A program's mail is stopped and let go on by operators; who, when and why stays. On both stores."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from chassis.settings import StoreSettings
from schemas.appointment import AppointmentStatus
from schemas.outcomes import Kind
from services.notifier.store.pauses import get_paused
from services.notifier.tables import worklist
from tests.support.clinic import Clinic, clinic, new_id, refresh
from tests.support.office import Office, office
from tests.support.smtp_server import SmtpServer

VISIT = datetime(2027, 3, 16, 16, 30, tzinfo=UTC)
FIRST = datetime(2027, 3, 2, 18, 0, tzinfo=UTC)


@pytest.fixture
async def smtp() -> AsyncIterator[SmtpServer]:
    async with SmtpServer() as server:
        yield server


@pytest.fixture
async def at(store_settings: StoreSettings, smtp: SmtpServer) -> AsyncIterator[Office]:
    """An office with one consultation on 16 March."""
    async with clinic(store_settings, smtp.port) as desk, office(desk) as opened:
        patient_id = new_id()
        visit = desk.visit(patient_id, new_id(), VISIT, told=True)
        await desk.hear(desk.patient(patient_id), desk.enrolment(patient_id), visit)
        yield opened


async def send_what_is_due(desk: Clinic) -> None:
    await refresh(desk.notifier)
    await desk.notifier.replanner.wave()
    for claim in await desk.notifier.sender._claim():
        await desk.notifier.sender._work(claim)


async def first(desk: Clinic) -> tuple[str, str | None]:
    row = next(each for each in await desk.rows() if each.step == "P14D")
    return row.state, row.reason


async def pause(at: Office, kind: Kind | None = None, who: str = "operator", **more: Any) -> dict[str, Any]:
    body = {"program": at.desk.program, "kind": kind, "reason": "wrong phone number", **more}
    answer = await at.post("/v1/pauses", body, who)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def resume(at: Office, kind: Kind | None = None) -> dict[str, Any]:
    body = {"program": at.desk.program, "kind": kind, "reason": "number mended"}
    return dict((await at.post("/v1/pauses/end", body, "operator")).json())


@pytest.mark.parametrize("kind", [None, Kind.REMINDER])
async def test_what_is_paused_is_held_and_goes_out_after_the_pause(
    at: Office, smtp: SmtpServer, kind: Kind | None
) -> None:
    assert (await pause(at, kind))["changed"]
    at.desk.clock.advance_to(FIRST)
    await send_what_is_due(at.desk)
    assert (await first(at.desk), smtp.mails) == (("held", "program_paused"), [])
    assert await resume(at, kind) == {"program": at.desk.program, "kind": kind, "changed": True, "patients": 1}
    await send_what_is_due(at.desk)
    assert (await first(at.desk))[0] == "sent"
    assert len(smtp.mails) == 1


async def test_a_pause_of_another_kind_holds_nothing(at: Office, smtp: SmtpServer) -> None:
    await pause(at, Kind.CANCELLATION)
    at.desk.clock.advance_to(FIRST)
    await send_what_is_due(at.desk)
    assert ((await first(at.desk))[0], len(smtp.mails)) == ("sent", 1)


async def test_what_is_of_no_use_after_the_pause_is_missed_and_never_sent_late(at: Office, smtp: SmtpServer) -> None:
    await pause(at)
    at.desk.clock.advance_to(FIRST)
    await send_what_is_due(at.desk)
    at.desk.clock.advance_to(VISIT + timedelta(hours=1))
    await resume(at)
    await send_what_is_due(at.desk)
    assert ((await first(at.desk))[0], smtp.mails) == ("missed", [])


async def test_a_cancellation_under_a_pause_is_a_phone_task(at: Office, smtp: SmtpServer) -> None:
    row = (await at.desk.rows())[0]
    await pause(at)
    off = at.desk.visit(row.patient_id, row.appointment_id, VISIT, status=AppointmentStatus.CANCELLED)
    await at.desk.hear(off)
    at.desk.clock.advance_to(at.desk.clock.now() + timedelta(days=3))
    await send_what_is_due(at.desk)
    notice = next(each for each in await at.desk.rows() if each.kind == Kind.CANCELLATION)
    assert (notice.state, notice.reason, smtp.mails) == ("held", "program_paused", [])
    async with at.desk.notifier.store.read() as connection:
        codes = (await connection.execute(select(worklist.c.code))).scalars().all()
    assert sorted(codes) == ["call_patient", "program_paused"]


async def test_who_when_and_why_is_kept_and_a_second_pause_changes_nothing(at: Office) -> None:
    assert (await pause(at))["changed"]
    assert not (await pause(at, reason="me too"))["changed"]
    await resume(at)
    assert not (await resume(at))["changed"]
    await pause(at, reason="again")
    listed = (await at.get("/v1/pauses", "operator")).json()["pauses"]
    assert sorted((each["paused_by"], each["paused_for"], each["resumed_for"]) for each in listed) == [
        ("operator", "again", None),
        ("operator", "wrong phone number", "number mended"),
    ]
    assert all(each["paused_at"].startswith("2027-02-26T17:00:00") for each in listed)


async def test_one_pause_ends_and_the_other_stands(at: Office) -> None:
    await pause(at)
    await pause(at, Kind.REMINDER)
    await resume(at)
    async with at.desk.notifier.store.read() as connection:
        assert await get_paused(connection, at.desk.tenant) == {(at.desk.program, Kind.REMINDER)}


async def test_only_operators_pause_and_only_programs_of_their_scope(at: Office) -> None:
    body = {"program": at.desk.program, "reason": "x"}
    assert (await at.post("/v1/pauses", body, "staff")).status_code == 403
    for who in ("narrow", "other"):
        assert (await at.post("/v1/pauses", body, who)).status_code == 404
        assert (await at.post("/v1/pauses/end", body, who)).status_code == 404
        assert (await at.get("/v1/pauses", who)).json() == {"pauses": []}
    for wrong in ({"reason": " "}, {"kind": "unknown"}, {"kind": "letters"}, {"program": "No Such"}):
        assert (await at.post("/v1/pauses", body | wrong, "operator")).status_code in (400, 422)
