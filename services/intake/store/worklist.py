"""The worklist: what the notifier opened and closed, and what staff closed with a note."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, bindparam, case, null, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.scope import Scope
from chassis.sealing import Keyring
from chassis.store import insert
from schemas.base import Contract
from schemas.outcomes import WorklistItem
from schemas.protected import Protected
from schemas.sealed import Sealed
from schemas.text import Line
from services.intake.store.deliveries import Key
from services.intake.tables import worklist


class Note(Contract):
    """What staff wrote when they closed an item."""

    text: Protected[Line]


_COLUMNS = ("patient_id", "program", "code", "appointment_id", "paperwork_id", "delivery_id", "opened_at", "due_at")


async def record_items(connection: AsyncConnection, found: Mapping[Key, WorklistItem]) -> None:
    """Keep each item's newest version. What staff closed stays closed, unless it was opened again since."""
    rows = [
        {"tenant": tenant, "item_id": item_id, "version": item.version, "closed_at": item.closed_at}
        | {name: getattr(item, name) for name in _COLUMNS}
        for (tenant, item_id), item in sorted(found.items(), key=lambda each: each[0])
    ]
    if not rows:
        return
    statement = insert(connection, worklist)
    new, old = statement.excluded, worklist.c
    by_staff = old.closed_by.is_not(None) & (new.opened_at <= old.closed_at)
    changed: dict[str, Any] = {name: new[name] for name in ("version", *_COLUMNS)}
    changed["closed_at"] = case((by_staff, old.closed_at), else_=new.closed_at)
    changed["closed_by"] = case((by_staff, old.closed_by), else_=null())
    changed["note"] = case((by_staff, old.note), else_=null())
    keys = ["tenant", "item_id"]
    await connection.execute(
        statement.on_conflict_do_update(index_elements=keys, set_=changed, where=old.version < new.version), rows
    )


async def close_items(connection: AsyncConnection, keys: Sequence[Key], now: datetime) -> None:
    """Close items of our own that no longer hold."""
    mine = (worklist.c.tenant == bindparam("k_tenant")) & (worklist.c.item_id == bindparam("k_item"))
    statement = update(worklist).where(mine, worklist.c.closed_at.is_(None)).values(closed_at=now)
    rows = [{"k_tenant": tenant, "k_item": item_id} for tenant, item_id in keys]
    await connection.execute(statement, rows)


async def list_open(connection: AsyncConnection, scope: Scope, limit: int) -> Sequence[Row[Any]]:
    """Open items of the scope; oldest due first, those without a due time as due when they were opened."""
    due = case((worklist.c.due_at.is_(None), worklist.c.opened_at), else_=worklist.c.due_at)
    query = select(worklist).where(_visible(scope), worklist.c.closed_at.is_(None))
    return (await connection.execute(query.order_by(due, worklist.c.opened_at).limit(limit))).all()


async def list_of_patient(connection: AsyncConnection, scope: Scope, patient_id: str) -> Sequence[Row[Any]]:
    """All of a patient's items, open and closed."""
    query = select(worklist).where(_visible(scope), worklist.c.patient_id == patient_id)
    return (await connection.execute(query.order_by(worklist.c.opened_at))).all()


async def close_by_staff(
    connection: AsyncConnection, scope: Scope, item_id: str, by: str, note: Note, now: datetime, master: Keyring
) -> bool | None:
    """True when closed, False when it was closed already, None when the scope has no such item."""
    mine = _visible(scope) & (worklist.c.item_id == item_id)
    sealed = master.seal(note, tenant=scope.tenant, subject=f"worklist/{item_id}").model_dump_json()
    closed = await connection.execute(
        update(worklist)
        .where(mine, worklist.c.closed_at.is_(None))
        .values(closed_at=now, closed_by=by, note=sealed)
        .returning(worklist.c.item_id)
    )
    if closed.first() is not None:
        return True
    return False if (await connection.execute(select(worklist.c.item_id).where(mine))).first() else None


def open_note(row: Row[Any], master: Keyring) -> str | None:
    """The note in plain text, for staff."""
    if row.note is None:
        return None
    sealed = Sealed.model_validate(json.loads(row.note))
    return master.open(sealed, Note, tenant=row.tenant, subject=f"worklist/{row.item_id}").text.reveal()


def _visible(scope: Scope) -> ColumnElement[bool]:
    of_program = (
        true()
        if scope.programs is None
        else or_(worklist.c.program.is_(None), worklist.c.program.in_(sorted(scope.programs)))
    )
    return (worklist.c.tenant == scope.tenant) & of_program
