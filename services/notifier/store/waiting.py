"""What waits, counted for operators: due, held, uncertain, paused. Each count has an index of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.tables import HELD, PLANNED, UNCERTAIN, arming, deliveries, pauses


@dataclass(frozen=True, slots=True)
class Waiting:
    """At one civil time. ``oldest`` is how long the longest due has been; ``held`` is by reason."""

    due: int
    oldest: timedelta
    held: Mapping[str, int]
    uncertain: int
    paused: int


async def count_waiting(connection: AsyncConnection, civil: datetime) -> Waiting:
    """What is due of tenants that aren't armed waits for nobody, nor does what is uncertain and of no use any more."""
    armed = select(literal(1)).where(arming.c.tenant == deliveries.c.tenant).exists()
    due = select(func.count(), func.min(deliveries.c.due_at)).where(PLANNED, deliveries.c.due_at <= civil, armed)
    number, since = (await connection.execute(due)).one()
    held = select(deliveries.c.reason, func.count()).where(HELD).group_by(deliveries.c.reason)
    by_reason = {reason or "": count for reason, count in await connection.execute(held)}
    unsure = select(func.count()).where(UNCERTAIN, deliveries.c.useful_until > civil)
    standing = select(func.count()).where(pauses.c.resumed_at.is_(None))
    return Waiting(
        due=number,
        oldest=civil - since if since else timedelta(0),
        held=by_reason,
        uncertain=(await connection.execute(unsure)).scalar_one(),
        paused=(await connection.execute(standing)).scalar_one(),
    )
