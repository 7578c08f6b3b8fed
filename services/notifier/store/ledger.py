"""The ledger: every delivery ever planned, each change of its state, and what patients were told of their visits."""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, tuple_, update
from sqlalchemy import insert as plain_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.store import insert
from schemas.appointment import Modality
from schemas.outcomes import DeliveryState, Kind
from services.notifier.domain import Delivery, Ledger, Reason, Told
from services.notifier.store.claims import Claim
from services.notifier.store.patients import PatientKey
from services.notifier.tables import arming, deliveries, history, told

S = DeliveryState
_TOLD = [each.name for each in fields(Told)]
_PATIENT = tuple_(deliveries.c.tenant, deliveries.c.patient_id)
_VIEW = (
    deliveries.c.delivery_id, deliveries.c.dedup_key, deliveries.c.kind, deliveries.c.program, deliveries.c.state,
    deliveries.c.reason, deliveries.c.due_at, deliveries.c.useful_until, deliveries.c.appointment_id,
    deliveries.c.paperwork_id, deliveries.c.step, deliveries.c.mail_id, deliveries.c.entered_sending,
    deliveries.c.ended_at, deliveries.c.rides, deliveries.c.tier, deliveries.c.created_at,
    deliveries.c.request_id,
)  # fmt: skip


def as_delivery(row: Any) -> Delivery:
    """A row of ``deliveries`` as the pure core sees it."""
    return Delivery(
        delivery_id=row.delivery_id,
        dedup_key=row.dedup_key,
        kind=Kind(row.kind),
        program=row.program,
        state=DeliveryState(row.state),
        reason=Reason(row.reason) if row.reason else None,
        due_at=row.due_at,
        useful_until=row.useful_until,
        appointment_id=row.appointment_id,
        paperwork_id=row.paperwork_id,
        step=row.step,
        mail_id=row.mail_id,
        entered_sending=row.entered_sending,
        ended_at=row.ended_at,
        rides=row.rides,
        created_at=row.created_at,
        tier=row.tier,
        request_id=row.request_id,
    )


async def load_ledgers(connection: AsyncConnection, keys: Iterable[PatientKey]) -> dict[PatientKey, Ledger]:
    """What has happened to each patient."""
    wanted = sorted(set(keys))
    found: defaultdict[PatientKey, list[Delivery]] = defaultdict(list)
    query = select(deliveries.c.tenant, deliveries.c.patient_id, *_VIEW).where(_PATIENT.in_(wanted))
    for row in await connection.execute(query.order_by(deliveries.c.created_at, deliveries.c.dedup_key)):
        found[row.tenant, row.patient_id].append(as_delivery(row))
    heard = await get_told(connection, wanted)
    armed = {row.tenant: row.armed_at for row in await connection.execute(select(arming))}
    return {key: Ledger(tuple(found[key]), heard.get(key, {}), armed.get(key[0])) for key in wanted}


@dataclass(frozen=True, slots=True)
class ClaimedRow:
    """A claimed delivery with what only its mail needs. ``zone`` is the recipient's, as planned.

    ``called_off``: the plan has asked to cancel it since it was claimed.
    """

    delivery: Delivery
    zone: str
    asks_left: int | None
    attempts: int
    trace: str | None
    called_off: bool


async def get_claimed(connection: AsyncConnection, claims: Iterable[Claim]) -> dict[PatientKey, list[ClaimedRow]]:
    """The claims' deliveries that are still their own, each patient's most important first."""
    return await _under(connection, {each: {S.UNCERTAIN if each.again else S.CLAIMED} for each in claims})


async def get_sending(
    connection: AsyncConnection, claims: Iterable[Claim], late: Container[Claim] = ()
) -> dict[PatientKey, list[ClaimedRow]]:
    """The claims' deliveries that are on their way; of those in ``late`` also what was called uncertain since."""
    return await _under(connection, {each: {S.SENDING, *([S.UNCERTAIN] if each in late else [])} for each in claims})


async def _under(
    connection: AsyncConnection, states: Mapping[Claim, Container[DeliveryState]]
) -> dict[PatientKey, list[ClaimedRow]]:
    """Of each claim what its token still holds, in one of its states."""
    claims = {delivery_id: claim for claim in states for delivery_id in claim.delivery_ids}
    beside = [deliveries.c[name] for name in ("zone", "asks_left", "attempts", "trace", "cancel_requested")]
    query = select(*_VIEW, *beside, deliveries.c.lease_token).where(deliveries.c.delivery_id.in_(sorted(claims)))
    found: defaultdict[PatientKey, list[ClaimedRow]] = defaultdict(list)
    for row in await connection.execute(query.order_by(deliveries.c.priority, deliveries.c.due_at)):
        claim = claims[row.delivery_id]
        if row.lease_token != claim.token or row.state not in states[claim]:
            continue
        called_off = row.cancel_requested is not None
        one = ClaimedRow(as_delivery(row), row.zone, row.asks_left, row.attempts, row.trace, called_off)
        found[claim.key].append(one)
    return found


async def next_outcome_versions(connection: AsyncConnection, ids: Sequence[str]) -> dict[str, int]:
    """The version of each delivery's next outcome: a reopened one has had outcomes before."""
    if not ids:
        return {}
    columns = (deliveries.c.delivery_id, deliveries.c.outcome_version)
    rows = await connection.execute(select(*columns).where(deliveries.c.delivery_id.in_(ids)))
    return {row.delivery_id: row.outcome_version + 1 for row in rows}


async def get_told(connection: AsyncConnection, keys: Iterable[PatientKey]) -> dict[PatientKey, dict[str, Told]]:
    """What each patient last heard of each visit, by appointment id."""
    heard: defaultdict[PatientKey, dict[str, Told]] = defaultdict(dict)
    query = select(told).where(tuple_(told.c.tenant, told.c.patient_id).in_(sorted(set(keys))))
    for row in await connection.execute(query):
        heard[row.tenant, row.patient_id][row.appointment_id] = _as_told(row)
    return heard


def _as_told(row: Any) -> Told:
    modality = Modality(row.modality) if row.modality else None
    return Told(row.appointment_id, row.sequence, row.start, row.site, modality, row.at, row.by, row.certain)


async def record_told(connection: AsyncConnection, heard: Sequence[tuple[PatientKey, Told]]) -> None:
    """What patients have just been told; the newest word on each visit replaces the one before."""
    if not heard:
        return
    rows = [{"tenant": t, "patient_id": p, **{name: getattr(each, name) for name in _TOLD}} for (t, p), each in heard]
    statement = insert(connection, told)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in ("tenant", "appointment_id")}
    await connection.execute(
        statement.on_conflict_do_update(index_elements=[told.c.tenant, told.c.appointment_id], set_=changed), rows
    )


async def add_history(
    connection: AsyncConnection,
    changes: Sequence[tuple[str, DeliveryState | None, DeliveryState, Reason | None]],
    at: datetime,
    by: str,
) -> None:
    """Record changes of state: (delivery id, from, to, reason) at the civil time ``at``, made by ``by``."""
    if changes:
        rows = [
            {"delivery_id": i, "at": at, "from_state": old, "to_state": new, "reason": reason, "by": by}
            for i, old, new, reason in changes
        ]
        await connection.execute(plain_insert(history), rows)


async def add_deliveries(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert new deliveries; a dedup key that exists already is an error of the plan and stops the transaction."""
    if rows:
        await connection.execute(plain_insert(deliveries), list(rows))


async def change_deliveries(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Update deliveries by id: each row holds ``delivery_id`` and the same other columns as its siblings."""
    if not rows:
        return
    columns = [name for name in rows[0] if name != "delivery_id"]
    statement = update(deliveries).where(deliveries.c.delivery_id == bindparam("of"))
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in columns}
    parameters = [{"of": row["delivery_id"]} | {f"new_{name}": row[name] for name in columns} for row in rows]
    await connection.execute(statement.values(values), parameters)
