"""Records as the Kafka client hands them out."""

from collections.abc import Sequence
from typing import Any

from aiokafka import ConsumerRecord

from chassis.decoding import Record


def raw(
    record: Record, *, value: bytes | None = None, headers: Sequence[tuple[str, bytes | None]] | None = None
) -> ConsumerRecord[Any, Any]:
    """``record``, with another value or other headers."""
    body = record.value if value is None else value
    given = tuple(record.headers if headers is None else headers)
    return ConsumerRecord(
        record.topic, record.partition, record.offset, record.timestamp_ms, 0, record.key, body, None, -1, -1, given
    )
