"""Counts by mail: one digest for a subscription and civil day, in the morning of its program; none when it is empty."""

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from chassis.outbox import Message, put
from chassis.sealing import Keyring
from chassis.store import Store
from schemas.protected import Protected
from schemas.trials import DigestLine, DigestRequest, MatchReport, RegistryId
from services.trials.evaluating import Evaluator
from services.trials.publisher import Publisher
from services.trials.store.reports import LoggedReport, list_reports
from services.trials.store.subscriptions import list_of_channel, lock_subscription, record_digest
from services.trials.subscription import Channel, Subscription
from services.trials.subscriptions.bell import Bell
from services.trials.tables import outbox
from services.trials.timers import Timer

MORNING = 8
"""From this hour on, in the program's zone."""

STANDS_FOR = timedelta(hours=24)
MOST_REPORTS = 100_000
NAMES = uuid.UUID("b8a3b7b4-19d7-5a0c-bb63-52c7c1b1c1de")
"""Namespace of digest ids: one for a subscription and day."""

_COUNTED = {"report.found": "found", "report.changed": "changed", "report.withdrawn": "withdrawn"}


class Digests(Timer):
    """Looks whose morning has come."""

    name = "digests"

    def __init__(self, store: Store, evaluator: Evaluator, master: Keyring, bell: Bell) -> None:
        super().__init__(store, evaluator, master, bell.ring)

    async def wave(self) -> int:
        async with self.store.read() as connection:
            everybody = await list_of_channel(connection, Channel.DIGEST, self.master)
        due = [each for each in everybody if self._day_of(each) is not None]
        if not due or not await self.leads():
            return 0
        return sum([await self._one(each) for each in due])

    def _day_of(self, of: Subscription) -> date | None:
        """Today in the program's zone, when it is morning and today's digest isn't made yet."""
        program = of.program(self.evaluator.offers)
        if program is None:
            return None
        zone = self.evaluator.offers[program].program.zone
        local = self.evaluator.clock.now().astimezone(ZoneInfo(zone))
        made = of.digest_day is not None and of.digest_day >= local.date()
        return None if made or local.hour < MORNING else local.date()

    async def _one(self, listed: Subscription) -> bool:
        """Whether there was something to tell."""
        now = self.evaluator.clock.now()
        async with self.store.write() as connection:
            of = await lock_subscription(connection, listed.subscription_id, self.master)
            day = self._day_of(of) if of else None
            if of is None or day is None:
                return False
            logged = await list_reports(connection, of.subscription_id, of.delivered, MOST_REPORTS)
            await record_digest(connection, of.subscription_id, day, logged[-1].sequence if logged else of.delivered)
            found = lines(logged)
            if found:
                digest_id = str(uuid.uuid5(NAMES, f"{of.subscription_id}/{day}"))
                program = of.program(self.evaluator.offers) or ""
                await put(
                    connection, outbox, [digest(self.evaluator.publisher, of, program, digest_id, day, found, now)]
                )
        return bool(found)


def lines(logged: Iterable[LoggedReport]) -> tuple[DigestLine, ...]:
    """Counts of each trial, those of summaries among them; tests aren't counted."""
    counts: defaultdict[RegistryId, Counter[str]] = defaultdict(Counter)
    for each in logged:
        report = MatchReport.tolerant_json(each.body)
        if each.name in _COUNTED:
            counts[report.registry_id][_COUNTED[each.name]] += 1
        elif report.summary:
            counts[report.registry_id].update(report.summary)
    return tuple(DigestLine(registry_id=name, **count) for name, count in sorted(counts.items()))


def digest(
    publisher: Publisher, of: Subscription, program: str, digest_id: str, day: date, found: tuple[DigestLine, ...],
    now: datetime,
) -> Message:  # fmt: skip
    """To be mailed by the notifier."""
    request = DigestRequest(
        digest_id=digest_id, subscription_id=of.subscription_id, program=program,
        to=Protected(of.secrets.to or ""), day=day, lines=found, expires_at=now + STANDS_FOR,
    )  # fmt: skip
    name, key = "digest.requested", of.subscription_id
    return publisher.message(name, of.tenant, key, f"digest/{digest_id}", 1, request, now)
