"""The programs as applied: rows of ``programs``, each with its whole content."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.store import insert
from schemas.programs import Program
from services.notifier.tables import programs

Stamp = tuple[str, datetime]
"""Version and time of an application: another one, and the content may be another."""


async def get_stamps(connection: AsyncConnection) -> dict[str, Stamp]:
    """What is applied, by public code; none when nothing ever was."""
    rows = await connection.execute(select(programs.c.public_code, programs.c.version, programs.c.applied_at))
    return {row.public_code: (row.version, row.applied_at) for row in rows}


async def get_programs(connection: AsyncConnection, codes: Iterable[str]) -> dict[str, Program]:
    """The applied programs with these codes."""
    query = select(programs.c.public_code, programs.c.content).where(programs.c.public_code.in_(sorted(codes)))
    return {row.public_code: Program.tolerant_json(row.content) for row in await connection.execute(query)}


async def add_programs(connection: AsyncConnection, new: Iterable[Program], now: datetime, *, replace: bool) -> None:
    """Store programs at civil time ``now``; ``replace`` what is applied already, or leave it as it is."""
    rows = [
        {
            "public_code": each.public_code, "tenant": each.tenant, "version": each.version, "applied_at": now,
            "content": each.model_dump_json(),
        }
        for each in new
    ]  # fmt: skip
    if not rows:
        return
    statement = insert(connection, programs)
    if not replace:
        await connection.execute(statement.on_conflict_do_nothing(), rows)
        return
    changed = {name: statement.excluded[name] for name in ("tenant", "version", "applied_at", "content")}
    await connection.execute(
        statement.on_conflict_do_update(index_elements=[programs.c.public_code], set_=changed), rows
    )
