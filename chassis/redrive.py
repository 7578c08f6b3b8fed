"""What people do with dead letters: look, have one handled again, or dismiss it.

Redriving runs the service's own handler here, in one transaction with the letter's end; the record never goes back to
the shared topic, where others have read it. A letter that fails again stays open. ``scope`` None is the operator of
the installation, who also sees letters whose tenant can't be read; the tenant is what the record claims.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.batch import Apply
from chassis.dead_letters import DeadLetter, LetterState
from chassis.decoding import Event, Record, decode
from chassis.errors import Permanent
from chassis.scope import Scope
from chassis.store import Store, database_now

Released = Callable[[AsyncConnection, DeadLetter, Event[Any] | None], Awaitable[bool]]
"""Lets go of what ``Buried`` marked, unless ``open_letters`` of the key are left; in the same transaction, after it.

The event is the redriven one, None for a dismissed letter. Returns whether the store held a newer version already.
"""


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A letter as it lies in the store; times are the database's clock. The payload may hold protected data."""

    id: int
    group: str
    state: LetterState
    buried_at: datetime
    closed_at: datetime | None
    note: str | None
    letter: DeadLetter


async def list_letters(
    connection: AsyncConnection,
    table: Table,
    scope: Scope | None,
    *,
    state: LetterState | None = LetterState.OPEN,
    group: str | None = None,
    limit: int = 100,
) -> Sequence[StoredLetter]:
    """The newest first and without payloads: each record's ``value`` is None."""
    wanted = _visible(table, scope)
    if state is not None:
        wanted &= table.c.state == state
    if group is not None:
        wanted &= table.c.consumer_group == group
    columns = [column for column in table.c if column.name != "value"]
    rows = await connection.execute(select(*columns).where(wanted).order_by(table.c.id.desc()).limit(limit))
    return [_stored(row) for row in rows]


async def show_letter(connection: AsyncConnection, table: Table, scope: Scope | None, letter_id: int) -> StoredLetter:
    """One letter with its payload. Raises ``Permanent("no_such_letter")``."""
    found = await connection.execute(select(table).where(_visible(table, scope), table.c.id == letter_id))
    if (row := found.first()) is None:
        raise Permanent("no_such_letter")
    return _stored(row)


async def redrive(
    store: Store,
    table: Table,
    scope: Scope | None,
    letter_id: int,
    *,
    uses: Collection[str],
    apply: Apply,
    released: Released,
) -> LetterState:
    """Handle the letter again; ``redriven``, or ``superseded`` where the store was newer.

    Raises ``Permanent`` with ``no_such_letter``, ``letter_closed``, ``not_used`` or what is still wrong with it; it
    stays open then.
    """
    async with store.write() as connection:
        letter = await _close(connection, table, scope, letter_id, LetterState.REDRIVEN)
        event = decode(letter.record, uses)
        if event is None:
            raise Permanent("not_used")
        await apply(connection, [event])
        if not await released(connection, letter, event):
            return LetterState.REDRIVEN
        superseded = update(table).where(table.c.id == letter_id).values(state=LetterState.SUPERSEDED)
        await connection.execute(superseded)
        return LetterState.SUPERSEDED


async def dismiss(
    store: Store, table: Table, scope: Scope | None, letter_id: int, note: str, *, released: Released
) -> None:
    """Close the letter without handling it; ``note`` says why, in words without protected data.

    Raises ``Permanent`` with ``no_such_letter`` or ``letter_closed``.
    """
    async with store.write() as connection:
        letter = await _close(connection, table, scope, letter_id, LetterState.DISMISSED, note)
        await released(connection, letter, None)


async def _close(
    connection: AsyncConnection, table: Table, scope: Scope | None, letter_id: int, state: LetterState, note: str = ""
) -> DeadLetter:
    """Claim an open letter by closing it: two people can't redrive it at the same time."""
    closed = await connection.execute(
        update(table)
        .where(_visible(table, scope), table.c.id == letter_id, table.c.state == LetterState.OPEN)
        .values(state=state, closed_at=database_now(), note=note or None)
        .returning(*table.c)
    )
    if (row := closed.first()) is not None:
        return _stored(row).letter
    await show_letter(connection, table, scope, letter_id)
    raise Permanent("letter_closed")


def _visible(table: Table, scope: Scope | None) -> ColumnElement[bool]:
    return true() if scope is None else table.c.tenant == scope.tenant


def _stored(row: Row[Any]) -> StoredLetter:
    had = row._mapping
    record = Record(
        had["topic"],
        had["partition"],
        had["position"],
        had["timestamp_ms"],
        had["record_key"],
        had["headers"],
        had.get("value"),
    )
    letter = DeadLetter(record, had["reason"], had["error"], had["key"], had["tenant"], had["event"])
    return StoredLetter(
        had["id"],
        had["consumer_group"],
        LetterState(had["state"]),
        had["buried_at"],
        had["closed_at"],
        had["note"],
        letter,
    )
