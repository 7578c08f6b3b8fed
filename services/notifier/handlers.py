"""Kafka in: a batch of events becomes projections, then plans. One transaction, held by the consumer."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.consumer import DeadLetter, Event
from chassis.sealing import Keyring
from schemas.ids import Opaque, TenantCode
from services.notifier.domain import Appointment, Patient, Told
from services.notifier.projection import Projected, address_hash, project
from services.notifier.replan import Planner
from services.notifier.store.addresses import find_sharing, set_addresses
from services.notifier.store.ledger import get_told, record_told
from services.notifier.store.patients import (
    Locked,
    PatientKey,
    get_known,
    lock_or_add_patients,
    lock_patients,
    mark_incomplete,
)
from services.notifier.store.subjects import is_overtaken, newer, record_subjects
from services.notifier.store.worklist import Entry, close_entries, open_entries
from services.notifier.told import told_after_event

USES = frozenset({
    "patient.registered", "patient.updated", "patient.restricted", "patient.unrestricted", "patient.deceased",
    "patient.deceased-reversed", "patient.closed", "patient.erased", "patient.merged", "patient.absorbed",
    "enrolment.opened", "enrolment.closed",
    "appointment.scheduled", "appointment.rescheduled", "appointment.updated", "appointment.cancelled",
    "appointment.arrived", "appointment.completed", "appointment.no_show", "appointment.removed",
    "paperwork.requested", "paperwork.received", "paperwork.waived", "paperwork.reopened",
    "consent.granted", "consent.withdrawn", "preference.changed", "heartbeat",
})  # fmt: skip
"""Event names this service reads; the rest of the topic is ignored."""

REQUESTS = frozenset({"message.requested", "message.withdrawn"})
"""What other services ask for, on a topic of its own; handled like everything that is known of a patient."""

LETTERS = "letters/"
_PATIENT_ID, _TENANT = TypeAdapter[str](Opaque), TypeAdapter[str](TenantCode)


@dataclass(frozen=True, slots=True)
class IntakeHandlers:
    """Handles ``intake.events.v1``, and ``notifier.requests.v1`` in the same way.

    ``ring`` opens contact and care blocks; ``master`` wraps patients' keys at rest.
    """

    ring: Keyring
    master: Keyring
    address_key: bytes
    planner: Planner

    async def apply(self, connection: AsyncConnection, events: Sequence[Event[Any]]) -> int:
        """Keep the newest state of each subject, note what patients were told, and re-plan whoever changed."""
        now = self.planner.clock.now()
        states = [project(event, self.ring) for event in events]
        locked = await lock_or_add_patients(connection, await self._concerned(connection, states), self.master, now)
        fresh = await newer(connection, states)
        await record_subjects(connection, fresh, locked)
        await set_addresses(connection, self._addresses(fresh, locked))
        told = await self._told(connection, states)
        changed = {(s.tenant, s.patient_id) for s in fresh} | told
        again = await lock_or_add_patients(connection, changed, self.master, now)
        await self.planner.replan(connection, list(again.values()), release_held=True)
        return len(states) - len(fresh)

    async def _concerned(self, connection: AsyncConnection, states: Sequence[Projected]) -> set[PatientKey]:
        """The patients of these states, and whoever shares an address with one that may be about to change."""
        keys = {(each.tenant, each.patient_id) for each in states}
        contacts = [(each, each.state) for each in states if isinstance(each.state, Patient)]
        if not contacts:
            return keys
        hashes = [(each.tenant, address_hash(self.address_key, patient) or "") for each, patient in contacts]
        moving = [(each.tenant, each.patient_id) for each, _ in contacts]
        return keys | await find_sharing(connection, moving, hashes)

    def _addresses(
        self, fresh: Sequence[Projected], locked: Mapping[PatientKey, Locked]
    ) -> list[tuple[Locked, str | None]]:
        changed = []
        for each in fresh:
            if isinstance(each.state, Patient):
                patient, new = locked[each.tenant, each.patient_id], address_hash(self.address_key, each.state)
                if new != patient.email_hash:
                    changed.append((patient, new))
        return changed

    async def _told(self, connection: AsyncConnection, states: Sequence[Projected]) -> set[PatientKey]:
        """``patient_told_at`` counts even in a version that a newer one has overtaken."""
        said = [(s, s.state) for s in states if isinstance(s.state, Appointment) and s.state.patient_told_at]
        keys = {(s.tenant, s.patient_id) for s, _ in said}
        known = await get_told(connection, keys) if keys else {}
        heard: defaultdict[PatientKey, dict[str, Told]] = defaultdict(dict)
        for each, visit in said:
            key = (each.tenant, each.patient_id)
            before = heard[key].get(visit.appointment_id) or known.get(key, {}).get(visit.appointment_id)
            after = told_after_event(before, visit)
            if after and after != before:
                heard[key][visit.appointment_id] = after
        await record_told(connection, [(key, told) for key, its in heard.items() for told in its.values()])
        return {key for key, its in heard.items() if its}

    async def buried(self, connection: AsyncConnection, letters: Sequence[DeadLetter]) -> None:
        """What is known of these patients is incomplete: hold their mail, tell staff."""
        now = self.planner.clock.now()
        concerned = [key for letter in letters for key in await _concerned(connection, letter)]
        await lock_or_add_patients(connection, concerned, self.master, now)
        for key in concerned:
            await mark_incomplete(connection, key, +1)
            opened = await open_entries(connection, [_letter_entry(key)], now)
            await self.planner.tell_staff(connection, opened, now)

    async def released(self, connection: AsyncConnection, letter: DeadLetter, event: Event[Any] | None) -> bool:
        """The letter was redriven or dismissed (no event): what it held may go on. Whether a newer state was known."""
        now = self.planner.clock.now()
        concerned = await _concerned(connection, letter)
        await lock_or_add_patients(connection, concerned, self.master, now)
        for key in concerned:
            if await mark_incomplete(connection, key, -1) == 0:
                closed = await close_entries(connection, LETTERS, [key], [], now)
                await self.planner.tell_staff(connection, closed, now)
        marked = await lock_patients(connection, concerned, self.master)
        await self.planner.replan(connection, list(marked.values()), release_held=True)
        return event is not None and await is_overtaken(connection, project(event, self.ring))


async def _concerned(connection: AsyncConnection, letter: DeadLetter) -> list[PatientKey]:
    """Whom a letter concerns: what it claims is unchecked, and may be nobody's name.

    Without a tenant's: every patient known under its key.
    """
    patient_id, tenant = _valid(_PATIENT_ID, letter.key), _valid(_TENANT, letter.tenant)
    if patient_id is None:
        return []
    return [(tenant, patient_id)] if tenant else await get_known(connection, patient_id)


def _valid(kind: TypeAdapter[str], text: str | None) -> str | None:
    try:
        return kind.validate_python(text)
    except ValidationError:
        return None


def _letter_entry(key: PatientKey) -> Entry:
    tenant, patient_id = key
    return Entry(tenant, patient_id, f"{LETTERS}{patient_id}", "truth_incomplete")
