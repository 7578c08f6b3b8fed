"""Writes a subscription's log, and what its topic carries: in one transaction, under the subscription's lock."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import CivilClock
from chassis.outbox import Message, put
from schemas.topics import subscription_topic
from schemas.trials import MatchReport
from services.trials.publisher import Publisher
from services.trials.store.reports import add_reports
from services.trials.store.subscriptions import record_sequence
from services.trials.subscription import Channel, Subscription
from services.trials.tables import outbox


@dataclass(frozen=True, slots=True)
class Entry:
    """One report to be told. ``name`` is the event's (``report.found``), ``match_id`` of which match, if of one."""

    subscription: Subscription
    name: str
    report: MatchReport
    match_id: str | None = None


@dataclass(frozen=True, slots=True)
class Teller:
    """What telling needs."""

    publisher: Publisher
    clock: CivilClock

    async def tell(self, connection: AsyncConnection, entries: Sequence[Entry]) -> None:
        """Append to the logs of locked subscriptions, in this order; the numbers of a log have no gap."""
        last = {each.subscription.subscription_id: each.subscription.sequence for each in entries}
        numbered = []
        for each in entries:
            subscription_id = each.subscription.subscription_id
            last[subscription_id] += 1
            numbered.append(replace(each, report=each.report.model_copy(update={"sequence": last[subscription_id]})))
        await add_reports(connection, [(each.name, each.match_id, each.report) for each in numbered])
        for subscription_id, sequence in last.items():
            await record_sequence(connection, subscription_id, sequence)
        carried = [each for each in numbered if each.subscription.channel is Channel.KAFKA]
        await put(connection, outbox, [self._message(each) for each in carried])

    def _message(self, entry: Entry) -> Message:
        """Keyed by the pseudonym; what is about nobody by the subscription: a record needs a key."""
        of, report = entry.subscription, entry.report
        key, subject = report.pseudonym or of.subscription_id, f"report/{report.report_id}"
        return self.publisher.message(
            entry.name, of.tenant, key, subject, report.sequence, report, self.clock.now(),
            topic=subscription_topic(of.subscription_id).name,
        )  # fmt: skip
