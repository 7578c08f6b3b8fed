"""What the guard looks at beside truth and ledger, read in the guard's own transaction."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.freshness import freshness
from schemas.outcomes import Kind
from schemas.programs import Program
from schemas.registry import INTAKE_EVENTS
from schemas.topics import TOPICS
from services.notifier.domain import Truth
from services.notifier.guard import Moment, SentMail
from services.notifier.smtp import Verdict
from services.notifier.tables import consumer, mails, suppressions

GROUP = "notifier.intake"
LOOK_BACK = timedelta(days=8)
NOT_ACCEPTED = (Verdict.UNSENT, Verdict.RETRY, Verdict.REFUSED)


@dataclass(frozen=True, slots=True)
class Look:
    """The guard's moment, and how fresh the truth was, for the record."""

    moment: Moment
    caught_up_at: datetime | None
    fresh_as_of: datetime | None


async def look(connection: AsyncConnection, truth: Truth, program: Program | None, now: datetime) -> Look:
    """Everything the guard needs for one patient's deliveries of one program, at civil time ``now``."""
    address = truth.patient.email_hash if truth.patient else None
    fresh = await freshness(connection, consumer.positions, GROUP, truth.patient_id, TOPICS[INTAKE_EVENTS].partitions)
    moment = Moment(
        now=now,
        sent=await _sent(connection, truth, address, now),
        stale_truth=fresh.is_stale(),
        breaker_open=program is not None and await _volume(connection, program, now) >= program.policy.volume_per_hour,
        suppressed=address is not None and await _suppressed(connection, truth.tenant, address),
    )
    return Look(moment, fresh.caught_up_at, fresh.fresh_as_of)


async def _sent(connection: AsyncConnection, truth: Truth, address: str | None, now: datetime) -> tuple[SentMail, ...]:
    """Mails that may have reached this patient or this address lately."""
    mine = (mails.c.patient_id == truth.patient_id) | (mails.c.address_hash == (address or ""))
    reached = or_(mails.c.verdict.is_(None), mails.c.verdict.not_in(NOT_ACCEPTED))
    rows = await connection.execute(
        select(mails.c.kind, mails.c.sending_at).where(
            mails.c.tenant == truth.tenant, mine, reached, mails.c.sending_at > now - LOOK_BACK
        )
    )
    return tuple(SentMail(Kind(row.kind), row.sending_at) for row in rows)


async def _volume(connection: AsyncConnection, program: Program, now: datetime) -> int:
    """Mails of the program in the last hour."""
    recent = (mails.c.program == program.public_code) & (mails.c.sending_at > now - timedelta(hours=1))
    return int((await connection.execute(select(func.count()).where(recent))).scalar_one())


async def _suppressed(connection: AsyncConnection, tenant: str, address: str) -> bool:
    row = (suppressions.c.tenant == tenant) & (suppressions.c.address_hash == address)
    return (await connection.execute(select(suppressions.c.since).where(row))).first() is not None
