"""Queries of the reconciliation: counts over the whole ledger, and the first ids of what doesn't add up.

Judging is left to ``reconcile``: SQL groups, so a ledger of any size becomes a few rows.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.store import database_now
from schemas.outcomes import DeliveryState
from services.notifier.domain import OPEN_STATES
from services.notifier.tables import deliveries, history, mails

S = DeliveryState
LATE = timedelta(minutes=10)
"""How long past its use a delivery may be open: the sweeper's time."""
LEASE_GRACE_SECONDS = 60
_HAS_MAIL = (S.SENDING, S.SENT, S.DELIVERED, S.BOUNCED, S.COMPLAINED, S.FAILED, S.UNCERTAIN)


class Group(NamedTuple):
    """How many deliveries have these values in common."""

    values: tuple[Any, ...]
    size: int


async def count_states(connection: AsyncConnection, mine: ColumnElement[bool]) -> list[Group]:
    """By tenant, program and state."""
    by = (deliveries.c.tenant, deliveries.c.program, deliveries.c.state)
    return await _groups(connection, select(*by, func.count()).where(mine).group_by(*by))


async def count_planned(connection: AsyncConnection, mine: ColumnElement[bool]) -> list[Group]:
    """By tenant and program: deliveries whose history has a beginning."""
    by = (deliveries.c.tenant, deliveries.c.program)
    born = select(*by, func.count()).join(history, history.c.delivery_id == deliveries.c.delivery_id)
    return await _groups(connection, born.where(mine, history.c.from_state.is_(None)).group_by(*by))


async def count_steps(connection: AsyncConnection, mine: ColumnElement[bool]) -> list[Group]:
    """By (state the row before says, state it begins in, state it ends in), over the whole history."""
    steps = _steps(mine)
    by = (steps.c.stood, steps.c.from_state, steps.c.to_state)
    return await _groups(connection, select(*by, func.count()).group_by(*by))


async def find_step(
    connection: AsyncConnection, mine: ColumnElement[bool], step: Sequence[Any], limit: int
) -> list[str]:
    """Deliveries whose history has that step."""
    steps = _steps(mine)
    pairs = zip((steps.c.stood, steps.c.from_state, steps.c.to_state), step, strict=True)
    same = [column.is_(None) if value is None else column == value for column, value in pairs]
    return await _ids(connection, select(steps.c.delivery_id).where(*same), limit)


def _steps(mine: ColumnElement[bool]) -> Any:
    before = func.lag(history.c.to_state).over(partition_by=history.c.delivery_id, order_by=history.c.id)
    rows = select(history.c.delivery_id, before.label("stood"), history.c.from_state, history.c.to_state)
    return rows.join(deliveries, deliveries.c.delivery_id == history.c.delivery_id).where(mine).subquery()


async def count_ends(connection: AsyncConnection, mine: ColumnElement[bool]) -> list[Group]:
    """By (last state the history says, state of the row)."""
    by = (history.c.to_state, deliveries.c.state)
    return await _groups(connection, _last(mine).with_only_columns(*by, func.count()).group_by(*by))


async def find_end(connection: AsyncConnection, mine: ColumnElement[bool], end: Sequence[str], limit: int) -> list[str]:
    """Deliveries whose history ends in ``end[0]`` while they stand in ``end[1]``."""
    query = _last(mine).where(history.c.to_state == end[0], deliveries.c.state == end[1])
    return await _ids(connection, query, limit)


def _last(mine: ColumnElement[bool]) -> Select[Any]:
    newest = select(func.max(history.c.id)).group_by(history.c.delivery_id)
    joined = deliveries.c.delivery_id == history.c.delivery_id
    return select(deliveries.c.delivery_id).join(history, joined).where(mine, history.c.id.in_(newest))


async def find_unrecorded(connection: AsyncConnection, mine: ColumnElement[bool], limit: int) -> list[str]:
    """Deliveries without a history."""
    recorded = exists().where(history.c.delivery_id == deliveries.c.delivery_id)
    return await _ids(connection, select(deliveries.c.delivery_id).where(mine, ~recorded), limit)


async def find_vanished(connection: AsyncConnection, limit: int) -> list[str]:
    """Histories without a delivery: of no tenant any more."""
    there = exists().where(deliveries.c.delivery_id == history.c.delivery_id)
    return await _ids(connection, select(history.c.delivery_id).distinct().where(~there), limit)


async def find_overdue(
    connection: AsyncConnection, mine: ColumnElement[bool], civil: datetime, limit: int
) -> list[str]:
    """Open deliveries that are long of no use any more."""
    late = deliveries.c.state.in_(sorted(OPEN_STATES)) & (deliveries.c.useful_until < civil - LATE)
    return await _ids(connection, select(deliveries.c.delivery_id).where(mine, late), limit)


async def find_abandoned(connection: AsyncConnection, mine: ColumnElement[bool], limit: int) -> list[str]:
    """Claimed or on their way without a lease that still runs."""
    over = deliveries.c.lease_until.is_(None) | (deliveries.c.lease_until < database_now(-LEASE_GRACE_SECONDS))
    in_hand = deliveries.c.state.in_([S.CLAIMED, S.SENDING])
    return await _ids(connection, select(deliveries.c.delivery_id).where(mine, in_hand, over), limit)


async def count_verdicts(connection: AsyncConnection, mine: ColumnElement[bool]) -> list[Group]:
    """By (state, verdict of its mail, whether there is such a mail), for deliveries that must have one."""
    by = (deliveries.c.state, mails.c.verdict, mails.c.mail_id.is_not(None))
    return await _groups(connection, _mailed(mine).with_only_columns(*by, func.count()).group_by(*by))


async def find_verdict(
    connection: AsyncConnection, mine: ColumnElement[bool], values: Sequence[Any], limit: int
) -> list[str]:
    """Deliveries with that state, verdict and presence of a mail."""
    state, verdict, there = values
    said = mails.c.verdict.is_(None) if verdict is None else mails.c.verdict == verdict
    present = mails.c.mail_id.is_not(None) if there else mails.c.mail_id.is_(None)
    return await _ids(connection, _mailed(mine).where(deliveries.c.state == state, said, present), limit)


def _mailed(mine: ColumnElement[bool]) -> Select[Any]:
    joined = select(deliveries.c.delivery_id).outerjoin(mails, mails.c.mail_id == deliveries.c.mail_id)
    return joined.where(mine, deliveries.c.state.in_(_HAS_MAIL))


async def find_orphan_mails(connection: AsyncConnection, tenant: str | None, limit: int) -> list[str]:
    """Mails that went out, may have, or are on their way, and that no delivery owns."""
    owned = exists().where(deliveries.c.mail_id == mails.c.mail_id, deliveries.c.state.in_(_HAS_MAIL))
    may_be_out = mails.c.verdict.is_(None) | mails.c.verdict.in_(["accepted", "uncertain"])
    query = select(mails.c.mail_id).where(may_be_out, ~owned)
    return await _ids(connection, query if tenant is None else query.where(mails.c.tenant == tenant), limit)


async def list_uncertain(connection: AsyncConnection, mine: ColumnElement[bool]) -> list[str]:
    """Deliveries of which nobody knows whether they arrived."""
    return await _ids(connection, select(deliveries.c.delivery_id).where(mine, deliveries.c.state == S.UNCERTAIN), None)


async def _groups(connection: AsyncConnection, query: Select[Any]) -> list[Group]:
    return [Group(tuple(row[:-1]), row[-1]) for row in await connection.execute(query)]


async def _ids(connection: AsyncConnection, query: Select[Any], limit: int | None) -> list[str]:
    rows = await connection.execute(query.order_by(query.selected_columns[0]).limit(limit))
    return list(rows.scalars())
