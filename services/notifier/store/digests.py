"""Coordinators' digests: asked for once, claimed by lease and token, at most once on its way, and then what is known.

Civil times and the database's clock as in the ledger. ``LostClaimError``: what was claimed isn't ours any more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sealing import Keyring
from chassis.store import database_now, insert
from chassis.tracing import current_traceparent
from schemas.outcomes import DeliveryState
from schemas.sealed import Sealed
from schemas.trials import DigestRequest
from services.notifier.domain import Reason
from services.notifier.smtp import Receipt, Verdict
from services.notifier.store.claims import CLAIM_SECONDS, LostClaimError
from services.notifier.tables import OPEN_DIGESTS, arming, digests

S = DeliveryState
_NOBODYS = {"lease_token": None, "lease_until": None}


@dataclass(frozen=True, slots=True)
class DigestClaim:
    """A digest in our hands. ``attempts``: how often it was on its way before. ``sealed``: the request."""

    tenant: str
    digest_id: str
    token: str
    attempts: int
    trace: str | None
    sealed: str

    def open(self, master: Keyring) -> DigestRequest:
        """The request; ``Permanent`` when it doesn't open."""
        block = Sealed.model_validate_json(self.sealed)
        return master.open(block, DigestRequest, tenant=self.tenant, subject=_subject(self.digest_id))


@dataclass(frozen=True, slots=True)
class Ended:
    """How many digests time alone has ended."""

    missed: int
    uncertain: int


async def add_digests(
    connection: AsyncConnection, asked: Sequence[tuple[str, datetime, DigestRequest]], master: Keyring
) -> int:
    """Digests to be mailed, by tenant and the civil time they were asked for; how many weren't known yet."""
    added = 0
    for tenant, requested_at, request in asked:
        sealed = master.seal(request, tenant=tenant, subject=_subject(request.digest_id))
        row = {
            "tenant": tenant, "digest_id": request.digest_id, "subscription_id": request.subscription_id,
            "program": request.program, "state": S.PLANNED, "requested_at": requested_at,
            "expires_at": request.expires_at, "content": sealed.model_dump_json(), "trace": current_traceparent(),
        }  # fmt: skip
        known = insert(connection, digests).values(row).on_conflict_do_nothing().returning(digests.c.digest_id)
        added += (await connection.execute(known)).first() is not None
    return added


async def end_overdue(connection: AsyncConnection, civil: datetime) -> Ended:
    """Give back what a dead process had claimed, call uncertain what it was sending, and missed what came too late."""
    late = OPEN_DIGESTS & (digests.c.lease_until <= database_now())
    await connection.execute(
        update(digests).where(late, digests.c.state == S.CLAIMED).values(state=S.PLANNED, **_NOBODYS)
    )
    over = {"ended_at": civil, "content": None, "lease_until": None}  # the token stays: a late yes still counts
    lost = update(digests).where(late, digests.c.state == S.SENDING).values(state=S.UNCERTAIN, **over)
    unsent = OPEN_DIGESTS & (digests.c.state == S.PLANNED) & (digests.c.expires_at <= civil)
    uncertain = (await connection.execute(lost)).rowcount
    missed = (await connection.execute(update(digests).where(unsent).values(state=S.MISSED, **over))).rowcount
    return Ended(missed, uncertain)


async def claim_digest(connection: AsyncConnection, token: str) -> DigestClaim | None:
    """The digest that has waited longest. None of a tenant for which this installation wasn't responsible yet."""
    armed = (arming.c.tenant == digests.c.tenant) & (arming.c.armed_at <= digests.c.requested_at)
    due = (
        OPEN_DIGESTS
        & (digests.c.state == S.PLANNED)
        & (digests.c.not_before.is_(None) | (digests.c.not_before <= database_now()))
        & select(literal(1)).where(armed).exists()
    )
    turn = select(digests.c.tenant, digests.c.digest_id).where(due).order_by(digests.c.requested_at).limit(1)
    found = (await connection.execute(turn.with_for_update(of=digests, skip_locked=True))).first()
    if found is None:
        return None
    mine = (digests.c.tenant == found.tenant) & (digests.c.digest_id == found.digest_id)
    claimed = await connection.execute(
        update(digests)
        .where(mine)
        .values(state=S.CLAIMED, lease_token=token, lease_until=database_now(CLAIM_SECONDS))
        .returning(digests)
    )
    row = claimed.one()
    return DigestClaim(row.tenant, row.digest_id, token, row.attempts, row.trace, row.content)


async def begin_sending_digest(
    connection: AsyncConnection, claim: DigestClaim, civil: datetime, about: Mapping[str, Any], seconds: float
) -> None:
    """``claimed → sending``, to be committed before the first byte. ``about``: what goes out, by column."""
    going = {**about, "state": S.SENDING, "sending_at": civil, "attempts": digests.c.attempts + 1, "reason": None}
    mine = _ours(claim, S.CLAIMED) & (digests.c.expires_at > civil)
    moved = await connection.execute(update(digests).where(mine).values(**going, lease_until=database_now(seconds)))
    if moved.rowcount != 1:
        raise LostClaimError


async def record_digest(
    connection: AsyncConnection, claim: DigestClaim, state: S, receipt: Receipt, civil: datetime, wait: float
) -> bool:
    """What the server said: an end, or planned again after ``wait`` seconds of the database's clock.

    False when somebody has called it uncertain meanwhile, unless it was sent for certain.
    """
    said = {"verdict": receipt.verdict, "phase": receipt.phase, "code": receipt.code, "enhanced": receipt.enhanced}
    if state is S.PLANNED:
        tried = digests.c.attempts - int(receipt.verdict is Verdict.UNSENT)  # the relay's fault, not the digest's
        after: dict[str, Any] = {**_NOBODYS, "not_before": database_now(wait), "attempts": tried}
    else:
        after = {"lease_until": None, "content": None, "ended_at": civil}
    mine = _ours(claim, S.SENDING, *([S.UNCERTAIN] if state is S.SENT else []))
    return (await connection.execute(update(digests).where(mine).values(state=state, **said, **after))).rowcount == 1


async def put_off_digest(
    connection: AsyncConnection, claim: DigestClaim, seconds: float, reason: Reason | None = None
) -> None:
    """Give a claimed one back, to be claimed again after so many seconds of the database's clock."""
    after = {"state": S.PLANNED, "reason": reason, "not_before": database_now(seconds), **_NOBODYS}
    await connection.execute(update(digests).where(_ours(claim, S.CLAIMED)).values(**after))


def _ours(claim: DigestClaim, *states: S) -> ColumnElement[bool]:
    c = digests.c
    mine = (c.tenant == claim.tenant) & (c.digest_id == claim.digest_id)
    return mine & (c.lease_token == claim.token) & c.state.in_(states)


def _subject(digest_id: str) -> str:
    return f"digest/{digest_id}"
