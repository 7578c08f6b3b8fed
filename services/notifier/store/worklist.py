"""Staff's worklist as far as the notifier fills it: each item opened once, closed when it no longer holds."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.store import insert
from schemas.outcomes import WorklistItem
from services.notifier.store.patients import PatientKey
from services.notifier.tables import worklist

HELD, PHONE = "held/", "phone/"
"""Owners of what the guard holds (``held/<patient>/<reason>``) and of what only a call can mend."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something for staff. ``key`` is its stable name within the tenant; ``owner`` closes only its own entries."""

    tenant: str
    patient_id: str | None
    key: str
    code: str
    program: str | None = None
    appointment_id: str | None = None
    paperwork_id: str | None = None
    delivery_id: str | None = None
    due_at: datetime | None = None


async def open_entries(
    connection: AsyncConnection, entries: Iterable[Entry], now: datetime
) -> list[tuple[str, WorklistItem]]:
    """Open those that aren't open: what was opened, with its tenant. A closed one is opened again as a new version."""
    wanted = {(each.tenant, each.key): each for each in entries}
    if not wanted:
        return []
    rows = await connection.execute(
        select(worklist).where(tuple_(worklist.c.tenant, worklist.c.key).in_(sorted(wanted)))
    )
    known = {(row.tenant, row.key): row for row in rows}
    opened = []
    for at, each in wanted.items():
        row = known.get(at)
        if row is None or row.closed_at is not None:
            item_id, version = (row.item_id, row.version + 1) if row else (str(uuid.uuid4()), 1)
            opened.append((each.tenant, each.key, _item(each, item_id, version, now)))
    await _store(connection, opened)
    return [(tenant, item) for tenant, _, item in opened]


async def close_entries(
    connection: AsyncConnection,
    owner: str,
    patients: Iterable[PatientKey],
    keep: Iterable[tuple[str, str]],
    now: datetime,
) -> list[tuple[str, WorklistItem]]:
    """Close the patients' open entries whose key begins with ``owner`` and isn't to be kept (tenant, key)."""
    kept, closed = set(keep), []
    rows = await connection.execute(
        select(worklist).where(
            tuple_(worklist.c.tenant, worklist.c.patient_id).in_(sorted(set(patients))),
            worklist.c.closed_at.is_(None),
            worklist.c.key.startswith(owner, autoescape=True),
        )
    )
    for row in rows:
        if (row.tenant, row.key) not in kept:
            item = WorklistItem(
                item_id=row.item_id,
                patient_id=row.patient_id,
                code=row.code,
                opened_at=row.opened_at,
                closed_at=now,
                version=row.version + 1,
            )
            closed.append((row.tenant, row.key, item))
    await _store(connection, closed)
    return [(tenant, item) for tenant, _, item in closed]


def _item(entry: Entry, item_id: str, version: int, now: datetime) -> WorklistItem:
    return WorklistItem(
        item_id=item_id,
        patient_id=entry.patient_id,
        program=entry.program,
        code=entry.code,
        appointment_id=entry.appointment_id,
        paperwork_id=entry.paperwork_id,
        delivery_id=entry.delivery_id,
        opened_at=now,
        due_at=entry.due_at,
        version=version,
    )


async def _store(connection: AsyncConnection, items: Sequence[tuple[str, str, WorklistItem]]) -> None:
    if not items:
        return
    rows = [
        {
            "item_id": item.item_id, "tenant": tenant, "patient_id": item.patient_id, "key": key, "code": item.code,
            "version": item.version, "opened_at": item.opened_at, "closed_at": item.closed_at,
        }
        for tenant, key, item in items
    ]  # fmt: skip
    statement = insert(connection, worklist)
    changed = {name: statement.excluded[name] for name in ("version", "opened_at", "closed_at")}
    await connection.execute(
        statement.on_conflict_do_update(index_elements=[worklist.c.tenant, worklist.c.key], set_=changed), rows
    )
