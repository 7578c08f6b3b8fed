"""A fact changes: from the event on Kafka to the match on Kafka, through a real broker and a real store.

The limit is an echo over the same broker: a record is read and another written, with nothing done in between. On the
servers that ``TEST_KAFKA`` and ``TEST_POSTGRES`` name where both are set, else on the embedded ones.
"""

import asyncio
import json
import os
import random
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from sqlalchemy import update

from bench import made
from bench.figures import Figure
from chassis.cloudevents import to_message
from chassis.kafka import client_options
from chassis.migrations import migrate
from chassis.settings import KafkaSettings, StoreSettings
from chassis.topics import apply as apply_topics
from schemas.criteria import Eligibility
from schemas.registry import INTAKE_EVENTS, TRIALS_MATCHES
from schemas.topics import ALL_TOPICS, TOPICS, Topic
from schemas.trials import RecruitmentStatus, TrialState
from schemas.vocabulary import FieldTerm, Term, Vocabulary
from services.trials.domain import Offer
from services.trials.registry.trial import RegistryTrial
from services.trials.store.catalogue import record_published, record_trials
from services.trials.tables import trials as trials_table
from standalone.broker import EmbeddedBroker
from tests.support.eventually import eventually
from tests.support.programs import CEDARS
from tests.support.research import Research, beside
from tests.support.stage import skip_what_others_left
from tests.support.stores import postgresql_schema

MANY, PEOPLE, CHANGES, CHUNK = 50_000, 20, 100, 1000
ECHO = Topic("bench.echo.v1", "trials", ("trials",), (), "number", partitions=1)
NOON = datetime.fromisoformat(f"{made.AS_OF}T20:00:00+00:00")


def vocabulary() -> Vocabulary:
    """The words that the made-up trials ask for."""
    level = {"level": FieldTerm(label="level", type="code")}
    kinds: dict[str, Term] = {
        **{name: Term(label=name, type="number") for name in made.NUMBERS},
        **{name: Term(label=name, type="code") for name in [*made.CODES, "diagnosis", "certainty"]},
        **{name: Term(label=name, type="boolean") for name in made.FLAGS},
        **{name: Term(label=name, type="codes") for name in made.SETS},
        **{name: Term(label=name, type="date") for name in made.DATES},
        **{name: Term(label=name, type="events", fields=level) for name in made.EVENTS},
    }
    derived = {name: each for name, each in made.DERIVATIONS.items() if name.startswith("days-since-")}
    return Vocabulary(facts=kinds, derived=derived)


def figures() -> Iterator[Figure]:
    """Takes about a minute, most of it to publish the trials."""
    yield from asyncio.run(_measured())


async def _measured() -> list[Figure]:
    async with _servers() as (kafka, store):
        offers = {CEDARS.public_code: Offer(CEDARS, vocabulary())}
        async with beside(store, start=NOON, offers=offers, kafka=kafka) as desk:
            await migrate(desk.trials.store, "services.trials")
            await _publish(desk)
            began = time.monotonic()
            await desk.trials.supervisor.start()
            await eventually(lambda: _loaded(desk), within=300)
            loaded = time.monotonic() - began
            try:
                spent = sorted(await _changes(desk, kafka))
            finally:
                await desk.trials.supervisor.stop()
        echo = sorted(await _echoes(kafka))
    of = f"event on Kafka to match on Kafka, {MANY:,} trials"
    return [
        Figure(f"{of}, p50", _at(spent, 0.5), "ms", _at(echo, 0.5)),
        Figure(f"{of}, p99", _at(spent, 0.99), "ms", _at(echo, 0.99)),
        Figure(f"start of the service with {MANY:,} trials in its store", loaded, "s", 60),
    ]


@asynccontextmanager
async def _servers() -> AsyncIterator[tuple[KafkaSettings, StoreSettings]]:
    with tempfile.TemporaryDirectory() as folder:
        if "TEST_KAFKA" in os.environ and "TEST_POSTGRES" in os.environ:
            kafka = KafkaSettings(bootstrap=os.environ["TEST_KAFKA"])
            await apply_topics(kafka, [*ALL_TOPICS.values(), ECHO])
            await skip_what_others_left(kafka)
            async with postgresql_schema() as store:
                yield kafka, store
        else:
            async with EmbeddedBroker(Path(folder)) as broker:
                kafka = KafkaSettings(bootstrap=broker.bootstrap, embedded=True)
                await apply_topics(kafka, [*ALL_TOPICS.values(), ECHO])
                yield kafka, StoreSettings(url=f"sqlite:///{folder}/trials.db")


async def _publish(desk: Research) -> None:
    """Straight into the store: what a year of imports and publishing would leave there."""
    states = [
        TrialState(
            trial_id=str(uuid.UUID(int=number + 1)), version=1, registry_id=f"MADE-{number}", title=f"Made {number}",
            status=RecruitmentStatus.RECRUITING, criteria_version="1.0", eligibility=eligibility,
        )
        for number, eligibility in enumerate([_sure(), *made.trials(MANY - 1)])
    ]  # fmt: skip
    for chunk in (states[at : at + CHUNK] for at in range(0, len(states), CHUNK)):
        async with desk.trials.store.write() as connection:
            await record_trials(connection, desk.tenant, [_row(each) for each in chunk])
            await record_published(connection, desk.tenant, chunk, "bench", NOON)
            await connection.execute(update(trials_table).values(drained=trials_table.c.version))


def _sure() -> Eligibility:
    """A trial that every change concerns: the first diagnosis comes and goes."""
    asked = {"fact": "diagnosis", "op": "eq", "value": made.DIAGNOSES[0]}
    return Eligibility.model_validate({"criteria": [{"id": "i1", "kind": "inclusion", "expression": asked}]})


def _row(state: TrialState) -> dict[str, Any]:
    record = RegistryTrial(registry_id=state.registry_id)
    return {
        "trial_id": state.trial_id, "registry_id": state.registry_id, "digest": record.digest,
        "record": record.model_dump_json(), "draft": state.model_dump_json(), "imported_at": NOON,
    }  # fmt: skip


async def _loaded(desk: Research) -> bool:
    consumers = [each for each in desk.trials.parts if each.name == "consumer trials.intake"]
    return desk.trials.resources.people.loaded and all(each.status()["partitions"] for each in consumers)


async def _changes(desk: Research, kafka: KafkaSettings) -> list[float]:
    """Milliseconds from the acknowledgement of a changed diagnosis to the first match event that comes of it."""
    chosen, ids = random.Random(3), [str(uuid.UUID(int=number + 1)) for number in range(PEOPLE)]
    told = {each: _said(made.patient(chosen).values) for each in ids}
    async with _producer(kafka) as producer, _reader(kafka, TOPICS[TRIALS_MATCHES]) as reader:
        for each in ids:
            known = [desk.patient(each, date(1986, 5, 2)), desk.enrolment(each), desk.facts(each, **told[each])]
            for event in [*known, desk.consent(each)]:  # last: of whom nothing is known, all trials are possible
                await _send(producer, event)
        await _drained(reader)
        spent = []
        for number in range(CHANGES):
            each = ids[number % PEOPLE]
            other = made.DIAGNOSES[chosen.randrange(1, len(made.DIAGNOSES))]
            told[each]["diagnosis"] = other if told[each].get("diagnosis") == made.DIAGNOSES[0] else made.DIAGNOSES[0]
            await _send(producer, desk.facts(each, **told[each]))
            began = time.perf_counter()
            await _next_of(reader, each)
            spent.append((time.perf_counter() - began) * 1e3)
            await _drained(reader, 0.05)
    return spent


def _said(values: Any) -> dict[str, Any]:
    """A picture's own facts as they are posted."""
    facts = vocabulary().facts
    return {name.replace("-", "_"): _json(value) for name, value in values.items() if name in facts}


def _json(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return [{"on": each.on.isoformat(), **each.fields} for each in value]
    return value.isoformat() if isinstance(value, date) else value


async def _send(producer: AIOKafkaProducer, event: Any) -> None:
    message = to_message(INTAKE_EVENTS, event.envelope, event.data)
    await producer.send_and_wait(INTAKE_EVENTS, key=message.key, value=message.value, headers=list(message.headers))


async def _next_of(reader: AIOKafkaConsumer, patient_id: str) -> None:
    """Wait for a match of the patient."""
    async with asyncio.timeout(30):
        while True:
            for records in (await reader.getmany(timeout_ms=1000)).values():
                if any(json.loads(each.value)["patient_id"] == patient_id for each in records):
                    return


async def _drained(reader: AIOKafkaConsumer, seconds: float = 2.0) -> None:
    while await reader.getmany(timeout_ms=int(seconds * 1000)):
        pass


async def _echoes(kafka: KafkaSettings) -> list[float]:
    """Milliseconds of an echo: a record sent, read, answered, and the answer read."""
    async with _producer(kafka) as producer, _reader(kafka, ECHO) as reader:
        spent = []
        for _ in range(CHANGES):
            began = time.perf_counter()
            for _hop in range(2):
                await producer.send_and_wait(ECHO.name, value=b"x" * 600)
                while not await reader.getmany(timeout_ms=1000):
                    pass
            spent.append((time.perf_counter() - began) * 1e3)
    return spent


@asynccontextmanager
async def _producer(kafka: KafkaSettings) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(**client_options(kafka), acks="all")
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


@asynccontextmanager
async def _reader(kafka: KafkaSettings, topic: Topic) -> AsyncIterator[AIOKafkaConsumer]:
    """All partitions, from their ends."""
    reader = AIOKafkaConsumer(**client_options(kafka), enable_auto_commit=False)
    await reader.start()
    try:
        reader.assign([TopicPartition(topic.name, number) for number in range(topic.partitions)])
        await reader.seek_to_end()
        yield reader
    finally:
        await reader.stop()


def _at(sorted_figures: list[float], share: float) -> float:
    return sorted_figures[min(len(sorted_figures) - 1, int(len(sorted_figures) * share))]
