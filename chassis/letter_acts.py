"""Who looked at, redrove or dismissed which dead letter: kept for ever, beside the letters.

An act is written before it is done, so that one that fails or is interrupted has left its line, too.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Column, Integer, MetaData, Row, String, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.store import UtcDateTime, database_now, insert


class Act(StrEnum):
    """``read`` is a look at the payload; a list, or a letter without it, holds nothing protected."""

    READ = "read"
    REDRIVE = "redrive"
    DISMISS = "dismiss"


def letter_acts_table(metadata: MetaData) -> Table:
    """Append-only; ``at`` is the database's clock. ``by``: an API key's id, or ``user:`` and the machine's user."""
    return Table(
        "dead_letter_acts",
        metadata,
        Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
        Column("letter_id", BigInteger, nullable=False),
        Column("act", String(20), nullable=False),
        Column("by", String(100), nullable=False),
        Column("at", UtcDateTime, nullable=False),
        sqlite_autoincrement=True,
    )


async def record_act(connection: AsyncConnection, acts: Table, letter_id: int, act: Act, by: str) -> None:
    """One line."""
    row = {"letter_id": letter_id, "act": act, "by": by[:100], "at": database_now()}
    await connection.execute(insert(connection, acts).values(row))


async def list_acts(connection: AsyncConnection, acts: Table, letter_id: int) -> Sequence[Row[Any]]:
    """What was done with a letter, the first first."""
    return (await connection.execute(select(acts).where(acts.c.letter_id == letter_id).order_by(acts.c.id))).all()
