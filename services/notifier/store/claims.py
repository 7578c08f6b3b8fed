"""Claims by lease and token: who may work on a delivery now, by the database's clock.

Every writer of a delivery holds its patient's row first, so that nobody waits crosswise; ``SKIP LOCKED`` is a speed-up
where there is one. A claim that asks for something which is no longer so (another token, another revision, a cancel
request) changes no row. ``releases`` gives back.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, literal, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.store import database_now
from schemas.outcomes import DeliveryState
from services.notifier.domain import SAFETY
from services.notifier.store.patients import PatientKey, hold
from services.notifier.tables import PLANNED, UNCERTAIN, arming, deliveries, mails, patients

S = DeliveryState
CLAIM_SECONDS = 60
_MINE = tuple_(deliveries.c.tenant, deliveries.c.patient_id)


@dataclass(frozen=True, slots=True)
class Claim:
    """One patient's claimed deliveries. ``again`` is a repeat: uncertain safety notices, not planned deliveries."""

    key: PatientKey
    token: str
    delivery_ids: tuple[str, ...]
    again: bool = False


async def claim_due(connection: AsyncConnection, civil: datetime, token: str, patients_limit: int) -> list[Claim]:
    """Claim all due deliveries of the patients whose turn it is: safety notices first, then the longest due.

    Due is ``due_at`` ≤ civil and ``not_before`` ≤ the database's clock; a tenant that isn't armed has none. A patient
    with a delivery in somebody's hands waits: one patient, one writer.
    """
    due = (
        PLANNED
        & (deliveries.c.due_at <= civil)
        & (deliveries.c.useful_until > civil)
        & (deliveries.c.not_before.is_(None) | (deliveries.c.not_before <= database_now()))
        & select(literal(1)).where(arming.c.tenant == deliveries.c.tenant).exists()
    )
    in_hand = deliveries.alias()
    busy = (
        select(literal(1))
        .where(in_hand.c.tenant == deliveries.c.tenant, in_hand.c.patient_id == deliveries.c.patient_id)
        .where(in_hand.c.state.in_([S.CLAIMED, S.SENDING]))
        .exists()
    )
    theirs = (patients.c.tenant == deliveries.c.tenant) & (patients.c.patient_id == deliveries.c.patient_id)
    turn = await connection.execute(
        select(deliveries.c.tenant, deliveries.c.patient_id)
        .join(patients, theirs)
        .where(due, ~busy)
        .order_by(deliveries.c.priority, deliveries.c.due_at)
        .limit(patients_limit)
        .with_for_update(of=patients, skip_locked=True)
    )
    keys = {(row.tenant, row.patient_id) for row in turn}
    if not keys:
        return []
    claimed = await connection.execute(
        update(deliveries)
        .where(due, ~busy, _MINE.in_(sorted(keys)))  # asked again: another may have claimed before the row was ours
        .values(state=S.CLAIMED, lease_token=token, lease_until=database_now(CLAIM_SECONDS))
        .returning(deliveries.c.tenant, deliveries.c.patient_id, deliveries.c.delivery_id)
    )
    return _grouped([((row.tenant, row.patient_id), row.delivery_id) for row in claimed.all()], token)


def _grouped(rows: Iterable[tuple[PatientKey, str]], token: str, *, again: bool = False) -> list[Claim]:
    found: dict[PatientKey, list[str]] = {}
    for key, delivery_id in rows:
        found.setdefault(key, []).append(delivery_id)
    return [Claim(key, token, tuple(ids), again) for key, ids in found.items()]


async def claim_uncertain(connection: AsyncConnection, civil: datetime, token: str, limit: int) -> list[Claim]:
    """Claim safety notices that may not have arrived, once their lease is over, for their one repeat."""
    once = select(literal(1)).where(mails.c.mail_id == deliveries.c.mail_id, mails.c.resends == 0).exists()
    open_ones = (
        UNCERTAIN
        & deliveries.c.kind.in_(sorted(SAFETY))
        & (deliveries.c.useful_until > civil)
        & (deliveries.c.lease_until <= database_now())
        & once
    )
    found = select(deliveries.c.delivery_id, deliveries.c.tenant, deliveries.c.patient_id).where(open_ones)
    turn = (await connection.execute(found.order_by(deliveries.c.due_at).limit(limit))).all()
    if not turn:
        return []
    await hold(connection, {(row.tenant, row.patient_id) for row in turn})
    claimed = await connection.execute(
        update(deliveries)
        .where(deliveries.c.delivery_id.in_([row.delivery_id for row in turn]), open_ones)
        .values(lease_token=token, lease_until=database_now(CLAIM_SECONDS))
        .returning(deliveries.c.tenant, deliveries.c.patient_id, deliveries.c.delivery_id)
    )
    return _grouped([((row.tenant, row.patient_id), row.delivery_id) for row in claimed.all()], token, again=True)


class LostClaimError(Exception):
    """What the guard saw is no longer so: roll back, give back, look again."""


@dataclass(frozen=True, slots=True)
class Start:
    """A mail about to enter ``sending``: of the claim's deliveries those in ``ids``, guarded at this revision."""

    claim: Claim
    ids: tuple[str, ...]
    revision: int
    mail_id: str
    tier: int


async def still_ours(connection: AsyncConnection, starts: Sequence[Start]) -> set[Claim]:
    """Whose token, revision and state are as the guard saw them; their patients' rows are locked."""
    keys = sorted({each.claim.key for each in starts})
    rows = await connection.execute(
        select(patients.c.tenant, patients.c.patient_id, patients.c.revision)
        .where(tuple_(patients.c.tenant, patients.c.patient_id).in_(keys))
        .order_by(patients.c.tenant, patients.c.patient_id)
        .with_for_update()
    )
    revisions = {(row.tenant, row.patient_id): row.revision for row in rows}
    rows = await connection.execute(
        select(deliveries.c.delivery_id, deliveries.c.lease_token, deliveries.c.state).where(
            deliveries.c.delivery_id.in_(sorted(each for start in starts for each in start.ids)),
            deliveries.c.lease_until > database_now(),
            deliveries.c.cancel_requested.is_(None),
        )
    )
    held = {row.delivery_id: (row.lease_token, row.state) for row in rows}
    return {
        each.claim
        for each in starts
        if revisions.get(each.claim.key) == each.revision
        and {held.get(i) for i in each.ids} == {(each.claim.token, S.UNCERTAIN if each.claim.again else S.CLAIMED)}
    }


async def begin_sending(connection: AsyncConnection, starts: Sequence[Start], seconds: float) -> None:
    """``claimed → sending`` for what is ``still_ours``, in the same transaction.

    The lease lasts ``seconds``: longer than the server may take to answer.
    """
    begun = {
        "state": S.SENDING,
        "mail_id": bindparam("mail"),
        "tier": bindparam("at_tier"),
        "entered_sending": True,
        "attempts": deliveries.c.attempts + 1,
        "lease_until": database_now(seconds),
    }
    rows = [{"of": i, "mail": each.mail_id, "at_tier": each.tier} for each in starts for i in each.ids]
    if rows:
        await connection.execute(
            update(deliveries).where(deliveries.c.delivery_id == bindparam("of")).values(begun), rows
        )
