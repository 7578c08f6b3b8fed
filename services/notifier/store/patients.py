"""Patients' rows: the lock everyone takes who plans or guards, and the key of what is protected."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, bindparam, case, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sealing import DataKey, Keyring
from chassis.store import insert
from services.notifier.tables import patients

PatientKey = tuple[str, str]
"""Tenant and patient id."""


@dataclass(frozen=True, slots=True)
class Locked:
    """A patient whose row this transaction holds."""

    tenant: str
    patient_id: str
    revision: int
    plan_version: int
    incomplete: bool
    email_hash: str | None
    data_key: DataKey

    @property
    def key(self) -> PatientKey:
        return (self.tenant, self.patient_id)


_KEY = tuple_(patients.c.tenant, patients.c.patient_id)
_COLUMNS = (
    patients.c.tenant, patients.c.patient_id, patients.c.revision, patients.c.plan_version, patients.c.incomplete,
    patients.c.email_hash, patients.c.data_key,
)  # fmt: skip


async def lock_patients(
    connection: AsyncConnection, keys: Iterable[PatientKey], master: Keyring
) -> dict[PatientKey, Locked]:
    """Lock the rows that exist, in the order of their ids."""
    wanted = sorted(set(keys))
    rows = await connection.execute(select(*_COLUMNS).where(_KEY.in_(wanted)).order_by(_KEY).with_for_update())
    return {(row.tenant, row.patient_id): _locked(row, master) for row in rows}


def _locked(row: Row[Any], master: Keyring) -> Locked:
    return Locked(
        tenant=row.tenant,
        patient_id=row.patient_id,
        revision=row.revision,
        plan_version=row.plan_version,
        incomplete=row.incomplete > 0,
        email_hash=row.email_hash,
        data_key=master.unwrap(row.data_key),
    )


async def lock_or_add_patients(
    connection: AsyncConnection, keys: Iterable[PatientKey], master: Keyring
) -> dict[PatientKey, Locked]:
    """Lock the rows; a patient never heard of becomes a stub first."""
    wanted = sorted(set(keys))
    locked = await lock_patients(connection, wanted, master)
    if missing := [key for key in wanted if key not in locked]:
        rows = [{"tenant": t, "patient_id": p, "data_key": master.new_data_key()[1]} for t, p in missing]
        await connection.execute(insert(connection, patients).on_conflict_do_nothing(), rows)
        locked |= await lock_patients(connection, missing, master)
    return locked


async def shared_addresses(connection: AsyncConnection, tenant: str, hashes: Iterable[str]) -> frozenset[str]:
    """Those of the hashes which more than one of the tenant's patients has."""
    wanted = set(hashes)
    if not wanted:
        return frozenset()
    rows = await connection.execute(
        select(patients.c.email_hash)
        .where(patients.c.tenant == tenant, patients.c.email_hash.in_(wanted))
        .group_by(patients.c.email_hash)
        .having(func.count() > 1)
    )
    return frozenset(rows.scalars())


async def set_addresses(connection: AsyncConnection, changed: Iterable[tuple[Locked, str | None]]) -> None:
    """Record new address hashes; others who share an old or a new one are marked for re-planning."""
    rows = [{"k_tenant": p.tenant, "k_patient": p.patient_id, "new": new, "old": p.email_hash} for p, new in changed]
    if not rows:
        return
    mine = (patients.c.tenant == bindparam("k_tenant")) & (patients.c.patient_id == bindparam("k_patient"))
    await connection.execute(update(patients).where(mine).values(email_hash=bindparam("new")), rows)
    either = (patients.c.email_hash == bindparam("old")) | (patients.c.email_hash == bindparam("new"))
    shared = (patients.c.tenant == bindparam("k_tenant")) & either
    await connection.execute(update(patients).where(shared).values(stale=True), rows)


async def mark_incomplete(connection: AsyncConnection, key: PatientKey, by: int) -> None:
    """Count a dead letter in (1) or out (-1); mail is held while the count is above nought."""
    tenant, patient_id = key
    now = patients.c.incomplete + by
    await connection.execute(
        update(patients)
        .where(patients.c.tenant == tenant, patients.c.patient_id == patient_id)
        .values(incomplete=case((now < 0, 0), else_=now), stale=True)
    )
