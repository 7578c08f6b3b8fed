"""What the guard looks at beside truth and ledger, read in the guard's own transaction."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.freshness import freshness
from schemas.outcomes import Kind
from schemas.programs import Program
from schemas.registry import INTAKE_EVENTS
from schemas.topics import TOPICS
from services.notifier.domain import KnownTrial, Truth
from services.notifier.guard import Moment, SentMail
from services.notifier.smtp import Verdict
from services.notifier.store.pauses import get_paused
from services.notifier.tables import consumer, mails, suppressions

GROUP, REQUESTS = "notifier.intake", "notifier.requests"
"""The groups whose positions say how fresh the truth is, and what other services ask for."""
LOOK_BACK = timedelta(days=8)
NOT_ACCEPTED = (Verdict.UNSENT, Verdict.RETRY, Verdict.REFUSED)
_REACHED = or_(mails.c.verdict.is_(None), mails.c.verdict.not_in(NOT_ACCEPTED))
"""Mails that arrived, may have, or are on their way."""


@dataclass(frozen=True, slots=True)
class Look:
    """The guard's moment, and how fresh the truth was, for the record. ``breakers``: programs whose breaker is open."""

    moment: Moment
    breakers: frozenset[str]
    caught_up_at: datetime | None
    fresh_as_of: datetime | None

    def of(self, program: str) -> Moment:
        """The moment for deliveries of one program."""
        return replace(self.moment, breaker_open=program in self.breakers)

    def for_the_record(self, revision: int, tier: int) -> str:
        """What the guard saw, for "why", as JSON: times and versions, nothing protected."""
        return json.dumps({
            "guarded_at": self.moment.now.isoformat(),
            "revision": revision,
            "caught_up_at": self.caught_up_at.isoformat() if self.caught_up_at else None,
            "fresh_as_of": self.fresh_as_of.isoformat() if self.fresh_as_of else None,
            "mails_in_eight_days": len(self.moment.sent),
            "tier": tier,
        })  # fmt: skip


async def look(
    connection: AsyncConnection,
    truth: Truth,
    programs: Iterable[Program] | None,
    trials: Mapping[str, KnownTrial] | None,
    now: datetime,
) -> Look:
    """Everything the guard needs for one patient's deliveries of these programs, at civil time ``now``."""
    address = truth.patient.email_hash if truth.patient else None
    fresh = await freshness(connection, consumer.positions, GROUP, truth.patient_id, TOPICS[INTAKE_EVENTS].partitions)
    asked = await freshness(connection, consumer.positions, REQUESTS, truth.patient_id)
    moment = Moment(
        now=now,
        sent=await _sent(connection, truth, address, now),
        stale_truth=fresh.is_stale(),
        trials=None if asked.is_behind() else trials,
        paused=await get_paused(connection, truth.tenant),
        suppressed=address is not None and await is_suppressed(connection, truth.tenant, address),
    )
    return Look(moment, await _breakers(connection, programs or (), now), fresh.caught_up_at, fresh.fresh_as_of)


async def _sent(connection: AsyncConnection, truth: Truth, address: str | None, now: datetime) -> tuple[SentMail, ...]:
    """Mails that may have reached this patient or this address lately."""
    mine = (mails.c.patient_id == truth.patient_id) | (mails.c.address_hash == (address or ""))
    rows = await connection.execute(
        select(mails.c.kind, mails.c.sending_at).where(
            mails.c.tenant == truth.tenant, mine, _REACHED, mails.c.sending_at > now - LOOK_BACK
        )
    )
    return tuple(SentMail(Kind(row.kind), row.sending_at) for row in rows)


async def _breakers(connection: AsyncConnection, programs: Iterable[Program], now: datetime) -> frozenset[str]:
    """Those of the programs that have sent more in the last hour than anybody expected."""
    bounds = {each.public_code: each.policy.volume_per_hour for each in programs}
    recent = mails.c.program.in_(sorted(bounds)) & (mails.c.sending_at > now - timedelta(hours=1)) & _REACHED
    query = select(mails.c.program, func.count()).where(recent).group_by(mails.c.program)
    return frozenset(code for code, sent in await connection.execute(query) if sent >= bounds[code])


async def is_suppressed(connection: AsyncConnection, tenant: str, address: str) -> bool:
    """Whether the address with this keyed hash refused mail for good."""
    row = (suppressions.c.tenant == tenant) & (suppressions.c.address_hash == address)
    return (await connection.execute(select(suppressions.c.since).where(row))).first() is not None
