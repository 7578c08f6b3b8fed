"""Arming: from when this installation is responsible for a tenant's mail.

Steps due before then are ``skipped(before_arming)``, never caught up in one mail: whoever was responsible sent them.
"""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.store import insert
from services.notifier.store.patients import mark_all_stale
from services.notifier.tables import arming


async def get_armed_at(connection: AsyncConnection, tenant: str) -> datetime | None:
    """The civil time from which the tenant's mail is ours; None while disarmed: nothing goes out."""
    query = select(arming.c.armed_at).where(arming.c.tenant == tenant)
    return (await connection.execute(query)).scalar_one_or_none()


async def arm(connection: AsyncConnection, tenant: str, at: datetime) -> int:
    """Responsible from civil time ``at`` (aware); how many patients are planned again for it.

    Arming again moves the time: what was sent stays sent, what was skipped for it and is still ahead is planned again.
    """
    statement = insert(connection, arming).values(tenant=tenant, armed_at=at)
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=[arming.c.tenant], set_={"armed_at": statement.excluded.armed_at}
        )
    )
    return await mark_all_stale(connection, [tenant])
