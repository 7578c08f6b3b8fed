"""What trials publish, as messages for the outbox."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from chassis.cloudevents import to_message
from chassis.outbox import Message
from schemas.base import Contract
from schemas.envelope import Envelope
from schemas.outcomes import MessageRequest, RequestWithdrawal, WorklistItem
from schemas.registry import EVENT_TYPES, TRIALS_OUTCOMES
from schemas.trials import MatchState, TrialState


@dataclass(frozen=True, slots=True)
class Publisher:
    """Makes events of this service. ``source`` is an opaque URL: ``https://<host>/trials``."""

    source: str

    def trial(self, name: str, tenant: str, state: TrialState, now: datetime) -> Message:
        """``name``: ``trial.published``, ``trial.changed`` or ``trial.closed``."""
        return self.message(name, tenant, state.trial_id, f"trial/{state.trial_id}", state.version, state, now)

    def match(self, name: str, tenant: str, state: MatchState, now: datetime) -> Message:
        """``name``: ``match.found``, ``match.changed`` or ``match.withdrawn``."""
        return self.message(name, tenant, state.patient_id, f"match/{state.match_id}", state.version, state, now)

    def request(self, tenant: str, data: MessageRequest | RequestWithdrawal, now: datetime) -> Message:
        """An invitation is asked for, or no longer."""
        name = "message.requested" if isinstance(data, MessageRequest) else "message.withdrawn"
        return self.message(name, tenant, data.patient_id, f"request/{data.request_id}", data.version, data, now)

    def worklist(self, tenant: str, item: WorklistItem, now: datetime) -> Message:
        """An item was opened, or closed when it has a ``closed_at``. One about no patient goes by its own id."""
        name, subject = "worklist.closed" if item.closed_at else "worklist.opened", f"worklist/{item.item_id}"
        key = item.patient_id or item.item_id
        return self.message(name, tenant, key, subject, item.version, item, now, topic=TRIALS_OUTCOMES)

    def message(
        self, name: str, tenant: str, key: str | None, subject: str, version: int, data: Contract, now: datetime,
        topic: str | None = None,
    ) -> Message:  # fmt: skip
        """One event; ``topic`` where its type's own isn't meant."""
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
            datacategory="research",
            tenant=tenant,
        )
        return to_message(topic or kind.topic, envelope, data)
