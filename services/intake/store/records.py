"""Patients' records: the lock under which versions are allotted, the patient's own key, each subject's newest state."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sealing import DataKey, Keyring
from chassis.store import insert
from schemas.patient import PatientStatus
from services.intake.domain.record import Patient, Record
from services.intake.store.sealed import open_subject
from services.intake.tables import events, patients, subjects, worklist


@dataclass(frozen=True, slots=True)
class Locked:
    """A patient's record, under the row's lock if it is to be changed. ``key`` is None for one unknown or erased."""

    key: DataKey | None
    record: Record


async def lock_patients(connection: AsyncConnection, tenant: str, ids: Iterable[str]) -> dict[str, bytes | None]:
    """Lock the rows that exist, in the order of their ids; their wrapped keys."""
    query = select(patients.c.patient_id, patients.c.data_key).where(
        patients.c.tenant == tenant, patients.c.patient_id.in_(sorted(set(ids)))
    )
    rows = await connection.execute(query.order_by(patients.c.patient_id).with_for_update())
    return {row.patient_id: row.data_key for row in rows}


async def add_patients(connection: AsyncConnection, tenant: str, ids: Iterable[str], master: Keyring) -> None:
    """Rows for patients who are new, each with a key of its own; one that is there already keeps its key."""
    rows = [{"tenant": tenant, "patient_id": each, "data_key": master.new_data_key()[1]} for each in sorted(set(ids))]
    if rows:
        await connection.execute(insert(connection, patients).on_conflict_do_nothing(), rows)


async def load(
    connection: AsyncConnection, tenant: str, ids: Iterable[str], wrapped: Mapping[str, bytes | None],
    names: Sequence[str], master: Keyring,
) -> dict[str, Locked]:  # fmt: skip
    """The records of patients, empty for one that isn't known. ``names`` are subjects that might be somebody else's."""
    owners = await _owners(connection, tenant, names)
    found = await _subjects(connection, tenant, wrapped)
    loaded = {}
    for patient_id in ids:
        sealed_key = wrapped.get(patient_id)
        key = master.unwrap(sealed_key) if sealed_key is not None else None
        elsewhere = frozenset(name for name, owner in owners.items() if owner != patient_id)
        loaded[patient_id] = Locked(key, _record(tenant, patient_id, key, found[patient_id], elsewhere))
    return loaded


async def find_record(connection: AsyncConnection, tenant: str, patient_id: str, master: Keyring) -> Locked | None:
    """One patient's record to look at, without a lock; None when the patient isn't known."""
    query = select(patients.c.data_key).where(patients.c.tenant == tenant, patients.c.patient_id == patient_id)
    row = (await connection.execute(query)).first()
    if row is None:
        return None
    return (await load(connection, tenant, [patient_id], {patient_id: row.data_key}, [], master))[patient_id]


async def _owners(connection: AsyncConnection, tenant: str, names: Sequence[str]) -> dict[str, str]:
    if not names:
        return {}
    query = select(subjects.c.subject, subjects.c.patient_id)
    rows = await connection.execute(
        query.where(subjects.c.tenant == tenant, subjects.c.subject.in_(sorted(set(names))))
    )
    return {row.subject: row.patient_id for row in rows}


async def _subjects(connection: AsyncConnection, tenant: str, ids: Iterable[str]) -> defaultdict[str, list[Any]]:
    columns = (subjects.c.patient_id, subjects.c.subject, subjects.c.version, subjects.c.state)
    theirs = (subjects.c.tenant == tenant) & subjects.c.patient_id.in_(sorted(ids))
    rows = await connection.execute(select(*columns).where(theirs))
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.patient_id].append(row)
    return found


def _record(
    tenant: str, patient_id: str, key: DataKey | None, rows: Iterable[Any], elsewhere: frozenset[str]
) -> Record:
    if key is None:
        return _erased(patient_id, rows, elsewhere)
    opened = {row.subject: open_subject(key, tenant, row.subject, row.version, row.state) for row in rows}
    states = {name: state for name, (_, state) in opened.items()}
    return Record(patient_id, states, {name: heard for name, (heard, _) in opened.items()}, elsewhere)


def _erased(patient_id: str, rows: Iterable[Any], elsewhere: frozenset[str]) -> Record:
    """Of an erased patient only the fact and its version are left."""
    name = f"patient/{patient_id}"
    states = {
        row.subject: Patient(patient_id, row.version, PatientStatus.ERASED) for row in rows if row.subject == name
    }
    return Record(patient_id, states, elsewhere=elsewhere)


@dataclass(slots=True)
class SubjectRows:
    """Rows to be written, gathered over a batch: only the last of each subject."""

    added: dict[str, dict[str, Any]] = field(default_factory=dict)
    changed: dict[str, dict[str, Any]] = field(default_factory=dict)

    def put(self, row: dict[str, Any], *, new: bool) -> None:
        """``new``: the subject wasn't in the store when the transaction began."""
        (self.added if new else self.changed)[row["subject"]] = row


async def write_subjects(connection: AsyncConnection, rows: SubjectRows) -> None:
    """Insert what is new (``IntegrityError`` when somebody else just took the same subject id), update the rest."""
    if rows.added:
        await connection.execute(subjects.insert(), list(rows.added.values()))
    if rows.changed:
        mine = (subjects.c.tenant == bindparam("k_tenant")) & (subjects.c.subject == bindparam("k_subject"))
        await connection.execute(update(subjects).where(mine), [_changed(row) for row in rows.changed.values()])


def _changed(row: Mapping[str, Any]) -> dict[str, Any]:
    """Columns to set under their own names, and which row."""
    columns = ("version", "name", "adapter", "recorded_at", "state")
    return {name: row[name] for name in columns} | {"k_tenant": row["tenant"], "k_subject": row["subject"]}


async def erase(connection: AsyncConnection, tenant: str, ids: Sequence[str]) -> None:
    """Forget the patients' keys, and what was sealed under them; ids, versions and times stay."""
    if not ids:
        return
    for table, column in ((patients, "data_key"), (subjects, "state"), (events, "state"), (worklist, "note")):
        theirs = (table.c.tenant == tenant) & table.c.patient_id.in_(ids)
        await connection.execute(update(table).where(theirs).values({column: None}))
