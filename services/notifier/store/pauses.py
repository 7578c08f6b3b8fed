"""Pauses: what people stopped of a program's mail, and who is planned again once they let it go on."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.scope import Scope
from chassis.store import insert
from schemas.outcomes import DeliveryState, Kind
from services.notifier.domain import Reason
from services.notifier.tables import ALL_KINDS, deliveries, patients, pauses

S = DeliveryState
Paused = tuple[str, Kind | None]
"""A program's public code, and the kind of mail; None: all of it."""


async def get_paused(connection: AsyncConnection, tenant: str) -> frozenset[Paused]:
    """What of the tenant's mail is paused now."""
    standing = select(pauses.c.program, pauses.c.kind).where(pauses.c.tenant == tenant, pauses.c.resumed_at.is_(None))
    return frozenset((row.program, Kind(row.kind) if row.kind else None) for row in await connection.execute(standing))


async def list_pauses(connection: AsyncConnection, scope: Scope, limit: int) -> Sequence[Row[Any]]:
    """Pauses within ``scope``, the newest first, those that are over among them."""
    mine = pauses.c.tenant == scope.tenant
    if scope.programs is not None:
        mine &= pauses.c.program.in_(sorted(scope.programs))
    newest = select(pauses).where(mine).order_by(pauses.c.paused_at.desc(), pauses.c.pause_id).limit(limit)
    return (await connection.execute(newest)).all()


async def add_pause(
    connection: AsyncConnection, tenant: str, what: Paused, by: str, reason: str, now: datetime
) -> bool:
    """Pause from civil time ``now`` on; False where it was paused already, by whoever stands there."""
    program, kind = what
    row = {
        "pause_id": str(uuid.uuid4()), "tenant": tenant, "program": program, "kind": kind or ALL_KINDS,
        "paused_at": now, "paused_by": by, "paused_for": reason,
    }  # fmt: skip
    added = insert(connection, pauses).values(row).on_conflict_do_nothing().returning(pauses.c.pause_id)
    return (await connection.execute(added)).first() is not None


async def end_pause(
    connection: AsyncConnection, tenant: str, what: Paused, by: str, reason: str, now: datetime
) -> bool:
    """End exactly this pause; False where there is none."""
    program, kind = what
    this = (pauses.c.tenant == tenant) & (pauses.c.program == program) & (pauses.c.kind == (kind or ALL_KINDS))
    ended = (
        update(pauses)
        .where(this, pauses.c.resumed_at.is_(None))
        .values(resumed_at=now, resumed_by=by, resumed_for=reason)
    )
    return (await connection.execute(ended)).rowcount > 0


async def mark_held(connection: AsyncConnection, tenant: str, program: str) -> int:
    """Whoever has mail held by a pause of the program is planned again; how many.

    To be called after the transaction that ended the pause: a guard that still saw it has its delivery claimed by then.
    """
    held = (deliveries.c.state == S.HELD) & (deliveries.c.reason == Reason.PROGRAM_PAUSED)
    waiting = select(deliveries.c.tenant, deliveries.c.patient_id).where(
        deliveries.c.tenant == tenant, deliveries.c.program == program, held | (deliveries.c.state == S.CLAIMED)
    )
    theirs = tuple_(patients.c.tenant, patients.c.patient_id).in_(waiting)
    in_order = select(patients.c.patient_id).where(theirs).order_by(patients.c.tenant, patients.c.patient_id)
    await connection.execute(in_order.with_for_update())
    return (await connection.execute(update(patients).where(theirs).values(stale=True))).rowcount
