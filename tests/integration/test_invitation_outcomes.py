"""What the notifier says of an invitation moves it, once and for good, whatever comes in which order."""

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select

from chassis.decoding import Event
from chassis.settings import StoreSettings
from schemas.envelope import Envelope
from schemas.outcomes import DeliveryOutcome, DeliveryState, DeliveryView, Kind
from schemas.patient import PatientStatus
from schemas.registry import EVENT_TYPES, NOTIFIER_OUTCOMES
from services.trials.tables import invitations, matches
from tests.support.coordinating import CVF, FISTULA
from tests.support.research import NOON, Research, new_id, research

OFFSETS = itertools.count()


@pytest.fixture
async def desk(store_settings: StoreSettings) -> AsyncIterator[Research]:
    async with research(store_settings) as one:
        await one.publish(CVF)
        await one.release(CVF)
        yield one


def outcome(desk: Research, patient_id: str, state: str, request_id: str | None = None, **view: Any) -> Event[Any]:
    shown = DeliveryView(
        delivery_id=new_id(), kind=view.pop("kind", Kind.TRIAL_INVITATION), program=desk.program,
        state=DeliveryState(state), due_at=NOON, useful_until=NOON, request_id=request_id, at=NOON, **view,
    )  # fmt: skip
    kind = EVENT_TYPES[f"delivery.{state}"]
    envelope = Envelope(
        id=new_id(), source="https://notifier.example.org/notifier", type=kind.wire, time=NOON,
        partitionkey=patient_id, tenant=desk.tenant,
    )  # fmt: skip
    data = DeliveryOutcome(patient_id=patient_id, version=1, delivery=shown)
    return Event(kind, envelope, data, patient_id, NOTIFIER_OUTCOMES, 0, next(OFFSETS))


async def hear(desk: Research, *events: Event[Any]) -> int:
    async with desk.trials.store.write() as connection:
        return await desk.trials.outcomes.apply(connection, events)


async def invited(desk: Research) -> tuple[str, str]:
    """A patient whose invitation was asked for, and its request."""
    grace = await desk.admit(**FISTULA)
    await desk.work()
    ((_, request),) = await desk.told("message.requested")
    return grace, request["request_id"]


async def standing(desk: Research) -> tuple[str, str | None, str]:
    """State and reason of the invitation, and the workflow of the match."""
    async with desk.trials.store.read() as connection:
        one = (await connection.execute(select(invitations))).one()
        return one.state, one.reason, (await connection.execute(select(matches.c.workflow))).scalar_one()


@pytest.mark.parametrize("state", ["sent", "delivered", "uncertain", "bounced", "complained"])
async def test_what_went_out_is_sent_and_the_match_is_invited(desk: Research, state: str) -> None:
    grace, request_id = await invited(desk)
    assert await hear(desk, outcome(desk, grace, state, request_id)) == 0
    assert await standing(desk) == ("sent", None, "invited")


@pytest.mark.parametrize("state", ["skipped", "missed", "cancelled", "failed"])
async def test_what_did_not_go_out_is_ended_with_its_reason(desk: Research, state: str) -> None:
    grace, request_id = await invited(desk)
    await hear(desk, outcome(desk, grace, state, request_id, reason="irb_expired"))
    assert await standing(desk) == ("ended", "irb_expired", "found")


async def test_a_mail_that_went_out_after_all_is_sent_and_nothing_takes_that_back(desk: Research) -> None:
    grace, request_id = await invited(desk)
    skipped = outcome(desk, grace, "skipped", request_id, reason="no_address")
    sent = outcome(desk, grace, "sent", request_id)
    assert await hear(desk, skipped, sent, skipped) == 1
    assert await standing(desk) == ("sent", None, "invited")
    assert await hear(desk, sent, skipped) == 2


async def test_our_own_withdrawal_ends_no_request_that_was_made_again(desk: Research) -> None:
    grace, request_id = await invited(desk)
    await hear(desk, outcome(desk, grace, "cancelled", request_id, reason="match_withdrawn"))
    assert await standing(desk) == ("requested", None, "found")


async def test_an_invitation_that_went_out_before_it_could_be_withdrawn_is_sent(desk: Research) -> None:
    grace, request_id = await invited(desk)
    await desk.hear(desk.patient(grace, status=PatientStatus.DECEASED))
    await hear(desk, outcome(desk, grace, "sent", request_id))
    assert (await standing(desk))[0] == "sent"


async def test_a_withdrawn_invitation_that_was_not_sent_stays_withdrawn(desk: Research) -> None:
    grace, request_id = await invited(desk)
    await desk.hear(desk.patient(grace, status=PatientStatus.DECEASED))
    await hear(desk, outcome(desk, grace, "skipped", request_id, reason="deceased"))
    assert (await standing(desk))[0] == "withdrawn"


async def test_what_a_coordinator_noted_since_is_kept(desk: Research) -> None:
    grace, request_id = await invited(desk)
    async with desk.trials.store.write() as connection:
        await connection.execute(matches.update().values(workflow="interested"))
    await hear(desk, outcome(desk, grace, "sent", request_id))
    assert (await standing(desk))[2] == "interested"


async def test_other_mail_and_requests_of_others_change_nothing(desk: Research) -> None:
    grace, request_id = await invited(desk)
    others = [
        outcome(desk, grace, "sent", request_id, kind=Kind.REMINDER), outcome(desk, grace, "sent"),
        outcome(desk, grace, "sent", new_id()), outcome(desk, new_id(), "sent", request_id),
    ]  # fmt: skip
    assert await hear(desk, *others) == 4
    assert (await standing(desk))[0] == "requested"
