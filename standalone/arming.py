"""What the system asks and tells the notifier's store: who is armed, and whether its truth is fresh everywhere."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import insert, select

from chassis.store import Store
from schemas.registry import INTAKE_EVENTS
from schemas.topics import TOPICS
from services.notifier.store.moments import GROUP
from services.notifier.tables import arming, consumer


async def arm(store: Store, tenants: Sequence[str], at: datetime) -> None:
    """Be responsible for these tenants' mail from ``at`` (civil) on; who is armed already stays so."""
    async with store.write() as connection:
        armed = set((await connection.execute(select(arming.c.tenant))).scalars())
        new = [{"tenant": each, "armed_at": at} for each in tenants if each not in armed]
        if new:
            await connection.execute(insert(arming), new)


async def is_fresh(store: Store) -> bool:
    """Whether every partition was read to its end once, and intake was heard on it."""
    at = consumer.positions.c
    known = (at.consumer_group == GROUP) & at.caught_up_at.is_not(None) & at.fresh_as_of.is_not(None)
    async with store.read() as connection:
        found = await connection.execute(select(at.partition).where(known))
    return len(found.all()) == TOPICS[INTAKE_EVENTS].partitions
