"""Kafka in: a batch of intake events becomes what is known of patients, then their pairs. One transaction."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.dead_letters import DeadLetter
from chassis.decoding import Event
from chassis.outbox import put
from chassis.sealing import Keyring
from schemas.ids import Opaque, TenantCode
from schemas.outcomes import WorklistItem
from schemas.patient import PatientStatus
from services.trials.domain import Patient
from services.trials.evaluating import Evaluator
from services.trials.projection import Projected, project
from services.trials.store.patients import (
    PatientKey,
    erase,
    lock_or_add_patients,
    lock_patients,
    mark_incomplete,
    record_changed,
)
from services.trials.store.subjects import is_overtaken, newer, record_subjects
from services.trials.tables import outbox

GROUP = "trials.intake"
USES = frozenset({
    "patient.registered", "patient.updated", "patient.restricted", "patient.unrestricted", "patient.deceased",
    "patient.deceased-reversed", "patient.closed", "patient.erased", "patient.merged", "patient.absorbed",
    "enrolment.opened", "enrolment.closed", "consent.granted", "consent.withdrawn", "facts.recorded", "heartbeat",
    "appointment.scheduled", "appointment.rescheduled", "appointment.updated", "appointment.cancelled",
    "appointment.arrived", "appointment.completed", "appointment.no_show", "appointment.removed",
})  # fmt: skip
"""Event names this service reads; the rest of the topic is ignored."""

LETTERS = uuid.UUID("0d4c0a0d-3f5e-5f44-9d0b-0c7a1b2f6e53")
"""Namespace of the worklist items that dead letters open."""

_PATIENT_ID, _TENANT = TypeAdapter[str](Opaque), TypeAdapter[str](TenantCode)


@dataclass(frozen=True, slots=True)
class IntakeHandlers:
    """Handles ``intake.events.v1``. ``ring`` opens blocks for research; ``master`` wraps patients' keys at rest."""

    ring: Keyring
    master: Keyring
    evaluator: Evaluator

    async def apply(self, connection: AsyncConnection, events: Sequence[Event[Any]]) -> int:
        """Keep the newest state of each subject, and judge whoever changed."""
        states = [project(event, self.ring) for event in events]
        used = [each for each in states if each.state is not None]
        locked = await lock_or_add_patients(connection, {_key(each) for each in used}, self.master)
        fresh = await newer(connection, used)
        changed = {_key(each) for each in fresh}
        await record_subjects(connection, fresh, locked, self.evaluator.clock.now())
        await record_changed(connection, changed)
        if gone := [_key(each) for each in fresh if _is_erased(each)]:
            await erase(connection, gone)
        again = await lock_patients(connection, changed, self.master)
        await self.evaluator.evaluate(connection, list(again.values()))
        return len(used) - len(fresh)

    async def buried(self, connection: AsyncConnection, letters: Sequence[DeadLetter]) -> None:
        """What is known of these patients is incomplete: staff are told, and nobody is invited on it."""
        found = [(key, letter) for letter in letters if (key := _of(letter)) is not None]
        await lock_or_add_patients(connection, [key for key, _ in found], self.master)
        for key, letter in found:
            await mark_incomplete(connection, key, +1)
            await self._tell(connection, key, letter, closed=False)

    async def released(self, connection: AsyncConnection, letter: DeadLetter, event: Event[Any] | None) -> bool:
        """The letter was redriven or dismissed (no event). Whether a newer state was known."""
        key = _of(letter)
        if key is not None:
            await lock_or_add_patients(connection, [key], self.master)
            await mark_incomplete(connection, key, -1)
            await self._tell(connection, key, letter, closed=True)
            locked = await lock_patients(connection, [key], self.master)
            await self.evaluator.evaluate(connection, list(locked.values()))
        return event is not None and await is_overtaken(connection, project(event, self.ring))

    async def _tell(self, connection: AsyncConnection, key: PatientKey, letter: DeadLetter, *, closed: bool) -> None:
        tenant, patient_id = key
        now, record = self.evaluator.clock.now(), letter.record
        name = f"{record.topic}/{record.partition}/{record.offset}/{record.timestamp_ms}"
        item = WorklistItem(
            item_id=str(uuid.uuid5(LETTERS, name)), patient_id=patient_id, code="truth_incomplete", opened_at=now,
            closed_at=now if closed else None, version=2 if closed else 1,
        )  # fmt: skip
        await put(connection, outbox, [self.evaluator.publisher.worklist(tenant, item, now)])


def _key(state: Projected) -> PatientKey:
    return (state.tenant, state.patient_id)


def _is_erased(state: Projected) -> bool:
    return isinstance(state.state, Patient) and state.state.status is PatientStatus.ERASED


def _of(letter: DeadLetter) -> PatientKey | None:
    """Whom a letter concerns; what it claims is unchecked, and may be nobody's name."""
    try:
        return _TENANT.validate_python(letter.tenant), _PATIENT_ID.validate_python(letter.key)
    except ValidationError:
        return None
