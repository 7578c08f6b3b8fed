"""Claims given back: by their holder, or by the sweeper when their lease is over. By the database's clock.

Like whoever claims, all hold the patient's row first.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, null, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.store import database_now
from schemas.outcomes import DeliveryState
from services.notifier.store.claims import Claim
from services.notifier.store.patients import PatientKey, hold
from services.notifier.tables import IN_HAND, deliveries, mails, patients

S = DeliveryState
_MINE = tuple_(deliveries.c.tenant, deliveries.c.patient_id)


async def release(connection: AsyncConnection, claim: Claim, ids: Sequence[str], *, back_off: float = 0.0) -> None:
    """Give deliveries of a claim back, to be claimed again after ``back_off`` seconds of the database's clock."""
    if not ids:
        return
    await hold(connection, [claim.key])
    ours = (deliveries.c.lease_token == claim.token) & (deliveries.c.state == S.CLAIMED)
    mine = deliveries.c.delivery_id.in_(ids) & ours
    await _give_back(connection, mine, database_now(back_off) if back_off else null())


async def postpone(connection: AsyncConnection, ids: Sequence[str], seconds: float) -> None:
    """Planned deliveries aren't claimed for so long, by the database's clock."""
    if ids:
        which = deliveries.c.delivery_id.in_(ids)
        await connection.execute(update(deliveries).where(which).values(not_before=database_now(seconds)))


async def put_off_repeat(connection: AsyncConnection, mail_id: str, seconds: float) -> None:
    """The repeat didn't go out: it is due again after so many seconds of the database's clock."""
    again = update(deliveries).where(deliveries.c.mail_id == mail_id).values(lease_until=database_now(seconds))
    await connection.execute(again)
    await connection.execute(update(mails).where(mails.c.mail_id == mail_id).values(resends=mails.c.resends - 1))


async def release_expired(connection: AsyncConnection) -> int:
    """Give back what a process claimed that is no longer there; how many deliveries."""
    late = IN_HAND & (deliveries.c.state == S.CLAIMED) & (deliveries.c.lease_until <= database_now())
    rows = await connection.execute(select(deliveries.c.tenant, deliveries.c.patient_id).where(late))
    if not (keys := {(row.tenant, row.patient_id) for row in rows}):
        return 0
    await hold(connection, keys)
    return await _give_back(connection, late & _MINE.in_(sorted(keys)), null())


async def _give_back(connection: AsyncConnection, which: ColumnElement[bool], not_before: ColumnElement[Any]) -> int:
    """A cancel that was asked for meanwhile is left to the plan: the patient is re-planned."""
    asked = select(deliveries.c.tenant, deliveries.c.patient_id).where(
        which, deliveries.c.cancel_requested.is_not(None)
    )
    await connection.execute(
        update(patients).where(tuple_(patients.c.tenant, patients.c.patient_id).in_(asked)).values(stale=True)
    )
    free = {"state": S.PLANNED, "lease_token": None, "lease_until": None, "cancel_requested": None}
    given = await connection.execute(update(deliveries).where(which).values(**free, not_before=not_before))
    return given.rowcount


async def expired_sending(connection: AsyncConnection, limit: int = 100) -> list[Claim]:
    """Deliveries whose sender died between ``sending`` and the answer."""
    rows = await connection.execute(
        select(deliveries.c.tenant, deliveries.c.patient_id, deliveries.c.delivery_id, deliveries.c.lease_token)
        .where(IN_HAND, deliveries.c.state == S.SENDING, deliveries.c.lease_until <= database_now())
        .limit(limit)
    )
    found: defaultdict[tuple[PatientKey, str], list[str]] = defaultdict(list)
    for row in rows:
        found[(row.tenant, row.patient_id), row.lease_token].append(row.delivery_id)
    return [Claim(key, token, tuple(ids)) for (key, token), ids in found.items()]
