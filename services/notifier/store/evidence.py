"""Queries of staff: deliveries within a Scope, and all that the ledger holds about one of them."""

import json
from typing import Any

from sqlalchemy import ColumnElement, Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.scope import Scope
from schemas.outcomes import DeliveryState
from services.notifier.domain import Told
from services.notifier.evidence import Attempt, Change, Evidence
from services.notifier.store.ledger import as_delivery, get_told
from services.notifier.tables import deliveries, history, mails


def _visible(scope: Scope) -> ColumnElement[bool]:
    mine = deliveries.c.tenant == scope.tenant
    return mine if scope.programs is None else mine & deliveries.c.program.in_(sorted(scope.programs))


async def find_evidence(connection: AsyncConnection, scope: Scope, delivery_id: str) -> Evidence | None:
    """Everything about one delivery; None when there is none that the scope may see."""
    query = select(deliveries).where(deliveries.c.delivery_id == delivery_id, _visible(scope))
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    return Evidence(
        delivery=as_delivery(row),
        patient_id=row.patient_id,
        rule=row.rule,
        due_local=row.due_local,
        zone=row.zone,
        attempts=row.attempts,
        history=await _history(connection, delivery_id),
        attempt=await _attempt(connection, row.mail_id),
        together=tuple(as_delivery(each) for each in await _same_mail(connection, scope, row)),
        told=await _told(connection, row),
    )


async def list_deliveries(connection: AsyncConnection, scope: Scope, patient_id: str, limit: int) -> list[Row[Any]]:
    """One patient's deliveries that the scope may see, in the order in which they are or were due."""
    query = select(deliveries).where(deliveries.c.patient_id == patient_id, _visible(scope))
    rows = await connection.execute(query.order_by(deliveries.c.due_at, deliveries.c.dedup_key).limit(limit))
    return list(rows)


async def _history(connection: AsyncConnection, delivery_id: str) -> tuple[Change, ...]:
    rows = await connection.execute(select(history).where(history.c.delivery_id == delivery_id).order_by(history.c.id))
    return tuple(
        Change(
            row.at, DeliveryState(row.from_state) if row.from_state else None, DeliveryState(row.to_state), row.reason,
            row.by,
        )
        for row in rows
    )  # fmt: skip


async def _attempt(connection: AsyncConnection, mail_id: str | None) -> Attempt | None:
    """The delivery's last mail, without its content."""
    if mail_id is None:
        return None
    columns = [each for each in mails.c if each.name != "content"]
    row = (await connection.execute(select(*columns).where(mails.c.mail_id == mail_id))).one_or_none()
    if row is None:
        return None
    return Attempt(
        row.mail_id, row.message_id, row.tier, row.program_version, row.template_version, json.loads(row.looked_at),
        row.sending_at, row.ended_at, row.verdict, row.phase, row.code, row.enhanced, row.resends,
    )  # fmt: skip


async def _same_mail(connection: AsyncConnection, scope: Scope, row: Row[Any]) -> list[Row[Any]]:
    if row.mail_id is None:
        return []
    others = (deliveries.c.mail_id == row.mail_id) & (deliveries.c.delivery_id != row.delivery_id)
    return list(await connection.execute(select(deliveries).where(others, _visible(scope))))


async def _told(connection: AsyncConnection, row: Row[Any]) -> Told | None:
    key = (row.tenant, row.patient_id)
    heard = (await get_told(connection, [key])).get(key, {})
    return heard.get(row.appointment_id)
