"""Trials as a real process on real servers: killed at random, its store and the broker too. The same matches come out,
and nobody is told or invited twice.
"""

import asyncio
import json
import os
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from chassis.cloudevents import to_message
from chassis.decoding import Event
from chassis.outbox import unsent
from chassis.settings import StoreSettings
from chassis.topics import apply as apply_topics
from schemas.patient import PatientStatus
from schemas.registry import INTAKE_EVENTS, NOTIFIER_REQUESTS, TRIALS_MATCHES
from schemas.topics import ALL_TOPICS, TOPICS
from services.trials.tables import outbox
from tests.support.eventually import eventually
from tests.support.processes import ServiceProcess
from tests.support.research import KEY, Research, beside
from tests.support.servers import Pair, Server, own_pair

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif("TEST_SERVERS" not in os.environ, reason="needs TEST_SERVERS"),
    pytest.mark.timeout(400),
]

TRIAL = "TEST-CVF-1"
FISTULA: dict[str, Any] = {
    "leak_type": "type-3", "digital_subtraction_myelography": "positive", "blood_patch": [{}, {}],
    "pregnant": False, "allergies": [], "anticoagulated": False, "embolization": [],
}  # fmt: skip
PATIENTS, ROUNDS = 12, 6
PATIENCE = 120.0


@dataclass(slots=True)
class Lab:
    """The process, and what a test does to it. ``desk`` works on the same store, as a coordinator would."""

    pair: Pair
    process: ServiceProcess
    desk: Research

    async def say(self, *events: Event[Any]) -> None:
        """On the broker as intake's relay does: in order, waiting for it while it is away."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self.pair.kafka.bootstrap, acks="all", enable_idempotence=True, request_timeout_ms=90_000
        )
        await producer.start()
        try:
            for each in events:
                message = to_message(INTAKE_EVENTS, each.envelope, each.data)
                await producer.send_and_wait(
                    INTAKE_EVENTS, key=message.key, value=message.value, headers=list(message.headers)
                )
        finally:
            await producer.stop()

    async def heard(self, topic: str) -> list[dict[str, Any]]:
        """Everything on a topic: the data, with the event's name, and what stands in its headers."""
        client = AIOKafkaConsumer(bootstrap_servers=self.pair.kafka.bootstrap, enable_auto_commit=False)
        await client.start()
        try:
            partitions = [TopicPartition(topic, number) for number in range(TOPICS[topic].partitions)]
            client.assign(partitions)
            await client.seek_to_beginning(*partitions)
            ends, found = await client.end_offsets(partitions), []
            while [each for each, end in ends.items() if await client.position(each) < end]:
                for records in (await client.getmany(timeout_ms=500)).values():
                    for record in records:
                        name = dict(record.headers)["ce_type"].decode().removeprefix("org.upright.")
                        found.append({"event": name.rpartition(".v")[0], **json.loads(record.value)})
            return found
        finally:
            await client.stop()

    async def at_rest(self) -> bool:
        """Everything read and judged, the outbox empty."""
        part = await self.process.part("consumer trials.intake")
        drain = await self.process.part("drain")
        async with self.desk.trials.store.read() as connection:
            waits = await unsent(connection, outbox)
        return part.get("lag") == 0 and len(part["partitions"]) == 24 and not waits and not drain["waiting"]


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with own_pair() as mine:
        yield mine


@asynccontextmanager
async def lab(pair: Pair, folder: Path) -> AsyncIterator[Lab]:
    await asyncio.to_thread(pair.up)
    await eventually(lambda: _usable(pair), within=60)
    settings = {
        "KAFKA__BOOTSTRAP": pair.kafka.bootstrap, "KAFKA__INSTANCE": "a", "STORE__URL": pair.postgres,
        "STORE__SCHEMA": "trials", "STORE__MIGRATE_AT_START": "true", "MASTER": json.dumps(KEY),
        "FACTS": json.dumps(KEY),
    }  # fmt: skip
    process = ServiceProcess("trials", {f"TRIALS_{name}": value for name, value in settings.items()}, folder / "log")
    store = StoreSettings(url=pair.postgres, schema="trials")
    now = datetime.now(UTC).replace(microsecond=0)
    async with beside(store, start=now - timedelta(minutes=1)) as desk:
        await process.start()
        try:
            await process.ready()
            yield Lab(pair, process, desk)
        except BaseException as error:
            error.add_note(process.last_words())
            raise
        finally:
            await process.kill()


async def _usable(pair: Pair) -> bool:
    return (await apply_topics(pair.kafka, ALL_TOPICS.values())).usable


async def test_killed_at_any_moment_it_ends_in_the_same_matches_told_once(pair: Pair, tmp_path: Path) -> None:
    async with lab(pair, tmp_path) as one:
        desk, ids = one.desk, [f"00000000-0000-4000-8000-{number:012}" for number in range(PATIENTS)]
        onset = (desk.clock.now() - timedelta(days=400)).date().isoformat()
        await desk.publish(TRIAL)
        await desk.release(TRIAL)
        for each in ids:
            await one.say(desk.patient(each), desk.enrolment(each), desk.consent(each))
        trouble = asyncio.create_task(troubles(one))
        for turn in range(ROUNDS):
            for number, each in enumerate(ids):
                ill = (turn + number) % 2 == 1
                await one.say(desk.facts(each, symptom_onset=onset, **{**FISTULA, "anticoagulated": ill}))
        await one.say(desk.patient(ids[1], status=PatientStatus.DECEASED))
        await trouble
        await eventually(one.at_rest, within=PATIENCE)
        expected = {
            each: "eligible" if (ROUNDS - 1 + number) % 2 == 0 else "(not_eligible)" for number, each in enumerate(ids)
        }
        expected[ids[1]] = "(deceased)"
        async with desk.trials.store.write() as connection:
            await desk.trials.resources.catalogue.catch_up(connection)
        found = {each: (await desk.pairs(each)).get(TRIAL) for each in ids}
        if found[ids[1]] == "(not_eligible)":  # judged together with what came just before the death
            expected[ids[1]] = "(not_eligible)"
        assert found == expected
        told_once_and_in_order(await one.heard(TRIALS_MATCHES), expected)
        asked_for_once(await one.heard(NOTIFIER_REQUESTS), expected)


async def troubles(one: Lab) -> None:
    """Kills of the process at odd moments, one of each server in between."""
    servers: dict[int, Server] = {1: "kafka", 3: "postgres"}
    for number in range(5):
        await asyncio.sleep(random.uniform(0.2, 2.5))
        if server := servers.get(number):
            await asyncio.to_thread(one.pair.kill, server)
            await asyncio.to_thread(one.pair.up, server)
        await one.process.kill()
        await one.process.start()
        await one.process.ready()


def told_once_and_in_order(told: list[dict[str, Any]], expected: dict[str, str]) -> None:
    """A record may come twice, but says the same then; without repeats a pair's versions count up without a gap."""
    by_match: defaultdict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
    for each in told:
        known = by_match[each["patient_id"]].setdefault(each["version"], each)
        assert known == each
        assert max(by_match[each["patient_id"]]) >= each["version"]
    for patient_id, versions in by_match.items():
        assert sorted(versions) == list(range(1, len(versions) + 1))
        last = versions[len(versions)]
        assert (f"({last.get('withdrawn')})" if last.get("withdrawn") else last["verdict"]) == expected[patient_id]
    assert by_match.keys() >= {each for each, verdict in expected.items() if verdict == "eligible"}


def asked_for_once(requests: list[dict[str, Any]], expected: dict[str, str]) -> None:
    """Each patient's newest request stands or is withdrawn, as the match does; one request id a patient, for life."""
    newest: dict[str, dict[str, Any]] = {}
    ids: defaultdict[str, set[str]] = defaultdict(set)
    for each in requests:
        ids[each["patient_id"]].add(each["request_id"])
        if each["version"] >= newest.get(each["patient_id"], each)["version"]:
            newest[each["patient_id"]] = each
    assert all(len(found) == 1 for found in ids.values())
    standing = {patient_id for patient_id, each in newest.items() if each["event"] == "message.requested"}
    assert standing <= {each for each, verdict in expected.items() if verdict == "eligible"}
