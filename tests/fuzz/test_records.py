"""No record stops a consumer: each is applied, ignored or a dead letter, and the next good one still gets through."""

import base64
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from sqlalchemy import select

from chassis.clock import SimulatedClock
from chassis.consumer import Consumer
from chassis.sealing import KeyringSettings
from chassis.settings import StoreSettings
from chassis.store import Store
from services.intake import tables as intake_tables
from services.intake.app import build as build_intake
from services.notifier import tables as notifier_tables
from services.notifier.app import build as build_notifier
from services.trials import tables as trials_tables
from services.trials.app import build as build_trials
from standalone.contracts.examples import KEY, KEY_ID
from tests.fuzz.amount import chances, time_limit
from tests.fuzz.records import examples, golden, spoilt_record
from tests.support import intake
from tests.support.clinic import NOON, clinic_settings
from tests.support.programs import PROGRAMS
from tests.support.research import OFFERS, research_settings
from tests.support.stores import create_all

pytestmark = time_limit

RING = {"active": KEY_ID, "keys": {KEY_ID: base64.b64encode(KEY).decode()}}
POLLED = 9
"""Records at a time, and a good one after them: twenty dead letters in a row stop a consumer, and should."""
OUT_OF_RANGE = "builtins.OverflowError"
"""A number that no store holds: it is a dead letter like any other."""


class Client:
    """All that sorting records asks of a client."""

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset()


@asynccontextmanager
async def consuming(service: str, folder: Path) -> AsyncIterator[tuple[Store, Any, list[Consumer]]]:
    """The service's store, its tables and its consumers, whose keys open the examples' blocks."""
    settings = StoreSettings(url=f"sqlite:///{folder / service}.db")
    clock = SimulatedClock(NOON)
    made: Any
    tables: Any
    if service == "intake":
        made, tables = build_intake(intake.settings(settings, ()), clock, PROGRAMS), intake_tables
    elif service == "notifier":
        own = clinic_settings(settings, 1).model_copy(update={"contact": KeyringSettings.model_validate(RING)})
        made, tables = build_notifier(own, clock, PROGRAMS), notifier_tables
    else:
        made, tables = build_trials(research_settings(settings, facts=RING), clock, OFFERS), trials_tables
    await create_all(made.store, tables.metadata)
    try:
        yield made.store, tables, [each for each in made.parts if isinstance(each, Consumer)]
    finally:
        await made.close()


async def handle(consumer: Consumer, records: Sequence[ConsumerRecord[bytes, bytes]]) -> None:
    """As after a poll, up to the commit."""
    rounds: Any = consumer._rounds
    at = TopicPartition(records[0].topic, records[0].partition)
    read = rounds._reading.read(Client(), {at: records})
    await rounds._batches.write(read.batch, read.progress)


@pytest.mark.parametrize("service", ["intake", "notifier", "trials"])
async def test_no_record_stops_a_consumer(service: str, tmp_path: Path) -> None:
    async with consuming(service, tmp_path) as (store, tables, consumers):
        waiting = list(chances(f"records {service}"))
        offsets: Counter[str] = Counter()
        while waiting:
            consumer = consumers[len(waiting) % len(consumers)]
            now, waiting = waiting[:POLLED], waiting[POLLED:]
            topic, names = _reads(consumer)
            first = offsets[consumer.group]
            records = [spoilt_record(chance, topic, first + n, names) for n, chance in enumerate(now)]
            await handle(consumer, [*records, golden(topic, first + len(now), examples(names)[0])])
            offsets[consumer.group] += len(now) + 1
        assert await positions(store, tables) == offsets
        assert await unexpected(store, tables) <= {OUT_OF_RANGE}


def _reads(consumer: Consumer) -> tuple[str, frozenset[str]]:
    """Its topic, and the names of its events."""
    rounds: Any = consumer._rounds
    return rounds._labels["topic"], rounds._reading.uses


async def positions(store: Store, tables: Any) -> dict[str, int]:
    async with store.read() as connection:
        rows = await connection.execute(select(tables.consumer.positions))
        return {row.consumer_group: row.position for row in rows}


async def unexpected(store: Store, tables: Any) -> set[str]:
    """Errors that nobody foresaw, of records that are dead letters for it."""
    async with store.read() as connection:
        letters = tables.consumer.dead_letters
        return set(
            (await connection.execute(select(letters.c.error).where(letters.c.reason == "unexpected"))).scalars()
        )
