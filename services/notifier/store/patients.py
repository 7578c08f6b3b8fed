"""Patients' rows: the lock everyone takes who plans or guards, and the key of what is protected."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, case, select, tuple_, union, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sealing import DataKey, Keyring
from chassis.store import insert
from services.notifier.tables import UNSENT, deliveries, patients

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
    stub_since: datetime | None
    data_key: DataKey

    @property
    def key(self) -> PatientKey:
        return (self.tenant, self.patient_id)


_IN_ORDER = (patients.c.tenant, patients.c.patient_id)
_KEY = tuple_(*_IN_ORDER)
_THEIRS = tuple_(deliveries.c.tenant, deliveries.c.patient_id)
_COLUMNS = (
    patients.c.tenant, patients.c.patient_id, patients.c.revision, patients.c.plan_version, patients.c.incomplete,
    patients.c.email_hash, patients.c.stub_since, patients.c.data_key,
)  # fmt: skip


async def lock_patients(
    connection: AsyncConnection, keys: Iterable[PatientKey], master: Keyring
) -> dict[PatientKey, Locked]:
    """Lock the rows that exist, in the order of their ids."""
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    rows = await connection.execute(select(*_COLUMNS).where(_KEY.in_(wanted)).order_by(*_IN_ORDER).with_for_update())
    return {(row.tenant, row.patient_id): _locked(row, master) for row in rows}


async def hold(connection: AsyncConnection, keys: Iterable[PatientKey]) -> None:
    """Lock the rows, in the order of their ids: what everybody holds who writes a patient's deliveries."""
    mine = _KEY.in_(sorted(set(keys)))
    await connection.execute(select(patients.c.patient_id).where(mine).order_by(*_IN_ORDER).with_for_update())


def _locked(row: Any, master: Keyring) -> Locked:
    return Locked(
        tenant=row.tenant,
        patient_id=row.patient_id,
        revision=row.revision,
        plan_version=row.plan_version,
        incomplete=row.incomplete > 0,
        email_hash=row.email_hash,
        stub_since=row.stub_since,
        data_key=master.unwrap(row.data_key),
    )


async def read_patients(
    connection: AsyncConnection, keys: Iterable[PatientKey], master: Keyring
) -> dict[PatientKey, Locked]:
    """The rows without a lock: for what only looks, in a transaction that writes nothing."""
    rows = await connection.execute(select(*_COLUMNS).where(_KEY.in_(sorted(set(keys)))))
    return {(row.tenant, row.patient_id): _locked(row, master) for row in rows}


async def list_patients(
    connection: AsyncConnection, tenants: Iterable[str], after: PatientKey, limit: int, patient_id: str | None = None
) -> list[PatientKey]:
    """The tenants' patients that come after ``after``, in the order of their ids; or the one with this id."""
    mine = patients.c.tenant.in_(sorted(set(tenants))) & (after < _KEY)
    if patient_id is not None:
        mine &= patients.c.patient_id == patient_id
    rows = await connection.execute(select(*_IN_ORDER).where(mine).order_by(*_IN_ORDER).limit(limit))
    return [(row.tenant, row.patient_id) for row in rows]


async def mark_all_stale(connection: AsyncConnection, tenants: Iterable[str]) -> int:
    """Every patient of these tenants is planned again, in waves; how many. Locks in the order all others lock in."""
    mine = patients.c.tenant.in_(sorted(set(tenants)))
    await connection.execute(select(patients.c.patient_id).where(mine).order_by(*_IN_ORDER).with_for_update())
    return (await connection.execute(update(patients).where(mine).values(stale=True))).rowcount


async def lock_or_add_patients(
    connection: AsyncConnection, keys: Iterable[PatientKey], master: Keyring, now: datetime
) -> dict[PatientKey, Locked]:
    """Lock the rows, all at once and in the order of their ids; a patient never heard of becomes a stub first."""
    wanted = sorted(set(keys))
    known = {
        (row.tenant, row.patient_id) for row in await connection.execute(select(*_IN_ORDER).where(_KEY.in_(wanted)))
    }
    if missing := [key for key in wanted if key not in known]:
        rows = [
            {"tenant": t, "patient_id": p, "data_key": master.new_data_key()[1], "stub_since": now} for t, p in missing
        ]
        await connection.execute(insert(connection, patients).on_conflict_do_nothing(), rows)
    return await lock_patients(connection, wanted, master)


async def record_plans(connection: AsyncConnection, planned: Sequence[tuple[Locked, datetime | None, bool]]) -> None:
    """After planning: the next moment, and a new revision, so that a guard's look from before no longer counts.

    The third is whether the plan changed, which is a new version of it.
    """
    mine = (patients.c.tenant == bindparam("k_tenant")) & (patients.c.patient_id == bindparam("k_patient"))
    values = {
        "revision": patients.c.revision + 1,
        "stale": False,
        "replan_at": bindparam("next"),
        "plan_version": patients.c.plan_version + bindparam("changed"),
    }
    rows = [
        {"k_tenant": p.tenant, "k_patient": p.patient_id, "next": at, "changed": int(changed)}
        for p, at, changed in planned
    ]
    await connection.execute(update(patients).where(mine).values(values), rows)


async def bump_revisions(connection: AsyncConnection, changed: Sequence[tuple[Locked, bool]]) -> None:
    """A new revision for patients whose rows the transaction holds; the second is whether the plan changed."""
    if not changed:
        return
    mine = (patients.c.tenant == bindparam("k_tenant")) & (patients.c.patient_id == bindparam("k_patient"))
    values = {
        "revision": patients.c.revision + 1,
        "plan_version": patients.c.plan_version + bindparam("changed"),
    }
    rows = [{"k_tenant": p.tenant, "k_patient": p.patient_id, "changed": int(plan)} for p, plan in changed]
    await connection.execute(update(patients).where(mine).values(values), rows)


async def get_replannable(
    connection: AsyncConnection, civil: datetime, limit: int, but: Iterable[PatientKey] = ()
) -> dict[PatientKey, bool]:
    """Patients whose plan time or others have changed, or with mail of no use any more: and whether others have.

    Rows another process has locked are left to it, those of ``but`` alone.
    """
    causes = (
        select(*_IN_ORDER).where(patients.c.stale, _KEY.not_in(sorted(but))),
        select(*_IN_ORDER).where(patients.c.replan_at <= civil, _KEY.not_in(sorted(but))),
        select(deliveries.c.tenant, deliveries.c.patient_id).where(
            UNSENT, deliveries.c.useful_until <= civil, _THEIRS.not_in(sorted(but))
        ),
    )
    found = union(*(select(each.limit(limit).subquery()) for each in causes))
    query = select(*_IN_ORDER, patients.c.stale).where(_KEY.in_(found)).order_by(*_IN_ORDER).limit(limit)
    rows = await connection.execute(query.with_for_update(skip_locked=True))
    return {(row.tenant, row.patient_id): row.stale for row in rows}


async def mark_incomplete(connection: AsyncConnection, key: PatientKey, by: int) -> int:
    """Count a dead letter in (1) or out (-1); mail is held while the count is above nought. Returns the count."""
    tenant, patient_id = key
    now = patients.c.incomplete + by
    result = await connection.execute(
        update(patients)
        .where(patients.c.tenant == tenant, patients.c.patient_id == patient_id)
        .values(incomplete=case((now < 0, 0), else_=now), revision=patients.c.revision + 1)
        .returning(patients.c.incomplete)
    )
    return int(result.scalar_one_or_none() or 0)


async def get_known(connection: AsyncConnection, patient_id: str) -> list[PatientKey]:
    """Patients with this id, whatever their tenant."""
    rows = await connection.execute(
        select(patients.c.tenant, patients.c.patient_id).where(patients.c.patient_id == patient_id)
    )
    return [(row.tenant, row.patient_id) for row in rows]
