"""What the notifier publishes on ``notifier.outcomes.v1``, as messages for the outbox."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from chassis.cloudevents import to_message
from chassis.outbox import Message
from schemas.base import Contract
from schemas.envelope import Envelope
from schemas.outcomes import Answer, DeliveryOutcome, DeliveryState, DeliveryView, PlanChanged, WorklistItem
from schemas.registry import EVENT_TYPES
from services.notifier.domain import Delivery

OUTCOMES = frozenset({
    DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.BOUNCED, DeliveryState.COMPLAINED,
    DeliveryState.SKIPPED, DeliveryState.CANCELLED, DeliveryState.MISSED, DeliveryState.FAILED,
    DeliveryState.UNCERTAIN,
})  # fmt: skip
"""States that are told to others, each as ``delivery.<state>``."""


@dataclass(frozen=True, slots=True)
class Publisher:
    """Makes events of this notifier. ``source`` is an opaque URL: ``https://<host>/notifier``."""

    source: str

    def plan_changed(
        self, tenant: str, patient_id: str, version: int, open_ones: Iterable[Delivery], now: datetime
    ) -> Message:
        """The patient's open deliveries, all of them."""
        views = tuple(view(each) for each in sorted(open_ones, key=lambda d: (d.due_at, d.dedup_key)))
        data = PlanChanged(patient_id=patient_id, version=version, deliveries=views)
        return self._message("plan.changed", tenant, patient_id, f"plan/{patient_id}", version, data, now)

    def outcome(self, tenant: str, patient_id: str, delivery: Delivery, version: int, now: datetime) -> Message:
        """A delivery was sent or reached an end; ``delivery`` is its state now."""
        data = DeliveryOutcome(patient_id=patient_id, version=version, delivery=view(delivery))
        name, subject = f"delivery.{delivery.state}", f"delivery/{delivery.delivery_id}"
        return self._message(name, tenant, patient_id, subject, version, data, now)

    def worklist(self, tenant: str, item: WorklistItem, now: datetime) -> Message:
        """An item was opened, or closed when it has a ``closed_at``."""
        name = "worklist.closed" if item.closed_at else "worklist.opened"
        return self._message(name, tenant, item.patient_id, f"worklist/{item.item_id}", item.version, item, now)

    def answer(self, tenant: str, answer: Answer) -> Message:
        """What a patient answered on a page. Its subject has one version: an answer is never taken back."""
        subject = f"answer/{answer.answer_id}"
        return self._message("answer.given", tenant, answer.patient_id, subject, 1, answer, answer.given_at)

    def _message(
        self, name: str, tenant: str, key: str | None, subject: str, version: int, data: Contract, now: datetime
    ) -> Message:
        kind = EVENT_TYPES[name]
        envelope = Envelope(
            id=str(uuid.uuid4()),
            source=self.source,
            type=kind.wire,
            time=now,
            subject=subject,
            dataschema=kind.dataschema,
            partitionkey=key,
            sequence=version,
            recordedtime=now,
            dataclassification="confidential",
            dataregulation="HIPAA",
            datacategory="messaging",
            tenant=tenant,
        )
        return to_message(kind.topic, envelope, data)


def view(delivery: Delivery) -> DeliveryView:
    """A delivery as other services may see it."""
    return DeliveryView(
        delivery_id=delivery.delivery_id,
        kind=delivery.kind,
        program=delivery.program,
        appointment_id=delivery.appointment_id,
        paperwork_id=delivery.paperwork_id,
        step=delivery.step,
        state=delivery.state,
        reason=delivery.reason,
        due_at=delivery.due_at,
        useful_until=delivery.useful_until,
        tier=delivery.tier,
        mail_id=delivery.mail_id,
        at=delivery.ended_at,
        request_id=delivery.request_id,
    )
