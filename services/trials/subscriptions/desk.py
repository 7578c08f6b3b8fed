"""What coordinators do with subscriptions: make one, test it, end it. Each is a transaction of its own."""

import uuid
from dataclasses import dataclass

from chassis import topics
from chassis.clock import CivilClock
from chassis.errors import Unavailable
from chassis.outbox import put
from chassis.sealing import Keyring
from chassis.settings import KafkaSettings
from chassis.store import Store
from schemas.topics import subscription_topic
from schemas.trials import DigestLine, MatchReport
from services.trials.domain import Offers
from services.trials.store.catalogue import hold
from services.trials.store.reports import list_matches
from services.trials.store.subscriptions import add_subscription, delete_subscription, lock_subscription
from services.trials.subscription import Channel, Filter, Secrets, Subscription, new_key
from services.trials.subscriptions.bell import Bell
from services.trials.subscriptions.digests import digest
from services.trials.subscriptions.following import MatchHandlers
from services.trials.subscriptions.places import Places
from services.trials.subscriptions.signing import new_secret
from services.trials.subscriptions.telling import Entry
from services.trials.tables import outbox

TEST = "TEST-REPORT"
"""Stands for a trial in a test event: no registry gives such a number."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a coordinator asks for. ``url`` goes with a webhook, ``to`` with a digest."""

    name: str
    channel: Channel
    filter: Filter
    url: str | None = None
    to: str | None = None


@dataclass(frozen=True, slots=True)
class SubscriptionDesk:
    """``places``: where webhooks may go."""

    store: Store
    kafka: KafkaSettings
    offers: Offers
    clock: CivilClock
    master: Keyring
    handlers: MatchHandlers
    places: Places
    bell: Bell

    async def subscribe(self, tenant: str, owner: str, wanted: Wanted) -> Subscription:
        """What stands already is told first. Raises ``Unavailable`` when its topic can't be made.

        Nobody is judged meanwhile: each match is either told here, or its event comes after the subscription.
        """
        new = Subscription(
            subscription_id=str(uuid.uuid4()), tenant=tenant, owner=owner, name=wanted.name, channel=wanted.channel,
            filter=wanted.filter, created_at=self.clock.now(), secrets=_secrets(wanted),
        )  # fmt: skip
        if new.channel is Channel.KAFKA:  # before anything is put for it: a relay waits for a topic for ever
            await self._make_topic(new.subscription_id)
        async with self.store.write() as connection:
            await hold(connection)
            await self.handlers.catalogue.catch_up(connection)
            await add_subscription(connection, new, self.master)
            standing = await list_matches(connection, tenant, wanted.filter)
            known = [(tenant, each) for each in standing if each.program in self.offers]
            await self.handlers.follow(connection, [new], known, backlog=True)
        self.bell.ring()
        return new

    async def _make_topic(self, subscription_id: str) -> None:
        report = await topics.apply(self.kafka, [subscription_topic(subscription_id)])
        if not report.usable:
            raise Unavailable("topics")

    async def test(self, subscription_id: str) -> int | None:
        """Send a test event through the subscription's very channel; its number, None when it isn't active."""
        now = self.clock.now()
        report = MatchReport(
            report_id=str(uuid.uuid4()), subscription_id=subscription_id, sequence=1, registry_id=TEST, at=now
        )
        async with self.store.write() as connection:
            of = await lock_subscription(connection, subscription_id, self.master)
            if of is None:
                return None
            await self.handlers.teller.tell(connection, [Entry(of, "report.test", report)])
            program = of.program(self.offers)
            if of.channel is Channel.DIGEST and program is not None:
                found = (DigestLine(registry_id=TEST),)
                made = digest(self.handlers.teller.publisher, of, program, report.report_id, now.date(), found, now)
                await put(connection, outbox, [made])
        self.bell.ring()
        return of.sequence + 1

    async def end(self, subscription_id: str) -> None:
        """Forget it. Its topic stays until its own retention is over: what waits for it in the outbox must go."""
        async with self.store.write() as connection:
            await delete_subscription(connection, subscription_id)
        self.bell.ring()


def _secrets(wanted: Wanted) -> Secrets:
    secret = new_secret() if wanted.channel is Channel.WEBHOOK else None
    return Secrets(pseudonym_key=new_key(), url=wanted.url, secret=secret, to=wanted.to)
