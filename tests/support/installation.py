"""A whole installation of real processes on a pair of real servers, with a mail server that keeps what it gets.

A patient booked ten days ahead is owed one mail now, the late booking's, and no other before the tests are over.
``tests.support.installing`` makes one.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain

from aiokafka import AIOKafkaConsumer, TopicPartition
from sqlalchemy import func, select, update

from chassis.freshness import PARTITIONS
from chassis.kafka import admin_client
from chassis.store import Store, database_now
from chassis.topics import apply as apply_topics
from schemas.outcomes import DeliveryState, Kind
from schemas.topics import ALL_TOPICS
from services.intake import tables as intake
from services.notifier import tables as notifier
from services.notifier.arm import arm
from services.notifier.reconcile import Report, reconcile
from tests.support.eventually import eventually
from tests.support.poster import Poster
from tests.support.processes import ServiceProcess
from tests.support.servers import Pair
from tests.support.smtp_server import SmtpServer

TENANT = "cedars"
PATIENCE = 90.0
"""Seconds for anything that comes by itself: many times what it takes where nothing else runs."""

_S = DeliveryState


@dataclass(frozen=True, slots=True, repr=False)
class Installation:
    """``stores`` are looked into from outside, by service."""

    pair: Pair
    smtp: SmtpServer
    intake: ServiceProcess
    notifiers: Sequence[ServiceProcess]
    poster: Poster
    stores: dict[str, Store]

    @property
    def services(self) -> Sequence[ServiceProcess]:
        return (self.intake, *self.notifiers)

    @property
    def notifier(self) -> ServiceProcess:
        return self.notifiers[0]

    async def open(self) -> None:
        """Start on a broker that is up, with topics made anew: on the old ones everything is sealed with other keys."""
        await self.make_topics()
        await self.start()
        await self.reading()

    async def make_topics(self) -> None:
        """As ``upright topics apply``, but nothing of earlier installations is left on them."""
        async with admin_client(self.pair.kafka) as admin:
            if left := ALL_TOPICS.keys() & set(await admin.list_topics()):
                await admin.delete_topics(list(left))

        async def usable() -> bool:
            return (await apply_topics(self.pair.kafka, ALL_TOPICS.values())).usable

        await eventually(usable, within=PATIENCE)

    async def start(self) -> None:
        """Start everything at once, and wait until it answers and is armed; the broker may be away."""
        for each in self.services:
            await each.start()
        for each in self.services:
            await each.ready()
        async with self.stores["notifier"].write() as connection:
            await arm(connection, TENANT, datetime.now(UTC) - timedelta(days=1))

    async def reading(self) -> None:
        """Wait until every instance reads its share. Members of a dead installation go in ten seconds."""
        await eventually(self._all_is_shared, within=PATIENCE)

    async def _all_is_shared(self) -> bool:
        shares = [await each.partitions() for each in self.notifiers]
        whole = list(range(PARTITIONS))
        return all(shares) and sorted(chain(*shares)) == sorted(await self.intake.partitions()) == whole

    def mails(self) -> Counter[str]:
        """Mails that arrived, by the patient: everybody has an address of their own."""
        return Counter(self.poster.patient_at(address) for mail in self.smtp.mails for address in mail.recipients)

    async def states(self) -> dict[str, str]:
        """By patient, the state of the mail that is owed now."""
        mine = notifier.deliveries.c
        query = select(mine.patient_id, mine.state).where(mine.kind == Kind.LATE_BOOKING)
        async with self.stores["notifier"].read() as connection:
            return {row.patient_id: row.state for row in await connection.execute(query)}

    async def planned(self, patients: Sequence[str]) -> bool:
        """Whether each of them is owed a mail, whatever its state."""
        return set(patients) <= (await self.states()).keys()

    async def relayed(self) -> bool:
        """Whether everything that intake took is on the topic."""
        async with self.stores["intake"].read() as connection:
            return not (await connection.execute(select(func.count()).select_from(intake.outbox))).scalar_one()

    async def finished(self, patients: Sequence[str]) -> bool:
        """Whether ledger, mail server and intake agree that each has had theirs, or may have had it."""
        states = await self.states()
        over = {each for each in patients if states.get(each) in (_S.SENT, _S.UNCERTAIN)}
        sent = {each for each in over if states[each] == _S.SENT}
        return over == set(patients) and over <= await self._heard_of_by_intake() and sent <= set(self.mails())

    async def _heard_of_by_intake(self) -> set[str]:
        async with self.stores["intake"].read() as connection:
            return set((await connection.execute(select(intake.deliveries.c.patient_id))).scalars())

    async def dead_letters(self) -> int:
        """In both services' tables; the topics' are copies of these."""
        found = 0
        for name, tables in (("intake", intake), ("notifier", notifier)):
            async with self.stores[name].read() as connection:
                count = select(func.count()).select_from(tables.consumer.dead_letters)
                found += (await connection.execute(count)).scalar_one()
        return found

    async def dead_letters_on_topics(self) -> int:
        """On all dead-letter topics since the pair was made."""
        topics = [each for each in ALL_TOPICS.values() if each.name.endswith(".dlq")]
        places = [TopicPartition(each.name, number) for each in topics for number in range(each.partitions)]
        async with AIOKafkaConsumer(bootstrap_servers=self.pair.kafka.bootstrap) as client:
            return sum((await client.end_offsets(places)).values())

    async def reconcile(self) -> Report:
        """Of the ledger, as ``upright notifier reconcile``."""
        async with self.stores["notifier"].read() as connection:
            return await reconcile(connection, datetime.now(UTC))

    async def leases_run_out(self, dead: ServiceProcess) -> None:
        """Spare the test the minutes until its leases do; nobody else may hold any in its store."""
        tables = intake if dead.service == "intake" else notifier
        async with self.stores[dead.service].write() as connection:
            await connection.execute(update(tables.leases).values(until=database_now(-1)))
            if dead is not self.intake:
                held = notifier.deliveries.c.lease_until.is_not(None)
                await connection.execute(update(notifier.deliveries).where(held).values(lease_until=database_now(-1)))

    def last_words(self) -> str:
        """What posters heard, what arrived, and the ends of the logs: for a test that fails."""
        mails = self.mails()
        said = f"answers to posts: {dict(self.poster.answers)}; {mails.total()} mails to {len(mails)} patients"
        return "\n".join([said, *(each.last_words() for each in self.services)])
