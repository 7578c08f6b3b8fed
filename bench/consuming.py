"""Events on the log to deliveries in the ledger, on a mix in which every second event changes its patient's plan.

On the servers that ``TEST_KAFKA`` and ``TEST_POSTGRES`` name; and on the embedded broker with SQLite. The limit reads
the same records with aiokafka's ``getmany``, validates their data, and inserts the rows that we wrote, by batches.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from sqlalchemy import Table, insert, select

from bench.figures import Figure
from bench.spent import Spent, best, spent
from chassis.clock import SimulatedClock
from chassis.consumer import Consumer
from chassis.freshness import stored_positions
from chassis.kafka import client_options
from chassis.settings import KafkaSettings, StoreSettings
from chassis.store import Store
from chassis.topics import apply as apply_topics
from schemas.registry import BY_WIRE, INTAKE_EVENTS
from schemas.topics import ALL_TOPICS, TOPICS
from services.notifier.app import build
from services.notifier.store.moments import GROUP
from services.notifier.tables import consumer as consumer_tables
from services.notifier.tables import deliveries, history, metadata, outbox, subjects
from standalone.broker import EmbeddedBroker
from tests.support.clinic import NOON, Clinic, clinic_settings, new_id
from tests.support.eventually import eventually
from tests.support.kafka import publish
from tests.support.programs import PROGRAMS
from tests.support.sending import VISIT
from tests.support.stage import skip_what_others_left
from tests.support.stores import create_all, postgresql_schema

PEOPLE, ROUNDS, BATCH = 600, 3, 500
WRITTEN = (subjects, deliveries, history, outbox)
Rows = Mapping[Table, Sequence[dict[str, Any]]]


@dataclass(slots=True)
class Crowd:
    """Patients with a visit each, known to a notifier that reads a broker."""

    desk: Clinic
    kafka: KafkaSettings
    people: dict[str, str]
    rounds: int = 0

    def said(self) -> list[Any]:
        """For each patient a visit that moves by a day, and the patient as before in a new version."""
        self.rounds += 1
        start, found = VISIT + timedelta(days=self.rounds), []
        for patient_id, visit_id in self.people.items():
            found += [self.desk.visit(patient_id, visit_id, start, told=True), _same(self.desk, patient_id)]
        return found


def figures(people: int = PEOPLE, rounds: int = ROUNDS) -> Iterator[Figure]:
    """About a minute on the servers, where they are set, and half a one on the embedded parts."""
    name, events = "events → projected → planned → deliveries", 2 * people
    if "TEST_KAFKA" in os.environ and "TEST_POSTGRES" in os.environ:
        ours, limit = asyncio.run(_on_servers(people, rounds))
        of = f"{name}, Kafka and PostgreSQL"
        yield Figure(of, events / ours.wall, "events/s", events / limit.wall, "≥ 0.5")
        yield Figure(f"{of}, of our process", events / ours.cpu, "events/s of core", events / limit.cpu, "≥ 2,000")
        yield Figure(
            "PostgreSQL's processor time per event", ours.store / events * 1e3, "ms", limit.store / events * 1e3
        )
    embedded = asyncio.run(_embedded(people, rounds))
    yield Figure(f"{name}, embedded", events / embedded.wall, "events/s", goal="≥ 1,000")


async def _on_servers(people: int, rounds: int) -> tuple[Spent, Spent]:
    kafka = KafkaSettings(bootstrap=os.environ["TEST_KAFKA"])
    async with postgresql_schema() as store, postgresql_schema() as bare, _crowd(kafka, store, people) as crowd:
        copy = Store(bare)
        await create_all(copy, metadata)
        found = []
        for _ in range(rounds):
            before = await _ends(kafka)
            ours, written = await _handled(crowd)
            limit = await _bare(kafka, copy, before, written)
            found.append((ours, limit))
        await copy.close()
    return best([each for each, _ in found]), best([each for _, each in found])


async def _embedded(people: int, rounds: int) -> Spent:
    with tempfile.TemporaryDirectory() as folder:
        async with EmbeddedBroker(Path(folder)) as broker:
            kafka = KafkaSettings(bootstrap=broker.bootstrap, embedded=True)
            async with _crowd(kafka, StoreSettings(url=f"sqlite:///{folder}/notifier.db"), people) as crowd:
                return best([(await _handled(crowd))[0] for _ in range(rounds)])


@asynccontextmanager
async def _crowd(kafka: KafkaSettings, store: StoreSettings, people: int) -> AsyncIterator[Crowd]:
    await apply_topics(kafka, ALL_TOPICS.values())
    if not kafka.embedded:
        await skip_what_others_left(kafka)
    settings, clock = clinic_settings(store, 1, kafka=kafka), SimulatedClock(NOON)
    notifier = build(settings, clock, PROGRAMS, simulated=True)
    await create_all(notifier.store, metadata)
    desk = Clinic(notifier, clock, settings.contact.ring())
    crowd = Crowd(desk, kafka, {new_id(): new_id() for _ in range(people)})
    ids = list(crowd.people)
    for chunk in (ids[at : at + 100] for at in range(0, people, 100)):
        known = [event for each in chunk for event in (_same(desk, each), desk.enrolment(each))]
        visits = [desk.visit(each, crowd.people[each], VISIT, told=True) for each in chunk]
        await desk.hear(*known, *visits)
    try:
        yield crowd
    finally:
        await notifier.sender.pool.close()
        await notifier.close()


def _same(desk: Clinic, patient_id: str) -> Any:
    return desk.patient(patient_id, email=f"{patient_id}@example.org")


async def _handled(crowd: Crowd) -> tuple[Spent, Rows]:
    """A round's events, on the log before the consumer starts; measured from its assignment to its last batch."""
    store, events = crowd.desk.notifier.store, crowd.said()
    before = {table: await _last(store, table) for table in (history, outbox)}
    ends = await publish(crowd.kafka, [crowd.desk.message(each) for each in events])
    named = f"consumer {GROUP}"
    [consumer] = [each for each in crowd.desk.notifier.parts if isinstance(each, Consumer) and each.name == named]
    stopping = asyncio.Event()
    running = asyncio.create_task(consumer.run(stopping))
    await eventually(lambda: consumer.status()["partitions"], within=60)
    used = await spent(lambda: eventually(lambda: _is_at(store, ends), within=120), store)
    stopping.set()
    await running
    return used, await _rows(store, events, before)


async def _is_at(store: Store, ends: Mapping[int, int]) -> bool:
    async with store.read() as connection:
        stands = await stored_positions(connection, consumer_tables.positions, GROUP)
    return all(stands.get(partition, 0) >= end for partition, end in ends.items())


async def _last(store: Store, table: Table) -> int:
    async with store.read() as connection:
        return (await connection.execute(select(table.c.id).order_by(table.c.id.desc()).limit(1))).scalar() or 0


async def _rows(store: Store, events: Sequence[Any], before: Mapping[Table, int]) -> Rows:
    """What a round left in the tables that an event writes to."""
    async with store.read() as connection:
        found: dict[Table, Sequence[dict[str, Any]]] = {}
        for table, last in before.items():
            found[table] = [
                dict(each) for each in (await connection.execute(select(table).where(table.c.id > last))).mappings()
            ]
        touched = {each["delivery_id"] for each in found[history]}
        everything = (await connection.execute(select(deliveries))).mappings()
        found[deliveries] = [dict(each) for each in everything if each["delivery_id"] in touched]
        said = {each.envelope.subject for each in events}
        states = (await connection.execute(select(subjects))).mappings()
        found[subjects] = [dict(each) for each in states if each["subject"] in said]
    return found


async def _ends(kafka: KafkaSettings) -> dict[TopicPartition, int]:
    places = [TopicPartition(INTAKE_EVENTS, number) for number in range(TOPICS[INTAKE_EVENTS].partitions)]
    async with AIOKafkaConsumer(**client_options(kafka)) as client:
        return dict(await client.end_offsets(places))


async def _bare(kafka: KafkaSettings, store: Store, begin: Mapping[TopicPartition, int], rows: Rows) -> Spent:
    """Read from ``begin`` to the end, validate, insert: one transaction a batch, and its offsets committed."""
    async with store.write() as connection:
        for table in WRITTEN:
            await connection.execute(table.delete())
    wanted = sum((await _ends(kafka)).values()) - sum(begin.values())
    async with AIOKafkaConsumer(**client_options(kafka), group_id="bench.limit", enable_auto_commit=False) as client:
        client.assign(list(begin))
        for place, offset in begin.items():
            client.seek(place, offset)
        return await spent(lambda: _insert_all(client, store, rows, wanted), store)


async def _insert_all(client: AIOKafkaConsumer, store: Store, rows: Rows, wanted: int) -> None:
    done = 0
    while done < wanted:
        polled = await client.getmany(timeout_ms=1000, max_records=BATCH)
        records = [record for its in polled.values() for record in its]
        for record in records:
            BY_WIRE[dict(record.headers)["ce_type"].decode()].data.tolerant_json(record.value)
        async with store.write() as connection:
            for table in WRITTEN:
                count = len(rows[table])
                share = rows[table][count * done // wanted : count * (done + len(records)) // wanted]
                if share:
                    await connection.execute(insert(table), share)
        done += len(records)
        await client.commit({place: its[-1].offset + 1 for place, its in polled.items()})
