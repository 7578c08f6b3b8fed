"""Who shares an address, by its keyed hash: whose mail may be read by another patient too."""

from collections.abc import Iterable

from sqlalchemy import bindparam, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.store.patients import Locked, PatientKey
from services.notifier.tables import patients


async def has_address(connection: AsyncConnection, tenant: str, address: str, but: str) -> bool:
    """Whether a patient of the tenant other than ``but`` has the address with this hash."""
    other = (patients.c.tenant == tenant) & (patients.c.email_hash == address) & (patients.c.patient_id != but)
    return (await connection.execute(select(patients.c.patient_id).where(other).limit(1))).first() is not None


async def find_sharing(
    connection: AsyncConnection, keys: Iterable[PatientKey], hashes: Iterable[tuple[str, str]]
) -> set[PatientKey]:
    """Who has an address (tenant, hash) that these patients are to get, or have now; these patients may be among them.

    Asked before any row is locked, so that ``set_addresses`` touches only rows the transaction holds.
    """
    address = tuple_(patients.c.tenant, patients.c.email_hash)
    own = patients.alias()
    theirs = select(own.c.tenant, own.c.email_hash).where(
        tuple_(own.c.tenant, own.c.patient_id).in_(sorted(set(keys))), own.c.email_hash.is_not(None)
    )
    mine = address.in_(sorted(set(hashes))) | address.in_(theirs)
    rows = await connection.execute(select(patients.c.tenant, patients.c.patient_id).where(mine))
    return {(row.tenant, row.patient_id) for row in rows}


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
