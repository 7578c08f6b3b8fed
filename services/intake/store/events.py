"""Accepted events: what makes a repeated post harmless, and the timeline's past."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.intake.tables import events, outbox


async def find_events(connection: AsyncConnection, tenant: str, ids: Iterable[str]) -> dict[str, Row[Any]]:
    """Those of the events that were accepted before, by id."""
    rows = await connection.execute(select(events).where(events.c.tenant == tenant, events.c.event_id.in_(sorted(ids))))
    return {row.event_id: row for row in rows}


async def add_events(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
    """``IntegrityError`` when an event of this id has just been accepted for another patient."""
    if rows:
        await connection.execute(events.insert(), list(rows))


async def list_events(connection: AsyncConnection, tenant: str, patient_id: str) -> Sequence[Row[Any]]:
    """All events of a patient, oldest first."""
    mine = (events.c.tenant == tenant) & (events.c.patient_id == patient_id)
    rows = await connection.execute(select(events).where(mine).order_by(events.c.recorded_at, events.c.version))
    return rows.all()


async def is_waiting(connection: AsyncConnection, patient_id: str, event_id: str) -> bool:
    """Whether the event still waits for the relay."""
    mine = (outbox.c.key == patient_id.encode()) & outbox.c.published.is_(False)
    rows = await connection.execute(select(outbox.c.headers).where(mine))
    return any(("ce_id", event_id.encode()) in row.headers for row in rows)
