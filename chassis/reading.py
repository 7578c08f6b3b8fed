"""What was polled, sorted: events and dead letters to be stored, heartbeats and positions, and what isn't used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from chassis.batch import Decoded
from chassis.dead_letters import letter_of
from chassis.decoding import HEARTBEAT, Event, Record, decode
from chassis.freshness import Progress
from chassis.metrics import Metrics
from schemas.outcomes import Heartbeat


@dataclass(slots=True)
class Read:
    """``progress`` is empty when nothing in ``batch`` and no heartbeat moved it: then positions can wait."""

    batch: list[Decoded] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)
    traces: tuple[str, ...] = ()
    count: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """Decodes each record in its own try: whatever is wrong with one is nobody else's trouble."""

    uses: frozenset[str]
    metrics: Metrics
    labels: Mapping[str, str]

    def read(
        self, client: AIOKafkaConsumer, polled: Mapping[TopicPartition, Sequence[ConsumerRecord[Any, Any]]]
    ) -> Read:
        """All records in their order, per partition."""
        read = Read(count=sum(len(records) for records in polled.values()))
        beats = False
        for at, records in polled.items():
            decoded = [each for record in records if (each := self._decoded(record)) is not None]
            fresh = [heard for each in decoded if (heard := _fresh_as_of(each)) is not None]
            beats = beats or bool(fresh)
            read.batch += [each for each in decoded if _fresh_as_of(each) is None]
            position = records[-1].offset + 1
            end = highwater(client, at)
            read.progress.append(
                Progress(at.partition, position, end is not None and position >= end, max(fresh, default=None))
            )
        if not read.batch and not beats:
            read.progress = []
        traces = (each.event.envelope.traceparent for each in read.batch if each.event is not None)
        read.traces = tuple(dict.fromkeys(trace for trace in traces if trace is not None))
        return read

    def _decoded(self, raw: ConsumerRecord[Any, Any]) -> Decoded | None:
        record = Record(raw.topic, raw.partition, raw.offset, raw.timestamp, raw.key, tuple(raw.headers), raw.value)
        try:
            event = decode(record, self.uses)
        except Exception as error:  # also what nobody thought of: this record is a dead letter, its batch is not
            return Decoded(record, letter=letter_of(record, error))
        if event is None:
            self.metrics.count("events_ignored_total", 1, **self.labels)
            return None
        return Decoded(record, event)


def _fresh_as_of(decoded: Decoded) -> datetime | None:
    """What a heartbeat says; None for anything else."""
    event: Event[Any] | None = decoded.event
    if event is None or event.type.name != HEARTBEAT:
        return None
    return cast("Heartbeat", event.data).fresh_as_of


def highwater(client: AIOKafkaConsumer, at: TopicPartition) -> int | None:
    """The end that the last fetch told; None before one, and when a rebalance has taken the partition meanwhile."""
    return cast("int | None", client.highwater(at)) if at in client.assignment() else None


def unreadable(at: TopicPartition, offset: int) -> ConsumerRecord[Any, Any]:
    """What stands for a record that the client can't parse: its place, and nothing in it."""
    return ConsumerRecord(at.topic, at.partition, offset, -1, 0, None, None, None, -1, -1, ())
