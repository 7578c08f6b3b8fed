"""Kafka in: what others say becomes the timeline's future and the worklist. No intake event comes of it.

Idempotent by version: of a plan, of a delivery, of a worklist item. A patient who isn't known here is kept anyway.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import CivilClock
from chassis.consumer import DeadLetter, Event
from chassis.errors import Permanent
from schemas.ids import Opaque, TenantCode
from schemas.outcomes import DeliveryOutcome, PlanChanged, WorklistItem
from schemas.registry import EVENT_TYPES, NOTIFIER_OUTCOMES
from services.intake.store.deliveries import Outcome, plan_versions, record_outcomes, record_plans
from services.intake.store.worklist import close_items, record_items

GROUP = "intake.outcomes"
USES = frozenset(
    name
    for name, kind in EVENT_TYPES.items()
    if kind.topic == NOTIFIER_OUTCOMES and kind.data in (PlanChanged, DeliveryOutcome, WorklistItem)
)
"""All outcomes but patients' answers, which have their own handler once there are pages that ask."""

TRIALS_GROUP = "intake.trials"
TRIALS_USES = frozenset({"worklist.opened", "worklist.closed"})
"""``trials.outcomes.v1``: what staff must do that only trials know of."""

LETTERS = uuid.UUID("6f1f1a3e-0f0c-5d2f-8a57-2f6f6a8f5f10")
"""Namespace of the worklist items that dead letters open."""

_TENANT = TypeAdapter[str](TenantCode)
_PATIENT = TypeAdapter[str](Opaque)


@dataclass(frozen=True, slots=True)
class OutcomeHandlers:
    """``clock`` is civil."""

    clock: CivilClock

    async def apply(self, connection: AsyncConnection, events: Sequence[Event[Any]]) -> int:
        """Keep the newest version of each plan, delivery and worklist item. ``Permanent("no_tenant")``."""
        plans: dict[tuple[str, str], PlanChanged] = {}
        outcomes: dict[tuple[str, str], Outcome] = {}
        items: dict[tuple[str, str], WorklistItem] = {}
        planned = [each for each in events if isinstance(each.data, PlanChanged | DeliveryOutcome)]
        known = await plan_versions(connection, {(_tenant(each), each.data.patient_id) for each in planned})
        for event in events:
            tenant, data = _tenant(event), event.data
            if isinstance(data, PlanChanged) and data.version > known.get((tenant, data.patient_id), 0):
                plans[tenant, data.patient_id] = data
                known[tenant, data.patient_id] = data.version
            elif isinstance(data, DeliveryOutcome):
                outcome = Outcome(data, known.get((tenant, data.patient_id), 0))
                _keep_newest(outcomes, (tenant, data.delivery.delivery_id), outcome)
            elif isinstance(data, WorklistItem):
                _keep_newest(items, (tenant, data.item_id), data)
        await record_plans(connection, plans)
        await record_outcomes(connection, outcomes)
        await record_items(connection, items)
        return len(events) - len(plans) - len(outcomes) - len(items)

    async def buried(self, connection: AsyncConnection, letters: Sequence[DeadLetter]) -> None:
        """A patient whose outcomes can't be read has a gap in the timeline: staff are told."""
        found = {}
        for letter in letters:
            whose = _whose(letter)
            if whose is not None:
                item = WorklistItem(
                    item_id=_item_id(letter),
                    patient_id=whose[1],
                    code="outcome_unreadable",
                    opened_at=self.clock.now(),
                )
                found[whose[0], item.item_id] = item
        await record_items(connection, found)

    async def released(self, connection: AsyncConnection, letter: DeadLetter, event: Event[Any] | None) -> bool:
        """The letter was redriven or dismissed. Versions tell ``apply`` what is old, so nothing is ever superseded."""
        whose = _whose(letter)
        if whose is not None:
            await close_items(connection, [(whose[0], _item_id(letter))], self.clock.now())
        return False


def _keep_newest(found: dict[tuple[str, str], Any], key: tuple[str, str], candidate: Any) -> None:
    known = found.get(key)
    if known is None or candidate.version > known.version:
        found[key] = candidate


def _tenant(event: Event[Any]) -> str:
    if event.envelope.tenant is None:
        raise Permanent("no_tenant")
    return event.envelope.tenant


def _whose(letter: DeadLetter) -> tuple[str, str] | None:
    """Tenant and patient, where the letter says so; it is a claim, so it must at least look like them."""
    try:
        return _TENANT.validate_python(letter.tenant), _PATIENT.validate_python(letter.key)
    except ValidationError:
        return None


def _item_id(letter: DeadLetter) -> str:
    record = letter.record
    return str(uuid.uuid5(LETTERS, f"{record.topic}/{record.partition}/{record.offset}/{record.timestamp_ms}"))
