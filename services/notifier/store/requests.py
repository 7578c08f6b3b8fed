"""Invitations that other services asked for and that wait for something the catalogue of trials may say."""

from sqlalchemy import select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.outcomes import DeliveryState
from services.notifier.tables import deliveries, patients

S = DeliveryState


async def mark_waiting(connection: AsyncConnection) -> int:
    """Whoever has an invitation held or claimed is planned again, with what is held released; how many.

    The claimed ones too: their guard may just be looking at what the catalogue said before.
    """
    waiting = select(deliveries.c.tenant, deliveries.c.patient_id).where(
        deliveries.c.request_id.is_not(None), deliveries.c.state.in_([S.HELD, S.CLAIMED])
    )
    theirs = tuple_(patients.c.tenant, patients.c.patient_id).in_(waiting)
    in_order = select(patients.c.patient_id).where(theirs).order_by(patients.c.tenant, patients.c.patient_id)
    await connection.execute(in_order.with_for_update())
    return (await connection.execute(update(patients).where(theirs).values(stale=True))).rowcount
