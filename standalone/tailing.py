"""Reads a topic for a person: each record's place, headers and data. What is sealed or can't be read stays hidden.

Without a consumer group, so it commits nothing and disturbs nobody.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from chassis.decoding import HEARTBEAT, Record, decode, readable
from chassis.errors import Permanent, Unavailable
from chassis.kafka import admin_client, client_options
from chassis.settings import KafkaSettings
from schemas.registry import EVENT_TYPES, FAMILIES
from schemas.sealed import Sealed
from standalone.commands.errors import NO, Failure

POLL_MS = 500
SEALED = frozenset(Sealed.model_fields)
HEARTBEAT_TYPE = EVENT_TYPES[HEARTBEAT].wire.encode()


@dataclass(frozen=True, slots=True)
class Wanted:
    """``count`` None: until somebody stops it."""

    topic: str
    from_beginning: bool = False
    patient_id: str | None = None
    count: int | None = None
    heartbeats: bool = False

    def has(self, record: ConsumerRecord[Any, Any]) -> bool:
        beats = any(name == "ce_type" and value == HEARTBEAT_TYPE for name, value in record.headers)
        mine = self.patient_id is None or record.key == self.patient_id.lower().encode()
        return mine and (self.heartbeats or not beats)


@dataclass(frozen=True, slots=True)
class Shown:
    """One record for the screen; ``data`` is JSON, None where there is none or none that may be shown."""

    place: str
    what: str
    at: str
    headers: tuple[tuple[str, str], ...]
    data: str | None


async def follow(kafka: KafkaSettings, wanted: Wanted, show: Callable[[Shown], None]) -> None:
    """Show records until there were enough. Raises ``Unavailable("kafka")``; ``Failure`` for no such topic."""
    await _exists(kafka, wanted.topic)
    left = wanted.count
    async with _reader(kafka, wanted) as reader:
        while left is None or left > 0:
            for record in await _poll(reader):
                if wanted.has(record) and (left is None or left > 0):
                    show(describe(record))
                    left = None if left is None else left - 1


async def _exists(kafka: KafkaSettings, topic: str) -> None:
    """Some brokers make a topic that is asked for, so it isn't."""
    async with admin_client(kafka) as admin:
        names = sorted(each["topic"] for each in await admin.describe_topics() if not each["is_internal"])
    if topic not in names:
        there = ", ".join(names) or "none; upright topics apply creates them"
        raise Failure(f"There is no topic {topic}. There are: {there}", NO)


@asynccontextmanager
async def _reader(kafka: KafkaSettings, wanted: Wanted) -> AsyncIterator[AIOKafkaConsumer]:
    start = "earliest" if wanted.from_beginning else "latest"
    reader = AIOKafkaConsumer(wanted.topic, **client_options(kafka), auto_offset_reset=start, enable_auto_commit=False)
    try:
        await reader.start()
        if not wanted.from_beginning:
            await reader.seek_to_end()
        yield reader
    except (KafkaError, OSError, TimeoutError) as error:
        raise Unavailable("kafka") from error
    finally:
        await reader.stop()


async def _poll(reader: AIOKafkaConsumer) -> list[ConsumerRecord[Any, Any]]:
    """What came, by time. A record which the client can't parse is passed over, with its neighbours read one by one."""
    try:
        polled = await reader.getmany(timeout_ms=POLL_MS)
        return sorted((record for records in polled.values() for record in records), key=lambda each: each.timestamp)
    except UnicodeDecodeError:
        return [record for each in sorted(reader.assignment()) for record in await _one(reader, each)]


async def _one(reader: AIOKafkaConsumer, partition: TopicPartition) -> list[ConsumerRecord[Any, Any]]:
    try:
        polled = await reader.getmany(partition, timeout_ms=POLL_MS, max_records=1)
        return [record for records in polled.values() for record in records]
    except UnicodeDecodeError:
        reader.seek(partition, await reader.position(partition) + 1)
        return []


def describe(raw: ConsumerRecord[Any, Any]) -> Shown:
    """A record in text. Bytes that aren't one of our events are counted, not shown: they may be anything."""
    record = Record(raw.topic, raw.partition, raw.offset, raw.timestamp, raw.key, tuple(raw.headers), raw.value)
    at = datetime.fromtimestamp(raw.timestamp / 1000, UTC).isoformat(timespec="milliseconds")
    what, data = _content(record)
    headers = [("key", in_text(record.key)), *((name, in_text(value)) for name, value in record.headers)]
    return Shown(f"{raw.partition}/{raw.offset}", what, at, tuple(headers), data)


def in_text(value: bytes | None) -> str:
    """A header or key as it is, or how long it is when it can't be printed."""
    return readable(value) or _counted(value)


def _content(record: Record) -> tuple[str, str | None]:
    try:
        event = decode(record, FAMILIES)
    except Permanent as error:
        return f"unreadable ({error.reason}), {_counted(record.value)}", None
    if event is None:
        return f"unknown, {_counted(record.value)}", None
    return event.type.name, json.dumps(_hidden(event.data.model_dump(mode="json", exclude_none=True)))


def _counted(value: bytes | None) -> str:
    return f"<{len(value or b'')} bytes>"


def _hidden(data: Any) -> Any:
    """With each sealed block replaced by a word for it."""
    if isinstance(data, Mapping):
        if data.keys() == SEALED:
            return f"<sealed with {data['kid']}, {len(data['ciphertext']) * 3 // 4} bytes>"
        return {name: _hidden(value) for name, value in data.items()}
    return [_hidden(each) for each in data] if isinstance(data, list) else data
