"""Patients' rows: the lock everyone takes who judges a patient, and the key of what is protected."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sealing import DataKey, Keyring
from chassis.store import database_now, insert
from services.trials.tables import past_subjects, patients, subjects

PatientKey = tuple[str, str]
"""Tenant and patient id."""

_IN_ORDER = (patients.c.tenant, patients.c.patient_id)
_KEY = tuple_(*_IN_ORDER)
_COLUMNS = (*_IN_ORDER, patients.c.data_key, patients.c.facts_version, patients.c.incomplete)
_MINE = (patients.c.tenant == bindparam("of_tenant")) & (patients.c.patient_id == bindparam("of_patient"))


@dataclass(frozen=True, slots=True)
class Locked:
    """A patient whose row this transaction holds. ``data_key`` is None for one who was erased."""

    tenant: str
    patient_id: str
    facts_version: int
    incomplete: bool
    data_key: DataKey | None

    @property
    def key(self) -> PatientKey:
        return (self.tenant, self.patient_id)


async def lock_patients(
    connection: AsyncConnection, keys: Iterable[PatientKey], master: Keyring
) -> dict[PatientKey, Locked]:
    """Lock the rows that exist, in the order of their ids."""
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    rows = await connection.execute(select(*_COLUMNS).where(_KEY.in_(wanted)).order_by(*_IN_ORDER).with_for_update())
    return {(row.tenant, row.patient_id): _locked(row, master) for row in rows}


async def read_patients(
    connection: AsyncConnection, keys: Iterable[PatientKey], master: Keyring
) -> dict[PatientKey, Locked]:
    """The rows without a lock, for what only looks."""
    query = select(*_COLUMNS).where(_KEY.in_(sorted(set(keys))))
    return {(row.tenant, row.patient_id): _locked(row, master) for row in await connection.execute(query)}


async def lock_or_add_patients(
    connection: AsyncConnection, keys: Iterable[PatientKey], master: Keyring
) -> dict[PatientKey, Locked]:
    """Lock the rows; a patient never heard of gets one first."""
    wanted = sorted(set(keys))
    known = {
        (row.tenant, row.patient_id) for row in await connection.execute(select(*_IN_ORDER).where(_KEY.in_(wanted)))
    }
    if missing := [key for key in wanted if key not in known]:
        statement = insert(connection, patients).values(changed_at=database_now()).on_conflict_do_nothing()
        rows = [{"tenant": t, "patient_id": p, "data_key": master.new_data_key()[1]} for t, p in missing]
        await connection.execute(statement, rows)
    return await lock_patients(connection, wanted, master)


async def record_changed(connection: AsyncConnection, changed: Iterable[PatientKey]) -> None:
    """What is known of these has changed."""
    rows = [{"of_tenant": tenant, "of_patient": patient_id} for tenant, patient_id in sorted(changed)]
    if rows:
        await connection.execute(update(patients).where(_MINE).values(facts_version=patients.c.facts_version + 1), rows)


async def record_judged(connection: AsyncConnection, moments: Iterable[tuple[PatientKey, datetime | None]]) -> None:
    """These were judged just now; with each, when time alone changes something (civil)."""
    rows = [{"of_tenant": key[0], "of_patient": key[1], "at": at} for key, at in moments]
    if rows:
        values = {"next_change": bindparam("at"), "changed_at": database_now()}
        await connection.execute(update(patients).where(_MINE).values(values), rows)


async def mark_incomplete(connection: AsyncConnection, key: PatientKey, by: int) -> int:
    """Count a dead letter of a locked patient up or down; how many there are now."""
    mine = (patients.c.tenant == key[0]) & (patients.c.patient_id == key[1])
    statement = update(patients).where(mine).values(incomplete=patients.c.incomplete + by)
    return int((await connection.execute(statement.returning(patients.c.incomplete))).scalar_one())


async def list_due(connection: AsyncConnection, now: datetime, limit: int) -> list[PatientKey]:
    """Patients of whom time has changed something by civil time ``now``, the earliest first."""
    due = patients.c.next_change <= now
    rows = await connection.execute(select(*_IN_ORDER).where(due).order_by(patients.c.next_change).limit(limit))
    return [(row.tenant, row.patient_id) for row in rows]


async def next_due(connection: AsyncConnection) -> datetime | None:
    """When time changes something of a patient next (civil)."""
    found: datetime | None = (await connection.execute(select(func.min(patients.c.next_change)))).scalar_one()
    return found


async def list_changed(connection: AsyncConnection, since: datetime | None) -> list[PatientKey]:
    """Patients who were judged at or after ``since`` by the database's clock; all of them without."""
    query = select(*_IN_ORDER).order_by(*_IN_ORDER)
    rows = await connection.execute(query if since is None else query.where(patients.c.changed_at >= since))
    return [(row.tenant, row.patient_id) for row in rows]


async def erase(connection: AsyncConnection, keys: Iterable[PatientKey]) -> None:
    """Forget these patients' keys and all that was sealed under them."""
    mine = sorted(set(keys))
    await connection.execute(update(patients).where(_KEY.in_(mine)).values(data_key=None, next_change=None))
    for table in (subjects, past_subjects):
        await connection.execute(table.delete().where(tuple_(table.c.tenant, table.c.patient_id).in_(mine)))


def _locked(row: Any, master: Keyring) -> Locked:
    key = master.unwrap(row.data_key) if row.data_key is not None else None
    return Locked(row.tenant, row.patient_id, row.facts_version, row.incomplete > 0, key)
