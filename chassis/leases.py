"""Named leases: at most one holder at a time, by the database's clock, however its process ends."""

from sqlalchemy import Column, MetaData, Table, Text, delete
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.store import UtcDateTime, database_now, insert


def leases_table(metadata: MetaData) -> Table:
    """``leases``: a row is a lease that somebody holds, or held until ``until``."""
    return Table(
        "leases",
        metadata,
        Column("name", Text, primary_key=True),
        Column("token", Text, nullable=False),
        Column("until", UtcDateTime, nullable=False),
    )


async def take(connection: AsyncConnection, leases: Table, name: str, token: str, seconds: float) -> bool:
    """Take the lease, or renew it, for ``seconds`` from now; False while somebody else holds it."""
    statement = insert(connection, leases).values(name=name, token=token, until=database_now(seconds))
    free = (leases.c.token == token) | (leases.c.until <= database_now())
    taken = await connection.execute(
        statement.on_conflict_do_update(
            index_elements=[leases.c.name],
            set_={"token": statement.excluded.token, "until": statement.excluded.until},
            where=free,
        ).returning(leases.c.name)
    )
    return taken.first() is not None


async def release(connection: AsyncConnection, leases: Table, name: str, token: str) -> None:
    """Let the next holder in at once; nothing if the lease isn't ours."""
    await connection.execute(delete(leases).where((leases.c.name == name) & (leases.c.token == token)))
