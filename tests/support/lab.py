"""Trials and a notifier as processes on a pair of real servers, with a mail server: killed, and started again.

``tests.support.labs`` opens one.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from sqlalchemy import func, select, update

from chassis.cloudevents import to_message
from chassis.decoding import Event
from chassis.heartbeats import EVERY_SECONDS, Heartbeats
from chassis.outbox import unsent
from chassis.publisher import Publisher
from chassis.sealing import Keyring
from chassis.store import Store, database_now, is_outage
from schemas.outcomes import DeliveryState
from schemas.patient import ContactBlock
from schemas.registry import INTAKE_EVENTS, NOTIFIER_OUTCOMES, NOTIFIER_REQUESTS, TRIALS_MATCHES
from schemas.topics import TOPICS, Topic
from services.notifier import tables as notifier
from services.notifier.domain import OPEN_STATES
from services.trials import tables as trials
from services.trials.store.catalogue import list_undrained
from services.trials.store.invitations import list_due
from tests.support.eventually import eventually
from tests.support.processes import ServiceProcess
from tests.support.read_by import is_read
from tests.support.research import Research
from tests.support.servers import Pair
from tests.support.smtp_server import SmtpServer

Name = Literal["trials", "notifier"]
TABLES = {"trials": trials, "notifier": notifier}
PATIENCE = 120.0


@dataclass(frozen=True, slots=True, repr=False)
class Lab:
    """``desk`` works on trials' own store, as a coordinator would; ``stores`` are looked into from outside."""

    pair: Pair
    smtp: SmtpServer
    processes: dict[Name, ServiceProcess]
    stores: dict[Name, Store]
    desk: Research
    contact: Keyring
    producer: AIOKafkaProducer

    # what intake would say

    def patient(self, patient_id: str, **changes: Any) -> Event[Any]:
        """Of 40 years, with an address of their own: traits for trials, contact for the notifier."""
        now, born = self.desk.clock.now(), date(1986, 5, 2)
        block = ContactBlock.strict_data({
            "given_name": "Ana", "family_name": "Test", "birth_date": born, "email": address_of(patient_id),
            "email_verified_at": now,
        })  # fmt: skip
        sealed = self.contact.seal(block, tenant=self.desk.tenant, subject=f"patient/{patient_id}")
        return self.desk.patient(patient_id, born, contact=sealed, **changes)

    async def say(self, *events: Event[Any]) -> None:
        """On the broker as intake's relay does: in order, waiting for it while it is away."""
        for each in events:
            message = to_message(INTAKE_EVENTS, each.envelope, each.data)
            await self.producer.send_and_wait(
                INTAKE_EVENTS, key=message.key, value=message.value, headers=list(message.headers)
            )

    async def beat(self) -> None:
        """Intake's heartbeats, until cancelled: the notifier believes that it knows the truth.

        They must go on: whoever reads again, because the broker died before its commit, believes nothing that it was
        told before.
        """
        heartbeats = Heartbeats([TOPICS[INTAKE_EVENTS]], "https://intake.example.org")
        publisher = Publisher(self.pair.kafka)
        try:
            while True:
                [message] = heartbeats.messages(datetime.now(UTC), timedelta(0))
                failure = (await publisher.publish_to_all(message)).failure
                await asyncio.sleep(EVERY_SECONDS if failure is None else 1)
        finally:
            await publisher.close()

    # what befalls it

    async def kill(self, name: Name) -> None:
        """SIGKILL and a new start, spared the half minute until the dead one's leases run out."""
        process = self.processes[name]
        await process.kill()
        await eventually(lambda: self._store_answers(name), within=PATIENCE)
        async with self.stores[name].write() as connection:
            await connection.execute(update(TABLES[name].leases).values(until=database_now(-1)))
            if name == "notifier":
                held = notifier.deliveries.c.lease_until.is_not(None)
                await connection.execute(update(notifier.deliveries).where(held).values(lease_until=database_now(-1)))
        await process.start()
        await process.ready()

    async def _store_answers(self, name: Name) -> bool:
        """One that was killed is up some time before it does."""
        try:
            await self.stores[name].ping()
        except Exception as error:
            if not is_outage(error):
                raise
            return False
        return True

    # what comes of it

    async def rest(self) -> None:
        """Wait until everything that was said has come to its end, everywhere."""
        async with AIOKafkaConsumer(bootstrap_servers=self.pair.kafka.bootstrap) as client:
            try:
                await eventually(lambda: self._at_rest(client), within=PATIENCE)
            except AssertionError as error:
                error.add_note(f"not at rest: {await self._first_at_work(client)}")
                raise

    async def _at_rest(self, client: AIOKafkaConsumer) -> bool:
        return await self._first_at_work(client) is None

    async def _first_at_work(self, client: AIOKafkaConsumer) -> str | None:
        """Asked from the source down, so that what was true of each step is still true when the last is asked."""
        steps: Sequence[tuple[str, Callable[[], Awaitable[bool]]]] = (
            ("intake's events are read", lambda: self._is_read(client, INTAKE_EVENTS)),
            ("everybody is judged", self._is_judged),
            ("trials has relayed", lambda: self._is_relayed("trials")),
            ("matches are read", lambda: self._is_read(client, TRIALS_MATCHES)),
            ("requests are read", lambda: self._is_read(client, NOTIFIER_REQUESTS)),
            ("mails are sent", self._is_sent),
            ("the notifier has relayed", lambda: self._is_relayed("notifier")),
            ("outcomes are read", lambda: self._is_read(client, NOTIFIER_OUTCOMES)),
            ("trials has relayed again", lambda: self._is_relayed("trials")),
        )
        for name, done in steps:
            if not await done():
                return name
        return None

    async def _is_read(self, client: AIOKafkaConsumer, topic: str) -> bool:
        """By each of our groups."""
        for name, store in self.stores.items():
            for group in (each for each in TOPICS[topic].groups if each.startswith(f"{name}.")):
                if not await is_read(client, topic, store, TABLES[name].consumer.positions, group):
                    return False
        return True

    async def _is_judged(self) -> bool:
        async with self.stores["trials"].read() as connection:
            undrained = await list_undrained(connection)
            return not undrained and not await list_due(connection, datetime.now(UTC), 1)

    async def _is_sent(self) -> bool:
        unfinished = notifier.deliveries.c.state.in_(sorted(OPEN_STATES))
        async with self.stores["notifier"].read() as connection:
            return not (await connection.execute(select(func.count()).where(unfinished))).scalar_one()

    async def was_put_off(self, patient_id: str) -> bool:
        """Whether a mail of theirs was refused for the moment, and waits for its next attempt."""
        mine = notifier.deliveries.c
        refused = (mine.patient_id == patient_id) & (mine.attempts > 0) & (mine.state == DeliveryState.PLANNED)
        async with self.stores["notifier"].read() as connection:
            return bool((await connection.execute(select(func.count()).where(refused))).scalar_one())

    async def _is_relayed(self, name: Name) -> bool:
        async with self.stores[name].read() as connection:
            return not await unsent(connection, TABLES[name].outbox)

    async def heard(self, topic: Topic) -> list[dict[str, Any]]:
        """Everything on a topic, in the order of each partition: the data, with the event's name."""
        found = []
        for each in await self._records(topic):
            name = dict(each.headers)["ce_type"].decode().removeprefix("org.upright.")
            found.append({"event": name.rpartition(".v")[0], **json.loads(each.value)})
        return found

    async def repeat(self, topic: Topic) -> None:
        """All that is on a topic again, as by a relay that died when it was confirmed and not yet deleted."""
        for each in await self._records(topic):
            await self.producer.send_and_wait(topic.name, each.value, each.key, headers=list(each.headers))

    async def _records(self, topic: Topic) -> list[ConsumerRecord]:
        async with AIOKafkaConsumer(bootstrap_servers=self.pair.kafka.bootstrap, enable_auto_commit=False) as client:
            partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
            client.assign(partitions)
            await client.seek_to_beginning(*partitions)
            ends, found = await client.end_offsets(partitions), []
            while [each for each, end in ends.items() if await client.position(each) < end]:
                for records in (await client.getmany(timeout_ms=500)).values():
                    found += records
            return found

    async def dead_letters(self) -> int:
        """In both services' tables."""
        found = 0
        for name, store in self.stores.items():
            count = select(func.count()).select_from(TABLES[name].consumer.dead_letters)
            async with store.read() as connection:
                found += (await connection.execute(count)).scalar_one()
        return found


def address_of(patient_id: str) -> str:
    return f"{patient_id}@example.org"
