"""Whether every consumer group has committed up to the end of its topic, as the broker itself says."""

from collections.abc import Collection
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from chassis.kafka import client_options
from chassis.settings import KafkaSettings
from schemas.topics import TOPICS, Topic

OUTAGE = (KafkaError, OSError, TimeoutError)


class Offsets:
    """Asks with clients of its own; ``close`` them. After an outage the next question connects again.

    ``groups`` are those that somebody here consumes with: another one commits nothing.
    """

    def __init__(self, kafka: KafkaSettings, groups: Collection[str]) -> None:
        self._groups = groups
        self._read = [topic for topic in TOPICS.values() if set(topic.groups) & set(groups)]
        self._options: dict[str, Any] = client_options(kafka)
        self._ends: AIOKafkaConsumer | None = None
        self._admin: AIOKafkaAdminClient | None = None

    async def read_to_the_end(self, kept: dict[str, int]) -> bool:
        """``kept``: rows per topic that the broker must have had; an empty topic then belongs to a new broker."""
        try:
            await self._connect()
            for topic in self._read:
                if not await self._is_read(topic, kept.get(topic.name, 0)):
                    return False
            return True
        except OUTAGE:
            await self.close()
            return False

    async def _is_read(self, topic: Topic, kept: int) -> bool:
        assert self._ends is not None  # noqa: S101 - ``_connect`` has been called
        assert self._admin is not None  # noqa: S101
        partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
        ends = await self._ends.end_offsets(partitions)
        if kept and not any(ends.values()):
            return False
        for group in (each for each in topic.groups if each in self._groups):
            committed = await self._admin.list_consumer_group_offsets(group, partitions=partitions)
            if any(end > max(0, committed[each].offset) for each, end in ends.items()):
                return False
        return True

    async def _connect(self) -> None:
        if self._ends is None:
            self._ends = AIOKafkaConsumer(**self._options)
            await self._ends.start()
        if self._admin is None:
            self._admin = AIOKafkaAdminClient(**self._options)
            await self._admin.start()

    async def close(self) -> None:
        ends, admin, self._ends, self._admin = self._ends, self._admin, None, None
        if ends is not None:
            await ends.stop()
        if admin is not None:
            await admin.close()
