"""What the guard looks at beside truth and ledger, read in the guard's own transaction."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.freshness import freshness
from schemas.outcomes import Kind
from schemas.programs import Program
from schemas.registry import INTAKE_EVENTS
from schemas.topics import TOPICS
from services.notifier.domain import KnownTrial, Truth
from services.notifier.guard import Moment, SentMail
from services.notifier.smtp import Verdict
from services.notifier.store.patients import PatientKey
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
    truths: Mapping[PatientKey, Truth],
    programs: Iterable[Program],
    trials: Callable[[str], Mapping[str, KnownTrial] | None],
    now: datetime,
) -> dict[PatientKey, Look]:
    """Everything the guard needs for these patients' deliveries of these programs, at civil time ``now``.

    ``trials`` is what is known of a tenant's trials, None while it isn't.
    """
    ids, partitions = {patient_id for _, patient_id in truths}, TOPICS[INTAKE_EVENTS].partitions
    fresh = await freshness(connection, consumer.positions, GROUP, ids, partitions)
    asked = await freshness(connection, consumer.positions, REQUESTS, ids)
    breakers = await _breakers(connection, programs, now)
    paused = {tenant: await get_paused(connection, tenant) for tenant in sorted({tenant for tenant, _ in truths})}
    addresses = {key: truth.patient.email_hash if truth.patient else None for key, truth in truths.items()}
    sent = await _sent(connection, addresses, now)
    refusing = await suppressed(connection, [(key[0], address) for key, address in addresses.items() if address])
    looks = {}
    for (tenant, patient_id), address in addresses.items():
        at = fresh[patient_id]
        moment = Moment(
            now=now,
            sent=tuple(sent[tenant, patient_id]),
            stale_truth=at.is_stale(),
            trials=None if asked[patient_id].is_behind() else trials(tenant),
            paused=paused[tenant],
            suppressed=(tenant, address) in refusing,
        )
        looks[tenant, patient_id] = Look(moment, breakers, at.caught_up_at, at.fresh_as_of)
    return looks


async def _sent(
    connection: AsyncConnection, addresses: Mapping[PatientKey, str | None], now: datetime
) -> dict[PatientKey, list[SentMail]]:
    """Mails that may have reached each patient, or the address, lately."""
    mine = mails.c.patient_id.in_(sorted({patient_id for _, patient_id in addresses}))
    theirs = mails.c.address_hash.in_(sorted({address for address in addresses.values() if address}))
    tenants = sorted({tenant for tenant, _ in addresses})
    columns = (mails.c.tenant, mails.c.patient_id, mails.c.address_hash, mails.c.kind, mails.c.sending_at)
    recent = mails.c.tenant.in_(tenants) & (mails.c.sending_at > now - LOOK_BACK) & _REACHED
    found: dict[PatientKey, list[SentMail]] = {key: [] for key in addresses}
    at_address: defaultdict[tuple[str, str], list[PatientKey]] = defaultdict(list)
    for key, address in addresses.items():
        if address:
            at_address[key[0], address].append(key)
    for row in await connection.execute(select(*columns).where(recent, mine | theirs)):
        reached = {(row.tenant, row.patient_id), *at_address.get((row.tenant, row.address_hash), ())}
        for key in reached & found.keys():
            found[key].append(SentMail(Kind(row.kind), row.sending_at))
    return found


async def _breakers(connection: AsyncConnection, programs: Iterable[Program], now: datetime) -> frozenset[str]:
    """Those of the programs that have sent more in the last hour than anybody expected."""
    bounds = {each.public_code: each.policy.volume_per_hour for each in programs}
    if not bounds:
        return frozenset()
    recent = mails.c.program.in_(sorted(bounds)) & (mails.c.sending_at > now - timedelta(hours=1)) & _REACHED
    query = select(mails.c.program, func.count()).where(recent).group_by(mails.c.program)
    return frozenset(code for code, sent in await connection.execute(query) if sent >= bounds[code])


async def suppressed(connection: AsyncConnection, addresses: Iterable[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """Those that refused mail for good, of these tenants' addresses, each as its keyed hash."""
    key = tuple_(suppressions.c.tenant, suppressions.c.address_hash)
    rows = await connection.execute(
        select(suppressions.c.tenant, suppressions.c.address_hash).where(key.in_(sorted(set(addresses))))
    )
    return frozenset((row.tenant, row.address_hash) for row in rows)
