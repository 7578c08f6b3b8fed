"""What the notifier says comes back: the timeline's future, what became of it, and the worklist. On both stores."""

import itertools
import uuid
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from chassis.cloudevents import to_message
from chassis.dead_letters import DeadLetter
from chassis.decoding import Event, Record, decode
from chassis.errors import Permanent
from chassis.outbox import Message
from chassis.settings import StoreSettings
from schemas.envelope import Envelope
from schemas.outcomes import DeliveryOutcome, DeliveryView, PlanChanged, WorklistItem
from schemas.registry import EVENT_TYPES
from services.intake.handlers import USES
from services.intake.tables import events, outbox
from tests.support.intake import CEDARS, NOW, TENANT, Desk, new_id, open_desk
from tests.support.stores import store_settings as store_settings

DAY = timedelta(days=1)
_numbers = itertools.count()


@pytest.fixture
async def desk(store_settings: StoreSettings) -> AsyncIterator[Desk]:
    async with open_desk(store_settings) as opened:
        yield opened


def said(name: str, data: Any, tenant: str | None = TENANT) -> Message:
    """A record as the notifier publishes it."""
    kind, key = EVENT_TYPES[name], data.patient_id or data.item_id
    envelope = Envelope(
        id=str(uuid.uuid4()), source="https://notifier.example.org/notifier", type=kind.wire, time=NOW,
        subject=f"{kind.subject}/{key}", partitionkey=key, sequence=data.version, tenant=tenant,
    )  # fmt: skip
    return to_message(kind.topic, envelope, data)


def event_of(message: Message) -> Event[Any]:
    record = Record(message.topic, 0, next(_numbers), 0, message.key, message.headers, message.value)
    event = decode(record, USES)
    assert event is not None
    return event


async def hear(desk: Desk, *messages: Message) -> None:
    async with desk.intake.store.write() as connection:
        await desk.intake.handlers.apply(connection, [event_of(each) for each in messages])


def view(
    delivery_id: str, state: str = "planned", reason: str | None = None, due: datetime = NOW + DAY
) -> DeliveryView:
    return DeliveryView.strict_data({
        "delivery_id": delivery_id, "kind": "appointment-reminder", "program": CEDARS, "step": "P3D", "state": state,
        "reason": reason, "due_at": due, "useful_until": due + DAY, "at": None if state == "planned" else NOW,
    })  # fmt: skip


def plan(patient_id: str, version: int, *views: DeliveryView) -> Message:
    return said("plan.changed", PlanChanged(patient_id=patient_id, version=version, deliveries=views))


def outcome(patient_id: str, version: int, of: DeliveryView) -> Message:
    data = DeliveryOutcome(patient_id=patient_id, version=version, delivery=of)
    return said(f"delivery.{of.state}", data)


def item(item_id: str, version: int = 1, **changes: Any) -> WorklistItem:
    base = {"item_id": item_id, "code": "too_late", "opened_at": NOW, "version": version, "program": CEDARS}
    return WorklistItem.strict_data(base | changes)


def task(one: WorklistItem) -> Message:
    return said("worklist.closed" if one.closed_at else "worklist.opened", one)


async def deliveries(desk: Desk, patient_id: str) -> list[tuple[str, str]]:
    timeline = (await desk.get(f"/v1/patients/{patient_id}/timeline")).json()
    return [(each["delivery_id"], each["state"]) for each in timeline["entries"] if each["entry"] == "delivery"]


async def worklist(desk: Desk, who: str = "staff") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await desk.get("/v1/worklist", who)).json()["items"]
    return found


async def test_the_timeline_has_past_and_future_in_one_list_in_words(desk: Desk) -> None:
    patient_id, sent, skipped, later = await desk.enrolled(), new_id(), new_id(), new_id()
    await hear(
        desk,
        plan(patient_id, 1, view(sent), view(skipped), view(later, due=NOW + 3 * DAY)),
        outcome(patient_id, 1, view(sent, "sent")),
        outcome(patient_id, 1, view(skipped, "skipped", "visit_cancelled")),
    )
    timeline = (await desk.get(f"/v1/patients/{patient_id}/timeline")).json()
    assert [(each["entry"], each["future"]) for each in timeline["entries"]] == [
        ("event", False), ("event", False), ("delivery", False), ("delivery", False), ("delivery", True),
    ]  # fmt: skip
    by_id = {each["delivery_id"]: each for each in timeline["entries"] if each["entry"] == "delivery"}
    assert by_id[skipped]["status"] == "Not sent. The visit was cancelled before sending."
    assert by_id[sent]["status"] == "Sent."
    assert by_id[later]["status"] == "Will be sent."
    assert timeline["entries"][0]["what"] == "Patient registered"
    assert timeline["entries"][0]["state"]["contact"]["given_name"] == "Ana"


async def test_an_older_plan_or_outcome_never_overwrites_a_newer_one(desk: Desk) -> None:
    patient_id, one, two = await desk.enrolled(), new_id(), new_id()
    newer, older = plan(patient_id, 2, view(two)), plan(patient_id, 1, view(one), view(two))
    bounced, sent = outcome(patient_id, 2, view(one, "bounced")), outcome(patient_id, 1, view(one, "sent"))
    await hear(desk, newer, older, bounced, sent)
    await hear(desk, older, sent)
    assert sorted(await deliveries(desk, patient_id)) == sorted([(one, "bounced"), (two, "planned")])


async def test_a_newer_plan_reopens_what_had_ended(desk: Desk) -> None:
    patient_id, one = await desk.enrolled(), new_id()
    await hear(desk, plan(patient_id, 1, view(one)), outcome(patient_id, 1, view(one, "skipped", "opted_out")))
    assert await deliveries(desk, patient_id) == [(one, "skipped")], "the outcome is newer than the plan"
    await hear(desk, plan(patient_id, 2))
    assert await deliveries(desk, patient_id) == [(one, "skipped")]
    await hear(desk, plan(patient_id, 3, view(one)))
    assert await deliveries(desk, patient_id) == [(one, "planned")]


async def test_outcomes_of_an_unknown_patient_are_kept_until_the_patient_is_registered(desk: Desk) -> None:
    patient_id, one = new_id(), new_id()
    await hear(desk, plan(patient_id, 1, view(one)))
    assert (await desk.get(f"/v1/patients/{patient_id}/timeline")).status_code == 404
    await desk.post(desk.patient(patient_id))
    assert await deliveries(desk, patient_id) == [(one, "planned")]


async def test_outcomes_cause_no_events(desk: Desk) -> None:
    patient_id = await desk.enrolled()
    await hear(desk, plan(patient_id, 1, view(new_id())), task(item(new_id(), patient_id=patient_id)))
    async with desk.intake.store.read() as connection:
        for table in (events, outbox):
            assert await connection.scalar(select(func.count()).select_from(table)) == 2


async def test_an_outcome_without_a_tenant_is_a_dead_letter(desk: Desk) -> None:
    patient_id = new_id()
    with pytest.raises(Permanent, match="no_tenant"):
        await hear(desk, said("plan.changed", PlanChanged(patient_id=patient_id, version=1, deliveries=()), None))


async def test_the_worklist_shows_what_is_open_oldest_due_first_in_words(desk: Desk) -> None:
    patient_id = await desk.enrolled()
    late, soon, undated, done = (new_id() for _ in range(4))
    await hear(
        desk,
        task(item(late, patient_id=patient_id, due_at=NOW + 2 * DAY)),
        task(item(soon, patient_id=patient_id, due_at=NOW + DAY)),
        task(item(undated, patient_id=patient_id, program=None)),
        task(item(done, 2, patient_id=patient_id, closed_at=NOW)),
    )
    found = await worklist(desk)
    assert [each["item_id"] for each in found] == [undated, soon, late]
    assert (found[0]["what"], found[0]["todo"]) == ("There was no time left to send it.", "Call the patient.")
    assert [each["item_id"] for each in await worklist(desk, "narrow")] == [undated]
    assert await worklist(desk, "other") == []


async def close(desk: Desk, item_id: str, note: Any = "Called: she comes.", who: str = "staff") -> Any:
    headers = {"authorization": f"Bearer {desk.tokens[who]}"}
    return await desk.http.post(f"/v1/worklist/{item_id}/close", json={"note": note}, headers=headers)


async def test_an_item_about_no_patient_is_shown_beside_a_plan_in_one_batch(desk: Desk) -> None:
    patient_id = await desk.enrolled()
    await hear(desk, task(item(new_id(), code="truth_incomplete")), plan(patient_id, 1, view(new_id())))
    assert [(each["code"], each["patient_id"]) for each in await worklist(desk)] == [("truth_incomplete", None)]


async def test_staff_close_an_item_with_a_note_once(desk: Desk) -> None:
    patient_id, item_id = await desk.enrolled(), new_id()
    await hear(desk, task(item(item_id, patient_id=patient_id)))
    for who in ("other", "narrow"):
        assert (await close(desk, item_id, who=who)).status_code == 404
    for note in ("", "a\x07", "x" * 300, None):
        assert (await close(desk, item_id, note)).status_code == 422
    assert (await close(desk, item_id)).status_code == 200
    assert (await close(desk, item_id)).status_code == 409
    assert await worklist(desk) == []
    timeline = (await desk.get(f"/v1/patients/{patient_id}/timeline")).json()["entries"]
    (shown,) = (each for each in timeline if each["entry"] == "worklist")
    assert (shown["note"], shown["closed_by"]) == ("Called: she comes.", "staff")


async def test_what_staff_closed_stays_closed_until_it_is_opened_again(desk: Desk) -> None:
    patient_id, item_id = await desk.enrolled(), new_id()
    await hear(desk, task(item(item_id, patient_id=patient_id)))
    await close(desk, item_id)
    await hear(desk, task(item(item_id, 2, patient_id=patient_id, due_at=NOW + DAY)))
    assert await worklist(desk) == []
    await hear(desk, task(item(item_id, 3, patient_id=patient_id, opened_at=NOW + DAY)))
    assert [each["note"] for each in await worklist(desk)] == [None]


async def test_an_unreadable_outcome_is_staffs_to_know_until_it_is_redriven(desk: Desk) -> None:
    patient_id, handlers = await desk.enrolled(), desk.intake.handlers
    record = Record("notifier.outcomes.v1", 3, 7, 0, patient_id.encode(), (), b"?")
    letter = DeadLetter(record, "bad_payload", "chassis.errors.Permanent", patient_id, TENANT, "plan.changed")
    nobody = DeadLetter(record, "bad_key", "chassis.errors.Permanent", None, None, None)
    async with desk.intake.store.write() as connection:
        await handlers.buried(connection, [letter, nobody])
    (shown,) = await worklist(desk)
    assert (shown["code"], shown["patient_id"]) == ("outcome_unreadable", patient_id)
    async with desk.intake.store.write() as connection:
        assert await handlers.released(connection, letter, None) is False
    assert await worklist(desk) == []
