"""Snapshots of current state into the outbox, for consumers that were away longer than a topic keeps its records."""

import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.outbox import Message, put
from schemas.envelope import Origin
from services.intake.resources import Resources
from services.intake.store.records import load, lock_patients
from services.intake.tables import outbox, patients, subjects
from services.intake.wire import Sender, Stamp

PAGE = 100
"""Patients in one transaction."""


@dataclass(frozen=True, slots=True)
class Whom:
    """One patient of a tenant."""

    tenant: str
    patient_id: str


async def republish(
    resources: Resources, whom: Whom | None = None, progress: Callable[[int], None] = lambda events: None
) -> int:
    """Put a snapshot of every subject of ``whom`` (None: of every patient) into the outbox; how many there were.

    A page of patients is one transaction under their locks, so a snapshot never overtakes a change. ``progress`` is
    told how many events have been put so far. Running it again is harmless: consumers know the versions.
    """
    total, after = 0, None
    while True:
        async with resources.store.write() as connection:
            page = [whom] if whom else await _page(connection, after)
            total += await _publish(connection, resources, page)
        resources.nudge()
        progress(total)
        if whom or len(page) < PAGE:
            return total
        after = page[-1]


async def _page(connection: AsyncConnection, after: Whom | None) -> list[Whom]:
    key = tuple_(patients.c.tenant, patients.c.patient_id)
    query = select(patients.c.tenant, patients.c.patient_id).order_by(patients.c.tenant, patients.c.patient_id)
    if after is not None:
        query = query.where(key > tuple_(literal(after.tenant), literal(after.patient_id)))
    rows = await connection.execute(query.limit(PAGE))
    return [Whom(row.tenant, row.patient_id) for row in rows]


async def _publish(connection: AsyncConnection, resources: Resources, page: Sequence[Whom]) -> int:
    by_tenant: defaultdict[str, list[str]] = defaultdict(list)
    for each in page:
        by_tenant[each.tenant].append(each.patient_id)
    count = 0
    for tenant, ids in by_tenant.items():
        records = await _snapshots(connection, resources, tenant, ids)
        await put(connection, outbox, records)
        count += len(records)
    return count


async def _snapshots(
    connection: AsyncConnection, resources: Resources, tenant: str, ids: Sequence[str]
) -> list[Message]:
    wrapped = await lock_patients(connection, tenant, ids)
    locked = await load(connection, tenant, wrapped, wrapped, [], resources.rings.master)
    theirs = (subjects.c.tenant == tenant) & subjects.c.patient_id.in_(sorted(wrapped))
    rows = await connection.execute(select(subjects).where(theirs).order_by(subjects.c.recorded_at))
    sender = Sender(tenant, resources.host, resources.rings)
    return [
        sender.message(row.patient_id, locked[row.patient_id].record.subjects[row.subject], _stamp(row))
        for row in rows
        if row.subject in locked[row.patient_id].record.subjects
    ]


def _stamp(row: Any) -> Stamp:
    """As the newest event of the subject, under an id of its own."""
    return Stamp(
        event_id=str(uuid.uuid4()),
        name=row.name,
        time=row.recorded_at,
        recorded_at=row.recorded_at,
        adapter=row.adapter,
        origin=Origin.SNAPSHOT,
    )
