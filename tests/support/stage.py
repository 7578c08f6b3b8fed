"""The whole system for tests: on the embedded parts, and on Apache Kafka and PostgreSQL where they are set."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError

from chassis.settings import KafkaSettings
from chassis.topics import apply
from schemas.topics import ALL_TOPICS, TOPICS
from standalone.demo.driver import Driver
from standalone.system import Outside
from tests.support.eventually import eventually
from tests.support.stores import postgresql_schema

SERVERS = "TEST_KAFKA" in os.environ and "TEST_POSTGRES" in os.environ
REAL = [pytest.param("servers", marks=pytest.mark.servers)] if SERVERS else []
STAGES = ["embedded", *REAL]
"""On real Kafka the topics have their fixed names, so one test at a time uses them: ``tests.support.scheduling``."""


@asynccontextmanager
async def on_stage(kind: str, folder: Path) -> AsyncIterator[Driver]:
    """A driver of the demo's story that has started and told nothing yet."""
    async with servers_of(kind) as outside, _started(Driver(folder, outside=outside)) as driver:
        yield driver


@asynccontextmanager
async def servers_of(kind: str) -> AsyncIterator[Outside | None]:
    """The real servers, with nothing unread on the topics and empty stores; None for the embedded ones."""
    if kind == "embedded":
        yield None
        return
    kafka = KafkaSettings(bootstrap=os.environ["TEST_KAFKA"])
    await apply(kafka, ALL_TOPICS.values())
    await skip_what_others_left(kafka)
    async with postgresql_schema() as intake, postgresql_schema() as notifier, postgresql_schema() as trials:
        yield Outside(kafka, {"intake": intake, "notifier": notifier, "trials": trials})


@asynccontextmanager
async def _started(driver: Driver) -> AsyncIterator[Driver]:
    try:
        await driver.start()
        yield driver
    finally:
        await driver.stop()


async def skip_what_others_left(kafka: KafkaSettings) -> None:
    """Records of other tests are sealed with other keys: the groups begin where the topics end."""
    for topic in TOPICS.values():
        for group in topic.groups:
            partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
            client = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, group_id=group, enable_auto_commit=False)
            await client.start()
            try:
                client.assign(partitions)
                await eventually(partial(_at_the_end, client, partitions), within=30)
            finally:
                await client.stop()


async def _at_the_end(client: AIOKafkaConsumer, partitions: list[TopicPartition]) -> bool:
    """Not while the group has a member: one that was cut off while it left stays for a session."""
    try:
        await client.commit(await client.end_offsets(partitions))
    except CommitFailedError:
        return False
    return True
