"""The notifier over HTTP, on both stores: why, lists, previews, arming; each within the caller's scope."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from chassis.migrations import drift, migrate, pending
from chassis.settings import StoreSettings
from chassis.store import Store
from schemas.patient import ConsentScope
from services.notifier.tables import deliveries, history, mails, outbox, patients, subjects, worklist
from tests.support.clinic import NOON, Clinic, clinic, new_id, refresh
from tests.support.office import Office, change, office, visit_data
from tests.support.smtp_server import SmtpServer

VISIT = datetime(2027, 3, 16, 16, 30, tzinfo=UTC)
FIRST = datetime(2027, 3, 2, 18, 0, tzinfo=UTC)


@pytest.fixture
async def at(store_settings: StoreSettings) -> AsyncIterator[Office]:
    async with SmtpServer() as smtp, clinic(store_settings, smtp.port) as desk, office(desk) as opened:
        yield opened


async def booked(desk: Clinic, **patient: Any) -> tuple[str, str]:
    patient_id, visit_id = new_id(), new_id()
    events = [
        desk.patient(patient_id, **patient),
        desk.enrolment(patient_id),
        desk.visit(patient_id, visit_id, VISIT, told=True),
    ]
    await desk.hear(*events)
    return patient_id, visit_id


async def send_what_is_due(desk: Clinic) -> None:
    """One claim of the sender from end to end, without its loop."""
    for claim in await desk.notifier.sender._claim():
        await desk.notifier.sender._work(claim)


async def counts(desk: Clinic) -> list[int]:
    async with desk.notifier.store.read() as connection:
        tables = (patients, subjects, deliveries, history, mails, outbox, worklist)
        return [await connection.scalar(select(func.count()).select_from(each)) or 0 for each in tables]


async def test_the_migrated_tables_are_those_of_the_code(store_settings: StoreSettings) -> None:
    store = Store(store_settings)
    await migrate(store, "services.notifier")
    assert await pending(store, "services.notifier") == []
    assert await drift(store, "services.notifier") == []
    await store.close()


# why


async def test_why_tells_the_whole_story_of_a_mail_that_was_sent(at: Office) -> None:
    await booked(at.desk)
    at.desk.clock.advance_to(FIRST)
    await refresh(at.desk.notifier)
    await send_what_is_due(at.desk)
    row = next(each for each in await at.desk.rows() if each.step == "P14D")
    answer = (await at.get(f"/v1/deliveries/{row.delivery_id}/why")).json()
    assert (answer["state"], answer["status"]) == ("sent", "Sent.")
    assert answer["rule"]["rule"] == "consultation/on-site/P14D"
    assert answer["rule"]["words"] == "A reminder 14 days before the visit, at 10:00 on the patient's clock."
    assert answer["rule"]["version"] == at.desk.notifier.planner.programs[at.desk.program].version
    assert answer["times"]["due_local"] == "2027-03-02T10:00"
    assert answer["times"]["due"] == "Tuesday, March 2, 2027, 10:00 AM Pacific Standard Time"
    assert answer["mail"]["words"].startswith("The mail server took it (250")
    assert answer["mail"]["message_id"].startswith("<")
    assert answer["looked_at"]["mails_in_eight_days"] == 0
    assert answer["told"]["by"] == row.delivery_id or answer["told"]["by"] == "staff"
    assert [(each["from"], each["to"], each["by"]) for each in answer["history"]] == [
        (None, "planned", "plan"), ("sending", "sent", "sender"),
    ]  # fmt: skip
    assert "Appointment reminder: Sent." in answer["text"]


async def test_why_says_what_held_a_mail_and_what_to_do(at: Office) -> None:
    await booked(at.desk, email=None)
    at.desk.clock.advance_to(FIRST)
    await refresh(at.desk.notifier)
    await send_what_is_due(at.desk)
    row = next(each for each in await at.desk.rows() if each.step == "P14D")
    answer = (await at.get(f"/v1/deliveries/{row.delivery_id}/why")).json()
    assert (answer["state"], answer["reason"], answer["reason_class"]) == ("held", "no_address", "on_event")
    assert answer["status"] == "Is held. There is no e-mail address."
    assert "What to do: Ask the patient for one, or call." in answer["text"]
    assert answer["mail"] is None
    assert answer["history"][-1]["words"] == "Held. There is no e-mail address."


async def test_why_names_the_other_deliveries_of_the_same_mail(at: Office) -> None:
    await booked(at.desk)
    rows = await at.desk.rows()
    mail_id = new_id()
    async with at.desk.notifier.store.write() as connection:
        await connection.execute(update(deliveries).values(mail_id=mail_id))
    answer = (await at.get(f"/v1/deliveries/{rows[0].delivery_id}/why")).json()
    assert [each["step"] for each in answer["same_mail"]] == ["P3D", "P1D"]


async def test_nothing_protected_is_in_an_answer_about_a_delivery(at: Office) -> None:
    patient_id, _ = await booked(at.desk)
    row = (await at.desk.rows())[0]
    for path in (f"/v1/deliveries/{row.delivery_id}/why", f"/v1/patients/{patient_id}/deliveries"):
        text = (await at.get(path)).text
        for protected in ("Ana", "Rivera", "ana@example.org", "1984", "CSF", "Leak", "Clinician"):
            assert protected not in text


@pytest.mark.parametrize("who", ["other", "narrow"])
async def test_what_is_not_the_callers_is_as_unknown_as_what_is_not_there(at: Office, who: str) -> None:
    patient_id, _ = await booked(at.desk)
    row = (await at.desk.rows())[0]
    assert (await at.get(f"/v1/deliveries/{row.delivery_id}/why", who)).status_code == 404
    assert (await at.get(f"/v1/deliveries/{new_id()}/why")).status_code == 404
    assert (await at.get(f"/v1/patients/{patient_id}/deliveries", who)).json()["deliveries"] == []
    if who == "narrow":
        assert (await at.preview(patient_id, who=who)).status_code == 404


async def test_each_route_needs_its_role(at: Office) -> None:
    patient_id, _ = await booked(at.desk)
    assert (await at.http.get(f"/v1/patients/{patient_id}/deliveries")).status_code == 401
    for who in ("idle", "operator"):
        assert (await at.get(f"/v1/patients/{patient_id}/deliveries", who)).status_code == 403
        assert (await at.get(f"/v1/deliveries/{new_id()}/why", who)).status_code == 403
        assert (await at.preview(patient_id, who=who)).status_code == 403
    for who in ("idle", "staff"):
        assert (await at.get("/v1/arming", who)).status_code == 403
        assert (await at.post("/v1/arming", {}, who)).status_code == 403
        assert (await at.get("/v1/reconciliation", who)).status_code == 403
    assert (await at.post("/v1/arming", {}, "narrow")).status_code == 403


async def test_a_patients_deliveries_are_listed_in_the_order_in_which_they_are_due(at: Office) -> None:
    patient_id, _ = await booked(at.desk)
    listed = (await at.get(f"/v1/patients/{patient_id}/deliveries")).json()["deliveries"]
    assert [each["step"] for each in listed] == ["P14D", "P3D", "P1D"]
    assert listed[0]["status"] == "Will be sent."
    assert (await at.get(listed[0]["why"])).status_code == 200


# previews


async def test_a_preview_of_a_registration_and_a_booking_shows_the_mails_that_will_go(at: Office) -> None:
    patient_id, visit_id = new_id(), new_id()
    before = await counts(at.desk)
    answer = await at.preview(patient_id, *registration(at.desk, patient_id), booking(at.desk, patient_id, visit_id))
    shown = answer.json()
    assert answer.status_code == 200, answer.text
    mails = shown["mails"]
    assert [each["deliveries"][0]["step"] for each in mails] == ["P14D", "P3D", "P1D"]
    assert [each["due_local"] for each in mails] == ["2027-03-02T10:00", "2027-03-13T10:00", "2027-03-15T10:00"]
    assert [(each["tier"], each["goes"], each["reasons"]) for each in mails] == [(0, True, [])] * 3
    first = mails[0]["content"]
    assert first["subject"] == "Appointment reminder"
    assert "Tuesday, March 16, 2027" in first["text"]
    assert "<html" in first["html"]
    assert "BEGIN:VCALENDAR" in first["calendar"]
    assert first["preheader"]
    assert (shown["skipped"], shown["cancelled"], shown["tasks"]) == ([], [], [])
    assert await counts(at.desk) == before


async def test_the_preview_is_what_then_happens(at: Office) -> None:
    patient_id, visit_id = new_id(), new_id()
    shown = (
        await at.preview(patient_id, *registration(at.desk, patient_id), booking(at.desk, patient_id, visit_id))
    ).json()
    await at.desk.hear(
        at.desk.patient(patient_id),
        at.desk.enrolment(patient_id),
        at.desk.visit(patient_id, visit_id, VISIT, told=True),
    )
    rows = [(each.step, each.due_at.isoformat(), each.rule) for each in await at.desk.rows()]
    told = [(d["step"], mail["due_at"], d["rule"]) for mail in shown["mails"] for d in mail["deliveries"]]
    assert told == rows


async def test_a_preview_of_a_move_shows_the_notice_and_what_it_calls_off(at: Office) -> None:
    patient_id, visit_id = await booked(at.desk)
    moved = change("appointment.rescheduled", visit_id, visit_data(at.desk, patient_id, "2027-03-18T09:30:00-07:00"))
    shown = (await at.preview(patient_id, moved)).json()
    notice = shown["mails"][0]
    assert (notice["kind"], notice["due_local"]) == ("appointment-change", "2027-02-26T09:15")
    assert notice["content"]["subject"] == "Your appointment has changed"
    assert "Thursday, March 18, 2027" in notice["content"]["text"]
    assert [each["step"] for each in shown["cancelled"]] == ["P14D", "P3D", "P1D"]
    assert {each["words"] for each in shown["cancelled"]} == {"A newer message took its place."}
    assert {d["change"] for mail in shown["mails"] for d in mail["deliveries"]} == {"new"}
    assert [row.state for row in await at.desk.rows()] == ["planned"] * 3


async def test_a_preview_of_a_cancellation_and_of_nothing(at: Office) -> None:
    patient_id, visit_id = await booked(at.desk)
    unchanged = (await at.preview(patient_id)).json()
    assert [each["deliveries"][0]["change"] for each in unchanged["mails"]] == ["unchanged"] * 3
    cancelled = change("appointment.cancelled", visit_id, visit_data(at.desk, patient_id))
    shown = (await at.preview(patient_id, cancelled)).json()
    assert [each["content"]["subject"] for each in shown["mails"]] == ["Your appointment is cancelled"]
    assert {each["reason"] for each in shown["cancelled"]} == {"visit_cancelled"}
    known = change("appointment.cancelled", visit_id, visit_data(at.desk, patient_id, patient_told_at=NOON.isoformat()))
    assert (await at.preview(patient_id, known)).json()["mails"] == []


async def test_a_late_booking_shows_what_is_left_out_and_why(at: Office) -> None:
    patient_id = new_id()
    soon = booking(at.desk, patient_id, new_id(), "2027-03-01T09:30:00-08:00")
    shown = (await at.preview(patient_id, *registration(at.desk, patient_id), soon)).json()
    assert shown["mails"][0]["kind"] == "late-booking"
    assert {each["reason"] for each in shown["skipped"]} == {"collapsed"}
    assert all(each["words"] for each in shown["skipped"])


async def test_a_preview_says_what_would_hold_the_mail_and_at_which_tier_it_goes(at: Office) -> None:
    patient_id, _ = await booked(at.desk)
    await at.desk.hear(at.desk.consent(patient_id, ConsentScope.EMAIL_DETAILED))
    assert {each["tier"] for each in (await at.preview(patient_id)).json()["mails"]} == {1}
    shared = new_id()
    register = registration(at.desk, shared)
    shown = (await at.preview(shared, *register, booking(at.desk, shared, new_id()))).json()
    assert {each["reasons"][0]["reason"] for each in shown["mails"]} == {"unverified_address"}
    assert {each["goes"] for each in shown["mails"]} == {False}
    register[0]["data"]["contact"]["email"] = None
    register[0]["data"]["contact"]["email_verified_at"] = None
    shown = (await at.preview(shared, *register, booking(at.desk, shared, new_id()))).json()
    assert {each["reasons"][0]["reason"] for each in shown["mails"]} == {"no_address"}
    assert all(each["content"]["subject"] for each in shown["mails"])


async def test_an_incomplete_program_previews_with_visible_placeholders(at: Office) -> None:
    programs = at.desk.notifier.planner.programs
    program = programs[at.desk.program]
    bare = program.model_copy(update={"sender": None, "mail_domain": None, "emergency": None, "missing": ("sender",)})
    programs.files[at.desk.program] = bare
    patient_id = new_id()
    shown = (
        await at.preview(patient_id, *registration(at.desk, patient_id), booking(at.desk, patient_id, new_id()))
    ).json()
    assert [each["reasons"][0]["reason"] for each in shown["mails"]] == ["program_incomplete"] * 3
    assert "[Emergency text: the hospital must fill this in.]" in shown["mails"][0]["content"]["text"]


async def test_before_arming_a_preview_shows_what_would_go_and_says_that_nothing_does(at: Office) -> None:
    at.desk.tenant, at.desk.program = (
        "kaiser",
        next(code for code, each in at.desk.notifier.planner.programs.items() if each.tenant == "kaiser"),
    )
    patient_id = new_id()
    answer = await at.preview(
        patient_id, *registration(at.desk, patient_id), booking(at.desk, patient_id, new_id()), who="other"
    )
    shown = answer.json()
    assert not shown["armed"]
    assert [each["goes"] for each in shown["mails"]] == [True] * 3


async def test_bad_changes_are_named_with_a_pointer_and_without_their_values(at: Office) -> None:
    patient_id, visit_id = await booked(at.desk)
    good = visit_data(at.desk, patient_id)
    bad = {
        "#/changes/0/type": change("appointment.exploded", visit_id, good),
        "#/changes/0/subject": {**change("appointment.updated", visit_id, good), "subject": "patient/x"},
        "#/changes/0/data/start": change("appointment.updated", visit_id, good | {"start": "2027-03-16T09:30:00"}),
        "#/changes/0/data/surprise": change("appointment.updated", visit_id, good | {"surprise": "Rivera"}),
        "#/changes/0/data/patient_id": change("appointment.updated", visit_id, good | {"patient_id": new_id()}),
        "#/changes/0/data/program": change("appointment.updated", visit_id, good | {"program": "zzzz99"}),
    }
    bad["#/changes/0/subject "] = change("appointment.updated", new_id(), good)
    for pointer, each in bad.items():
        answer = await at.preview(patient_id, each)
        assert answer.status_code == 422, pointer
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer.strip()]
        assert "Rivera" not in answer.text


# operations


async def test_arming_is_shown_set_and_makes_every_plan_new(at: Office) -> None:
    await booked(at.desk)
    later = FIRST + timedelta(hours=1)
    answer = await at.post("/v1/arming", {"at": later.isoformat()}, "operator")
    assert answer.json() == {"tenant": "cedars", "armed_at": later.isoformat(), "patients": 1}
    assert (await at.get("/v1/arming", "operator")).json()["armed_at"] == later.isoformat()
    await at.desk.notifier.replanner.wave()
    assert [(row.step, row.state, row.reason) for row in await at.desk.rows()] == [
        ("P14D", "skipped", "before_arming"), ("P3D", "planned", None), ("P1D", "planned", None),
    ]  # fmt: skip
    assert (await at.post("/v1/arming", {"at": "2027-03-01T10:00:00"}, "operator")).status_code == 422
    assert (await at.get("/v1/arming", "other")).json() == {"tenant": "kaiser", "armed_at": None}


async def test_the_ledger_can_be_added_up_over_http(at: Office) -> None:
    await booked(at.desk)
    answer = (await at.get("/v1/reconciliation", "operator")).json()
    assert answer["balanced"] is True
    assert answer["total"].startswith("planned 3 = sent 0 + ")
    assert answer["total"].endswith("+ open 3 (held 0): balanced")
    assert json.dumps(answer["programs"]).count("planned") >= 1
    assert (await at.get("/v1/reconciliation", "other")).json()["programs"] == []


def registration(desk: Clinic, patient_id: str) -> list[dict[str, Any]]:
    contact = {
        "given_name": "Ana", "family_name": "Rivera", "birth_date": "1984-05-02", "email": "ana@example.org",
        "email_verified_at": NOON.isoformat(),
    }  # fmt: skip
    enrolment = {"patient_id": patient_id, "program": desk.program}
    return [
        change("patient.registered", patient_id, {"contact": contact}),
        change("enrolment.opened", new_id(), enrolment),
    ]


def booking(desk: Clinic, patient_id: str, visit_id: str, start: str = "2027-03-16T09:30:00-07:00") -> dict[str, Any]:
    return change("appointment.scheduled", visit_id, visit_data(desk, patient_id, start))
