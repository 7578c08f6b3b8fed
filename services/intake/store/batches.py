"""A batch in the store: everything it touches is read at once, and written at once, whatever its size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sealing import DataKey, Keyring
from schemas.patient import PatientReason
from services.intake.batch import Accepted, Before, Change, Decided, Posted, Read
from services.intake.domain.record import subject_of
from services.intake.store.events import add_events, find_events
from services.intake.store.records import Locked, SubjectRows, add_patients, erase, load, lock_patients, write_subjects
from services.intake.store.sealed import Kept, open_event, seal_event, seal_subject


@dataclass(frozen=True, slots=True)
class Stored:
    """The batch's patients, locked, with their keys."""

    locked: Mapping[str, Locked]
    read: Read


async def read_batch(connection: AsyncConnection, tenant: str, batch: Sequence[Posted], master: Keyring) -> Stored:
    """Lock and load the batch's patients; those who are registered by it get a row and a key first."""
    ids = {each.command.patient_id for each in batch}
    wrapped = await lock_patients(connection, tenant, ids)
    registered = {each.command.patient_id for each in batch if each.command.name == "patient.registered"}
    if new := registered - wrapped.keys():
        await add_patients(connection, tenant, new, master)
        wrapped |= await lock_patients(connection, tenant, new)
    locked = await load(connection, tenant, ids, wrapped, [each.command.subject for each in batch], master)
    rows = await find_events(connection, tenant, {each.event_id for each in batch})
    before = {event_id: _before(row, locked, tenant) for event_id, row in rows.items()}
    return Stored(locked, Read({patient_id: each.record for patient_id, each in locked.items()}, before))


def _before(row: Row[Any], locked: Mapping[str, Locked], tenant: str) -> Before:
    """Without its patient's key nothing of the event can be compared; another patient's is another event anyway."""
    accepted = Accepted(row.event_id, row.name, row.subject, row.version, row.recorded_at.isoformat())
    holder = locked.get(row.patient_id)
    if holder is None or holder.key is None or row.state is None:
        return Before(accepted, row.patient_id, None)
    kept, _ = open_event(holder.key, tenant, row.subject, row.version, row.state)
    return Before(accepted, row.patient_id, kept.fingerprint)


async def write_batch(
    connection: AsyncConnection, tenant: str, by: str, decided: Decided, stored: Stored, now: datetime
) -> None:
    """Write subjects and events; forget the keys of those who were erased."""
    subjects, events = SubjectRows(), []
    for change in decided.changes:
        patient_id = change.posted.command.patient_id
        holder = stored.locked[patient_id]
        if holder.key is None:
            raise AssertionError("nothing is accepted for a patient without a key")
        row = _row(tenant, change, now)
        heard = decided.records[patient_id].heard[subject_of(change.state)]
        sealed = seal_subject(holder.key, tenant, change.state, heard)
        subjects.put({**row, "state": sealed}, new=row["subject"] not in holder.record.subjects)
        events.append(_event_row(tenant, change, row, holder.key, by))
    await write_subjects(connection, subjects)
    await add_events(connection, events)
    await erase(connection, tenant, [change.state.id for change in decided.changes if _erases(change)])


def _erases(change: Change) -> bool:
    return change.posted.command.name == "patient.erased"


def _row(tenant: str, change: Change, now: datetime) -> dict[str, Any]:
    command, state = change.posted.command, change.state
    return {
        "tenant": tenant,
        "subject": subject_of(state),
        "patient_id": command.patient_id,
        "program": state.program,
        "version": state.version,
        "name": command.name,
        "adapter": command.adapter,
        "recorded_at": now,
    }


def _event_row(tenant: str, change: Change, row: Mapping[str, Any], key: DataKey, by: str) -> dict[str, Any]:
    posted = change.posted.command.posted
    reason = posted.reason if isinstance(posted, PatientReason) else None
    return {
        **row,
        "event_id": change.posted.event_id,
        "time": change.posted.command.time,
        "recorded_by": by,
        "state": seal_event(key, tenant, change.state, Kept(reason, change.posted.fingerprint)),
    }
