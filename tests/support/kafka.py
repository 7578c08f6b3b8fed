"""Brokers for tests: the embedded one, and Apache Kafka where ``TEST_KAFKA`` is set; topics of one's own on both."""

import os
import secrets
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition

from chassis.outbox import Message
from chassis.settings import KafkaSettings
from standalone.broker import EmbeddedBroker

APACHE = [pytest.param("apache", marks=pytest.mark.servers)] if "TEST_KAFKA" in os.environ else []
PARTITIONS = 4
BROKERS = ["embedded", *APACHE]


def new_topic_name(what: str = "test") -> str:
    """A name that no other test uses."""
    return f"{what}.{secrets.token_hex(6)}.v1"


@asynccontextmanager
async def running_broker(kind: str, folder: Path) -> AsyncIterator[KafkaSettings]:
    """Settings of a broker of the kind ``embedded`` or ``apache``."""
    if kind == "apache":
        yield KafkaSettings(bootstrap=os.environ["TEST_KAFKA"])
        return
    async with EmbeddedBroker(folder) as broker:
        yield KafkaSettings(bootstrap=broker.bootstrap, embedded=True)


@pytest.fixture(params=BROKERS)
async def kafka(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[KafkaSettings]:
    async with running_broker(request.param, tmp_path) as settings:
        yield settings


async def create_topic(kafka: KafkaSettings, topic: str, partitions: int = PARTITIONS) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, partitions, 1)])
    finally:
        await admin.close()


async def publish(kafka: KafkaSettings, messages: Sequence[Message], partition: int | None = None) -> dict[int, int]:
    """Put ``messages`` on their topics in their order; per partition the offset after the last of them."""
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all") as producer:
        sent = [
            await producer.send(each.topic, each.value, each.key, partition=partition, headers=list(each.headers))
            for each in messages
        ]
        placed = [await one for one in sent]
    return {each.partition: each.offset + 1 for each in sorted(placed, key=lambda each: each.offset)}


async def committed(kafka: KafkaSettings, group: str, topic: str) -> dict[int, int]:
    """The group's committed offsets per partition, as the broker has them; partitions without one are absent."""
    client = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, group_id=group, enable_auto_commit=False)
    await client.start()
    try:
        client.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
        offsets = {each.partition: await client.committed(each) for each in client.assignment()}
    finally:
        await client.stop()
    return {partition: offset for partition, offset in offsets.items() if offset is not None}


async def publish_unreadable(kafka: KafkaSettings, topic: str, partition: int) -> dict[int, int]:
    """A record with a header whose name isn't UTF-8, which aiokafka neither sends by itself nor reads."""
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        batch = producer.create_batch()
        batch.append(key=b"key", value=b"value", timestamp=None, headers=[("name", b"value")])
        raw = bytearray(bytes(batch._build()).replace(b"name", b"\xff\xfe\xff\xfe"))
        struct.pack_into(">I", raw, 17, calc_crc32c(bytes(raw[21:])))
        batch._buffer = raw
        placed = await (await producer.send_batch(batch, topic, partition=partition))
    return {partition: placed.offset + 1}
