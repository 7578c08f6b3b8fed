"""What a compacted topic says of each key: its newest version that could be read. In memory, one record at a time.

A tombstone forgets the key. A record that can't be read leaves its key unknown until a newer version comes: nobody may
act on the one before.
"""

from collections.abc import Callable, Collection
from typing import Any

import structlog
from aiokafka import ConsumerRecord

from chassis.decoding import Event, Record, decode, readable
from chassis.errors import ChassisError
from chassis.metrics import Metrics

OnState = Callable[[str, Event[Any] | None], None]
"""Gets a key's newest state, or None when nothing is known of it any more. It may neither block nor fail."""

log = structlog.get_logger(__name__)


class States:
    """``uses`` are the names of the events that are states; ``changed`` is set by whatever changed one."""

    def __init__(self, uses: Collection[str], on_state: OnState, metrics: Metrics, topic: str) -> None:
        self.changed = False
        self._uses, self._on_state, self._metrics, self._topic = frozenset(uses), on_state, metrics, topic
        self._least: dict[str, tuple[int, int]] = {}
        """By key its partition, and the least version that would be news."""

    def __len__(self) -> int:
        return len(self._least)

    def take(self, raw: ConsumerRecord[Any, Any]) -> None:
        """The next record of its partition."""
        key = readable(raw.key)
        if raw.value is None and key is not None:
            self._forget(key)
            return
        try:
            event = decode(_record(raw), self._uses)
        except Exception as error:  # also what nobody thought of: one record mustn't end the reading
            self.unreadable(raw.partition, raw.offset, error, [] if key is None else [key])
            return
        if event is not None and key is not None:
            self._keep(key, event)

    def forget_all(self) -> None:
        for key in [*self._least]:
            self._forget(key)

    def unreadable(self, partition: int, offset: int, error: Exception, keys: Collection[str] | None = None) -> None:
        """The record there can't be read. Without ``keys`` it may be the state of any key of its partition."""
        reason = error.reason if isinstance(error, ChassisError) else type(error).__name__
        self._metrics.count("states_unreadable_total", topic=self._topic)
        log.error("state can't be read", topic=self._topic, partition=partition, offset=offset, reason=reason)
        if keys is None:
            keys = [key for key, (at, _) in self._least.items() if at == partition]
        for key in keys:
            least = self._least.get(key, (partition, 0))[1]
            self._forget(key)
            self._least[key] = (partition, least + 1)

    def _keep(self, key: str, event: Event[Any]) -> None:
        """A relay may publish again what is older."""
        version = event.envelope.sequence or 0
        if version >= self._least.get(key, (0, 0))[1]:
            self._least[key] = (event.partition, version)
            self.changed = True
            self._on_state(key, event)

    def _forget(self, key: str) -> None:
        if self._least.pop(key, None) is not None:
            self.changed = True
            self._on_state(key, None)


def _record(raw: ConsumerRecord[Any, Any]) -> Record:
    return Record(raw.topic, raw.partition, raw.offset, raw.timestamp, raw.key, tuple(raw.headers), raw.value)
