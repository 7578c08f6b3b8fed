"""From a state to the event on Kafka: its data, and the envelope filled in.

``ce_source`` is ``https://<host>/programs/<public code>/<adapter>``, or ``…/tenants/<tenant>/<adapter>`` for what
belongs to no program. Its last part tells the notifier how long edits may settle.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from chassis.cloudevents import to_message
from chassis.errors import Permanent
from chassis.outbox import Message
from schemas.envelope import Envelope, Origin
from schemas.registry import EVENT_TYPES
from services.intake.batch import BatchRefused, Change
from services.intake.domain import Problem
from services.intake.domain.record import State, subject_of
from services.intake.resources import Rings
from services.intake.states import Seal, data_of


@dataclass(frozen=True, slots=True)
class Stamp:
    """What an event says beside its state. ``by`` is the id of the API key, None for what nobody asked for."""

    event_id: str
    name: str
    time: datetime
    recorded_at: datetime
    adapter: str
    origin: Origin = Origin.LIVE
    by: str | None = None
    correlation: str | None = None
    causation: str | None = None
    trace: str | None = None


@dataclass(frozen=True, slots=True)
class Sender:
    """Makes a tenant's records for the outbox; ``host`` stands in ``ce_source``."""

    tenant: str
    host: str
    rings: Rings

    def message(self, patient_id: str, state: State, stamp: Stamp) -> Message:
        """``Permanent("too_large")`` for a state of more than 64 KiB."""
        data = data_of(state, patient_id, Seal(self.rings, self.tenant, subject_of(state)))
        return to_message(EVENT_TYPES[stamp.name].topic, self._envelope(patient_id, state, stamp), data)

    def _envelope(self, patient_id: str, state: State, stamp: Stamp) -> Envelope:
        kind = EVENT_TYPES[stamp.name]
        owner = f"programs/{state.program}" if state.program else f"tenants/{self.tenant}"
        return Envelope(
            id=stamp.event_id,
            source=f"https://{self.host}/{owner}/{stamp.adapter}",
            type=kind.wire,
            time=stamp.time,
            subject=subject_of(state),
            dataschema=kind.dataschema,
            partitionkey=patient_id,
            correlationid=stamp.correlation or stamp.event_id,
            causationid=stamp.causation,
            sequence=state.version,
            recordedtime=stamp.recorded_at,
            dataclassification="confidential",
            dataregulation="HIPAA",
            datacategory=state.family,
            authtype="api_key" if stamp.by else "system",
            authid=stamp.by,
            tenant=self.tenant,
            origin=stamp.origin,
            traceparent=stamp.trace,
        )


def messages(changes: Sequence[Change], sender: Sender, by: str, now: datetime) -> list[Message]:
    """The records of accepted events, in their order; ``BatchRefused`` for those that no topic would take."""
    made, refused = [], []
    for change in changes:
        command = change.posted.command
        try:
            made.append(sender.message(command.patient_id, change.state, _stamp(change, by, now)))
        except Permanent:
            refused.append((change.index, Problem("/data", "is too large: an event has 64 KiB at most")))
    if refused:
        raise BatchRefused(refused)
    return made


def _stamp(change: Change, by: str, now: datetime) -> Stamp:
    posted, command = change.posted, change.posted.command
    return Stamp(
        event_id=posted.event_id,
        name=command.name,
        time=command.time,
        recorded_at=now,
        adapter=command.adapter,
        origin=command.origin,
        by=by,
        correlation=posted.correlation,
        causation=posted.causation,
        trace=posted.trace,
    )
