"""Intake over HTTP, on both stores: what is posted is decided, stored and put into the outbox in one transaction."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, select

from chassis.cloudevents import read_record
from chassis.decoding import Record, decode
from chassis.errors import Permanent
from chassis.migrations import drift, pending
from chassis.settings import StoreSettings
from schemas.appointment import AppointmentState, CareBlock, VisitBlock
from schemas.registry import EVENT_TYPES
from services.intake.tables import events, outbox, patients, subjects
from tests.support.intake import CEDARS, NOW, TENANT, Desk, new_id, open_desk
from tests.support.stores import store_settings as store_settings


@pytest.fixture
async def desk(store_settings: StoreSettings) -> AsyncIterator[Desk]:
    async with open_desk(store_settings) as opened:
        yield opened


async def count(desk: Desk, table: Any) -> int:
    async with desk.intake.store.read() as connection:
        return await connection.scalar(select(func.count()).select_from(table)) or 0


def pointers(answer: Any) -> list[str]:
    return [error["pointer"] for error in answer.json()["errors"]]


async def test_the_migrated_tables_are_those_of_the_code(desk: Desk) -> None:
    assert await pending(desk.intake.store, "services.intake") == []
    assert await drift(desk.intake.store, "services.intake") == []


async def test_a_booked_visit_is_accepted_with_the_version_that_intake_allots(desk: Desk) -> None:
    patient_id, visit_id = await desk.enrolled(), new_id()
    for version, name in enumerate(["scheduled", "rescheduled", "cancelled"], 1):
        start = "2027-03-16T09:30:00-07:00" if name == "scheduled" else "2027-03-17T09:30:00-07:00"
        event = desk.visit(patient_id, visit_id, f"appointment.{name}", start=start)
        answer = await desk.post(event)
        assert answer.status_code == 202, answer.text
        assert answer.headers["location"] == f"/v1/events/{event['id']}"
        shown = (await desk.get(answer.headers["location"])).json()
        assert (shown["id"], shown["subject"]) == (event["id"], f"appointment/{visit_id}")
        assert (shown["version"], shown["state"]) == (version, "waiting")


async def test_the_outbox_row_holds_what_the_contract_says(desk: Desk) -> None:
    patient_id, visit_id = await desk.enrolled(), new_id()
    event = desk.visit(patient_id, visit_id)
    await desk.post(event)
    async with desk.intake.store.read() as connection:
        row = (await connection.execute(select(outbox).order_by(outbox.c.id.desc()).limit(1))).one()
    envelope, value = read_record(row.headers, row.key, row.value)
    data = AppointmentState.strict_json(value)
    assert row.topic == "intake.events.v1"
    assert (envelope.id, envelope.partitionkey, row.key) == (event["id"], patient_id, patient_id.encode())
    assert (envelope.tenant, envelope.sequence, envelope.recordedtime) == (TENANT, 1, NOW)
    assert envelope.source == f"https://intake.example.org/programs/{CEDARS}/api"
    assert (envelope.authtype, envelope.authid, envelope.origin) == ("api_key", "staff", "live")
    assert data.patient_told_at == data.booked_at == data.start_set_at == data.changed_at == NOW
    rings, subject = desk.intake.resources.rings, f"appointment/{visit_id}"
    care = rings.contact.open(data.care, CareBlock, tenant=TENANT, subject=subject)
    assert data.visit is not None
    visit = rings.facts.open(data.visit, VisitBlock, tenant=TENANT, subject=subject)
    assert care.visit_type == visit.visit_type == "consultation"
    with pytest.raises(Permanent, match="cannot_open"):
        rings.facts.open(data.care, CareBlock, tenant=TENANT, subject=subject)
    assert b"consultation" not in value


async def test_one_event_is_the_same_in_binary_structured_and_batch_form(desk: Desk) -> None:
    patient_id = await desk.enrolled()
    event = desk.visit(patient_id, new_id())
    auth = {"authorization": f"Bearer {desk.tokens['staff']}"}
    envelope = {name: value for name, value in event.items() if name not in ("data", "datacontenttype")}
    headers = {f"ce-{name}": value for name, value in envelope.items()} | auth
    binary = await desk.http.post("/v1/events", json=event["data"], headers=headers)
    structured = await desk.post(event)
    batch = await desk.http.post(
        "/v1/events",
        content=json.dumps([event]),
        headers={**auth, "content-type": "application/cloudevents-batch+json; charset=utf-8"},
    )
    assert [each.status_code for each in (binary, structured, batch)] == [202, 202, 202], binary.text
    assert binary.json() == structured.json() == batch.json()
    assert await count(desk, events) == 3


async def test_a_repeated_event_gets_the_first_answer_and_another_under_its_id_is_a_conflict(desk: Desk) -> None:
    patient_id, visit_id = await desk.enrolled(), new_id()
    event = desk.visit(patient_id, visit_id)
    first, second = await desk.post(event), await desk.post(event)
    assert (first.status_code, second.json()) == (202, first.json())
    other = event | {"data": event["data"] | {"zone": "America/Denver"}}
    conflict = await desk.post(other)
    assert (conflict.status_code, pointers(conflict)) == (409, ["#/id"])
    moved = event | {"subject": f"appointment/{new_id()}"}
    assert (await desk.post(moved)).status_code == 409
    assert await count(desk, outbox) == 3


async def test_a_repeated_event_gets_the_first_answer_to_the_microsecond(desk: Desk) -> None:
    desk.clock.advance_to(NOW + timedelta(microseconds=123_456))
    event = desk.patient(new_id())
    assert (await desk.post(event)).json() == (await desk.post(event)).json()


async def test_a_batch_takes_no_more_statements_than_a_single_event(desk: Desk) -> None:
    def batch(people: int) -> list[dict[str, Any]]:
        ids = [new_id() for _ in range(people)]
        return [event for each in ids for event in (desk.patient(each), desk.enrolment(each))]

    with counting_statements() as few:
        assert (await desk.post(*batch(1))).status_code == 202
    with counting_statements() as many:
        assert (await desk.post(*batch(100))).status_code == 202
    assert 0 < len(many) <= len(few)


@contextmanager
def counting_statements() -> Iterator[list[str]]:
    """Each round trip to a database, in this process."""
    seen: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, _p: Any, _x: Any, _many: bool) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield seen
    event.remove(Engine, "before_cursor_execute", note)


async def test_an_id_that_is_no_uuid_never_reaches_a_url(desk: Desk) -> None:
    patient_id = new_id()
    event = desk.patient(patient_id) | {"id": "MRN 12345"}
    answer = await desk.post(event)
    assert answer.status_code == 202
    assert "MRN" not in answer.text + answer.headers["location"]
    assert (await desk.post(event)).json() == answer.json()
    other_source = desk.patient(new_id()) | {"id": "MRN 12345", "source": "https://another.example"}
    assert (await desk.post(other_source)).status_code == 202


async def test_the_same_idempotency_key_gets_the_same_answer(desk: Desk) -> None:
    event = desk.patient(new_id())
    first = await desk.post(event, key="key-1")
    again = await desk.post(event, key="key-1")
    assert (again.status_code, again.json(), again.headers["location"]) == (
        202, first.json(), first.headers["location"],
    )  # fmt: skip
    other = await desk.post(desk.patient(new_id()), key="key-1")
    assert (other.status_code, other.json()["type"]) == (422, "urn:upright:problem:key_reused")


async def test_a_refused_request_leaves_its_idempotency_key_free(desk: Desk) -> None:
    patient_id = new_id()
    assert (await desk.post(desk.patient(patient_id, email="nobody"), key="key-2")).status_code == 422
    assert (await desk.post(desk.patient(patient_id), key="key-2")).status_code == 202


async def test_an_idempotency_key_is_the_callers_own(desk: Desk) -> None:
    assert (await desk.post(desk.patient(new_id()), key="key-3")).status_code == 202
    assert (await desk.post(desk.patient(new_id()), key="key-3", who="other")).status_code == 202


async def test_many_posts_of_one_key_at_once_are_one(desk: Desk) -> None:
    event = desk.patient(new_id())
    answers = await asyncio.gather(*(desk.post(event, key="key-4") for _ in range(8)))
    assert {each.status_code for each in answers} == {202}
    assert len({each.text for each in answers}) == 1
    assert await count(desk, outbox) == 1


async def test_many_posts_of_one_event_at_once_are_one(desk: Desk) -> None:
    event = desk.patient(new_id())
    answers = await asyncio.gather(*(desk.post(event) for _ in range(8)))
    assert {each.status_code for each in answers} == {202}
    assert await count(desk, outbox) == 1


async def test_changes_of_one_visit_at_once_are_versions_without_a_gap(desk: Desk) -> None:
    patient_id, visit_id = await desk.enrolled(), new_id()
    await desk.post(desk.visit(patient_id, visit_id))
    moves = [
        desk.visit(patient_id, visit_id, "appointment.rescheduled", start=f"2027-03-{day}T09:30:00-07:00")
        for day in range(17, 25)
    ]
    answers = await asyncio.gather(*map(desk.post, moves))
    assert sorted(each.json()["events"][0]["version"] for each in answers) == list(range(2, 10))
    async with desk.intake.store.read() as connection:
        rows = (await connection.execute(select(outbox).order_by(outbox.c.id))).all()
    sent = [read_record(row.headers, row.key, row.value)[0] for row in rows]
    assert [each.sequence for each in sent if each.subject == f"appointment/{visit_id}"] == list(range(1, 10))


async def test_posts_that_come_at_once_share_their_statements(desk: Desk) -> None:
    with counting_statements() as one:
        assert (await desk.post(desk.patient(new_id()))).status_code == 202
    with counting_statements() as twenty:
        answers = await asyncio.gather(*(desk.post(desk.patient(new_id())) for _ in range(20)))
    assert [each.status_code for each in answers] == [202] * 20
    assert len(twenty) <= 5 * len(one)
    assert await count(desk, outbox) == 21


async def test_what_is_refused_costs_the_posts_beside_it_nothing(desk: Desk) -> None:
    known = desk.patient(new_id())
    assert (await desk.post(known)).status_code == 202
    bad, before = new_id(), await count(desk, outbox)
    good = [desk.patient(new_id()) for _ in range(10)]
    another = desk.patient(new_id()) | {"id": known["id"]}
    posts = [*good[:5], desk.patient(bad, email="nobody"), another, known, *good[5:]]
    answers = await asyncio.gather(*map(desk.post, posts))
    assert [each.status_code for each in answers] == [*[202] * 5, 422, 409, *[202] * 6]
    assert pointers(answers[5]) == ["#/data/contact/email"]
    assert [each.json()["events"][0]["id"] for each in answers if each.status_code == 202] == [
        each["id"] for each in (*good[:5], known, *good[5:])
    ]
    assert (await desk.get(f"/v1/patients/{bad}")).status_code == 404
    assert await count(desk, outbox) == before + 10


async def test_events_that_come_at_once_keep_their_own_traces(desk: Desk) -> None:
    traces = {new_id(): f"{number:032x}" for number in range(1, 11)}

    async def post(patient_id: str, trace: str) -> None:
        headers = {
            "content-type": "application/cloudevents+json", "authorization": f"Bearer {desk.tokens['staff']}",
            "traceparent": f"00-{trace}-00f067aa0ba902b7-01",
        }  # fmt: skip
        answer = await desk.http.post("/v1/events", content=json.dumps(desk.patient(patient_id)), headers=headers)
        assert answer.status_code == 202

    await asyncio.gather(*(post(*each) for each in traces.items()))
    async with desk.intake.store.read() as connection:
        rows = (await connection.execute(select(outbox))).all()
    sent = [read_record(row.headers, row.key, row.value)[0] for row in rows]
    assert {each.partitionkey: (each.traceparent or "").split("-")[1] for each in sent} == traces


async def test_two_patients_do_not_get_the_same_appointment_id(desk: Desk) -> None:
    people, visit_id = [await desk.enrolled() for _ in range(4)], new_id()
    answers = await asyncio.gather(*(desk.post(desk.visit(each, visit_id)) for each in people))
    assert sorted(each.status_code for each in answers) == [202, 422, 422, 422]
    assert {pointer for each in answers if each.status_code == 422 for pointer in pointers(each)} == {"#/subject"}


async def test_a_batch_is_all_or_nothing_with_each_error_named(desk: Desk) -> None:
    patient_id, other = new_id(), await desk.enrolled()
    before = await count(desk, outbox)
    wrong = desk.visit(other, new_id(), zone="Mars/Olympus", end="2027-03-16T09:00:00-07:00")
    batch = [desk.patient(patient_id), desk.enrolment(patient_id), wrong, desk.visit(patient_id, new_id())]
    answer = await desk.post(*batch)
    assert (answer.status_code, pointers(answer)) == (422, ["#/2/data/end", "#/2/data/zone"])
    assert answer.headers["content-type"] == "application/problem+json"
    assert "Olympus" not in answer.text
    assert await count(desk, outbox) == before
    assert (await desk.get(f"/v1/patients/{patient_id}")).status_code == 404


async def test_what_would_only_be_refused_because_of_an_earlier_refusal_is_not_named(desk: Desk) -> None:
    patient_id = new_id()
    answer = await desk.post(
        desk.patient(patient_id, email="nobody"), desk.enrolment(patient_id), desk.visit(patient_id, new_id())
    )
    assert (answer.status_code, pointers(answer)) == (422, ["#/0/data/contact/email"])


@pytest.mark.parametrize(
    "start", ["2027-03-16T09:30:00", 1805214600, "1805214600", "2027-03-16", "16.3.2027 9:30", None]
)
async def test_a_start_is_a_date_and_time_with_an_offset_and_nothing_else(desk: Desk, start: Any) -> None:
    patient_id = await desk.enrolled()
    answer = await desk.post(desk.visit(patient_id, new_id(), start=start))
    assert (answer.status_code, pointers(answer)) == (422, ["#/data/start"])


async def test_seconds_since_1970_are_refused_in_words_wherever_an_instant_stands(desk: Desk) -> None:
    patient_id = await desk.enrolled()
    visit = desk.visit(patient_id, new_id(), patient_told_at="1767225600")
    answer = await desk.post(visit)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["pointer"]) == (422, "#/data/patient_told_at")
    assert error["detail"] == "needs a date, a time and an offset, such as 2027-03-16T09:30:00-07:00"
    assert (await desk.post(visit | {"time": "1767225600"})).status_code == 400


async def test_a_batch_of_malformed_events_names_each_field(desk: Desk) -> None:
    good = desk.patient(new_id())
    local = desk.visit(new_id(), new_id(), start="2027-03-14T02:30:00")
    extra = desk.visit(new_id(), new_id(), room=3, care={"visit_type": "No Such"})
    answer = await desk.post(good, local, extra | {"sequence": "1", "tenant": "cedars"})
    assert answer.status_code == 422
    assert pointers(answer) == [
        "#/1/data/start",
        "#/2/sequence",
        "#/2/tenant",
        "#/2/data/care/visit_type",
        "#/2/data/room",
    ]
    assert "offset" in answer.json()["errors"][0]["detail"]
    assert "No Such" not in answer.text


BAD_EVENTS: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown type": ({"type": "org.upright.appointment.forgotten.v1"}, "#/type"),
    "another major version": ({"type": "org.upright.patient.registered.v9"}, "#/type"),
    "an event only intake makes": ({"type": "org.upright.patient.merged.v1"}, "#/type"),
    "a heartbeat": ({"type": "org.upright.heartbeat.v1"}, "#/type"),
    "an outcome": ({"type": "org.upright.plan.changed.v1"}, "#/type"),
    "a version of its own": ({"sequence": "7"}, "#/sequence"),
    "another tenant": ({"tenant": "kaiser"}, "#/tenant"),
    "an author of its own": ({"authid": "somebody"}, "#/authid"),
    "a snapshot": ({"origin": "snapshot"}, "#/origin"),
    "a subject of another family": ({"subject": f"appointment/{new_id()}"}, "#/subject"),
    "a subject that is a record number": ({"subject": "patient/12345"}, "#/subject"),
    "a key of another patient": ({"partitionkey": new_id()}, "#/partitionkey"),
    "a correlation that may be a name": ({"correlationid": "Ana"}, "#/correlationid"),
    "another schema": ({"dataschema": "https://schemas.example/x.json"}, "#/dataschema"),
    "data that is not JSON": ({"datacontenttype": "text/html"}, "#/datacontenttype"),
    "a date in the future": ({"time": (NOW + timedelta(days=1)).isoformat()}, "#/time"),
    "no data": ({"data": None}, "#/data"),
    "a list as data": ({"data": []}, "#/data"),
}


@pytest.mark.parametrize("case", list(BAD_EVENTS))
async def test_an_envelope_is_refused_with_the_field(desk: Desk, case: str) -> None:
    changes, pointer = BAD_EVENTS[case]
    answer = await desk.post(desk.patient(new_id()) | changes)
    assert (answer.status_code, pointers(answer)) == (422, [pointer]), answer.text
    assert await count(desk, outbox) == 0


BAD_NAMES = {
    "a control character": "A\x07na",
    "a line break": "Ana\r\nBcc: ben@example.org",
    "a mark that turns the text": "Ana\u202e",
    "nothing": "",
    "only blanks": "   ",
    "more than anybody is called": "A" * 201,
    "half a character": "\ud800",
}


@pytest.mark.parametrize("case", list(BAD_NAMES))
async def test_a_name_is_refused_without_being_repeated(desk: Desk, case: str) -> None:
    answer = await desk.post(desk.patient(new_id(), given_name=BAD_NAMES[case]))
    assert answer.status_code in (400, 422), answer.text
    assert "example.org" not in answer.text
    assert await count(desk, outbox) == 0


@pytest.mark.parametrize(
    "address", ["ana@example.org\r\nBcc: ben@example.org", "ana@exa\u202emple.org", "ana\x00@example.org"]
)
async def test_an_address_with_a_line_break_or_a_mark_is_refused(desk: Desk, address: str) -> None:
    answer = await desk.post(desk.patient(new_id(), email=address))
    assert (answer.status_code, pointers(answer)) == (422, ["#/data/contact/email"])


BODIES: dict[str, tuple[str, bytes, int]] = {
    "not JSON": ("application/cloudevents+json", b"{", 400),
    "not UTF-8": ("application/cloudevents+json", b'{"id": "\xff\xfe"}', 400),
    "a list where one event belongs": ("application/cloudevents+json", b"[]", 400),
    "a string where a batch belongs": ("application/cloudevents-batch+json", b'"x"', 400),
    "a batch of numbers": ("application/cloudevents-batch+json", b"[1, 2]", 400),
    "an event without anything": ("application/cloudevents+json", b"{}", 400),
    "nested without end": ("application/cloudevents+json", b'{"data":' * 20000, 400),
    "XML": ("application/xml", b"<event/>", 415),
    "nothing at all": ("application/cloudevents+json", b"", 400),
    "binary without an envelope": ("application/json", b"{}", 400),
}


@pytest.mark.parametrize("case", list(BODIES))
async def test_what_is_no_event_gets_a_clear_answer(desk: Desk, case: str) -> None:
    content_type, body, status = BODIES[case]
    headers = {"content-type": content_type, "authorization": f"Bearer {desk.tokens['staff']}"}
    answer = await desk.http.post("/v1/events", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_too_many_and_too_large_are_refused(desk: Desk) -> None:
    many = await desk.post(*(desk.patient(new_id()) for _ in range(1001)))
    assert many.status_code == 413
    fact = {"name": "note", "source": "chart", "observed_at": NOW.isoformat(), "value": "x" * 1900}
    patient_id = await desk.enrolled()
    large = desk.event("facts.recorded", new_id(), {"patient_id": patient_id, "block": {"facts": [fact] * 60}})
    answer = await desk.post(large)
    assert (answer.status_code, pointers(answer)) == (422, ["#/data"])


async def test_an_empty_batch_is_accepted_and_does_nothing(desk: Desk) -> None:
    headers = {"content-type": "application/cloudevents-batch+json", "authorization": f"Bearer {desk.tokens['staff']}"}
    answer = await desk.http.post("/v1/events", content=b"[]", headers=headers)
    assert (answer.status_code, answer.json()) == (202, {"events": []})


async def test_nobody_gets_in_without_a_key_and_its_role(desk: Desk) -> None:
    event = desk.patient(new_id())
    nobody = replace(desk, tokens={"staff": "staff.guess"})
    assert (await nobody.post(event)).status_code == 401
    assert (await desk.post(event, who="idle")).status_code == 403
    assert (await desk.get("/v1/worklist", who="idle")).status_code == 403


async def test_a_key_sees_and_touches_only_its_tenant_and_programs(desk: Desk) -> None:
    patient_id, visit_id = await desk.enrolled(), new_id()
    booked = await desk.post(desk.visit(patient_id, visit_id))
    for who in ("other", "narrow"):
        assert (await desk.get(f"/v1/patients/{patient_id}", who=who)).status_code == 404
        assert (await desk.get(f"/v1/patients/{patient_id}/timeline", who=who)).status_code == 404
        assert (await desk.get(booked.headers["location"], who=who)).status_code == 404
        cancelled = await desk.post(desk.visit(patient_id, visit_id, "appointment.cancelled"), who=who)
        assert cancelled.status_code == 422
    same_id = await desk.post(desk.patient(patient_id), who="other")
    assert same_id.status_code == 202, "another tenant's ids are its own"


async def test_every_event_that_can_be_posted_is_accepted(desk: Desk) -> None:
    patient_id, visit_id, form_id, item, place = (new_id() for _ in range(5))
    about = {"patient_id": patient_id, "program": CEDARS}
    items = [{"item_id": item, "form": "patient-intake"}]
    consent = {
        "patient_id": patient_id, "scope": "email-detailed", "text_version": "3", "recorded_by": "desk",
        "decided_at": NOW.isoformat(),
    }  # fmt: skip
    fact = {"name": "opening-pressure", "value": 5, "source": "chart", "observed_at": NOW.isoformat()}
    consent_id, moved = new_id(), {"start": "2027-02-26T08:00:00-08:00"}

    def paper(name: str, status: str) -> dict[str, Any]:
        return desk.event(f"paperwork.{name}", form_id, about | {"items": [items[0] | {"status": status}]})

    def visit(name: str, subject_id: str = visit_id, **changes: Any) -> dict[str, Any]:
        return desk.visit(patient_id, subject_id, f"appointment.{name}", **changes)

    def state(name: str) -> dict[str, Any]:
        return desk.event(f"patient.{name}", patient_id, {"reason": "as told"})

    last = new_id()
    answer = await desk.post(
        desk.patient(patient_id),
        desk.event("enrolment.opened", place, about),
        desk.patient(patient_id, "patient.updated", given_name="Anna"),
        visit("scheduled"), visit("rescheduled", **moved), visit("updated", **moved, end="2027-02-26T08:30:00-08:00"),
        visit("no_show", **moved), visit("arrived", **moved), visit("completed", **moved),
        visit("scheduled", last), visit("cancelled", last), visit("removed", last),
        paper("requested", "requested"), paper("received", "received"), paper("reopened", "requested"),
        paper("waived", "waived"),
        desk.event("consent.granted", consent_id, consent), desk.event("consent.withdrawn", consent_id, consent),
        desk.event("preference.changed", new_id(), about | {"reminders": False}),
        desk.event("facts.recorded", new_id(), {"patient_id": patient_id, "block": {"facts": [fact]}}),
        state("restricted"), state("unrestricted"), state("deceased"), state("deceased-reversed"),
        desk.event("enrolment.closed", place, about), state("closed"), state("erased"),
    )  # fmt: skip
    assert answer.status_code == 202, answer.text
    accepted = [each["type"] for each in answer.json()["events"]]
    assert set(accepted) == {name for name, kind in EVENT_TYPES.items() if kind.posted}
    async with desk.intake.store.read() as connection:
        rows = (await connection.execute(select(outbox).order_by(outbox.c.id))).all()
    records = [Record(row.topic, 0, row.id, 0, row.key, row.headers, row.value) for row in rows]
    read = [decode(record, set(accepted)) for record in records]
    assert [each.type.name for each in read if each] == accepted


async def test_an_erased_patient_is_forgotten_and_the_ledger_keeps_ids_and_versions(desk: Desk) -> None:
    patient_id = await desk.enrolled()
    await desk.post(desk.visit(patient_id, new_id()))
    event = desk.event("patient.erased", patient_id, {"reason": "asked for by the patient"})
    assert (await desk.post(event)).status_code == 202
    assert (await desk.post(event)).status_code == 202, "the same event again"
    assert (await desk.post(desk.patient(patient_id))).status_code == 422
    shown = (await desk.get(f"/v1/patients/{patient_id}")).json()
    assert (shown["patient"]["status"], shown["patient"]["contact"]) == ("erased", None)
    timeline = (await desk.get(f"/v1/patients/{patient_id}/timeline")).json()
    assert [each["type"] for each in timeline["entries"]] == [
        "patient.registered", "enrolment.opened", "appointment.scheduled", "patient.erased",
    ]  # fmt: skip
    assert not any("state" in each for each in timeline["entries"])
    async with desk.intake.store.read() as connection:
        for table, column in ((patients, patients.c.data_key), (subjects, subjects.c.state), (events, events.c.state)):
            kept = select(func.count()).select_from(table).where(column.is_not(None))
            assert await connection.scalar(kept) == 0


async def test_nothing_protected_lies_in_the_store_in_the_clear(desk: Desk) -> None:
    patient_id = new_id()
    await desk.post(
        desk.patient(patient_id, family_name="Zyxwvut"),
        desk.enrolment(patient_id),
        desk.visit(patient_id, new_id(), care={"visit_type": "consultation", "clinician": "Demo Clinician"}),
        desk.event("patient.restricted", patient_id, {"reason": "Because Zyxwvut"}),
        key="for-zyxwvut",
    )
    dump = b""
    async with desk.intake.store.read() as connection:
        for table in (patients, subjects, events, outbox):
            dump += repr((await connection.execute(select(table))).all()).encode()
    for word in (b"Zyxwvut", b"zyxwvut", b"Clinician", b"consultation", b"ana@example.org", b"1980"):
        assert word not in dump
