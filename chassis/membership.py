"""A consumer's place in its group: joining with patience, leaving within seconds, also when the broker is away.

One group id per subscriber: two topics under one group would revoke each other at every start and stop.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from faststream.kafka import KafkaBroker

from chassis.settings import KafkaSettings

LEAVE_SECONDS = 3.0

log = structlog.get_logger(__name__)


class _WaitsForTheBatch(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """A revocation waits until the batch in flight is stored and committed: else the next owner would repeat it."""

    def __init__(self, lock: asyncio.Lock, group: str) -> None:
        self._lock = lock
        self._group = group
        self.rebalancing = False

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self.rebalancing = True
        async with self._lock:
            pass

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self.rebalancing = False
        log.info("partitions assigned", group=self._group, partitions=sorted(each.partition for each in assigned))


class Membership:
    """Registers a subscriber without a handler; ``lock`` is held around a batch and its commit, never around polls."""

    def __init__(self, broker: KafkaBroker, kafka: KafkaSettings, topic: str, group: str, lock: asyncio.Lock) -> None:
        self._group = group
        self._broker = broker
        self._listener = _WaitsForTheBatch(lock, group)
        self._subscriber = broker.subscriber(
            topic,
            group_id=group,
            auto_offset_reset="earliest",
            listener=self._listener,
            **cast("dict[str, Any]", _timing(kafka, group)),
        )

    @property
    def rebalancing(self) -> bool:
        """Whether the group is being divided anew; nothing is polled meanwhile."""
        return self._listener.rebalancing

    @asynccontextmanager
    async def client(self) -> AsyncIterator[AIOKafkaConsumer]:
        """A started client with an assignment, which may take for ever; left again at the end, whatever happened.

        Raises ``KafkaError`` and ``OSError`` when the broker or the topic isn't there.
        """
        await self._broker.connect()  # FastStream wants it; a consumer-only broker has nothing to connect
        try:
            await self._subscriber.start()
            yield self._subscriber.consumer
        finally:
            await self._leave()

    async def _leave(self) -> None:
        """Say goodbye; for at most ``LEAVE_SECONDS`` when we are being stopped.

        Else for as long as it takes: a client that is cut off while it leaves goes on as a member that reads nothing.
        """
        leaving = asyncio.create_task(self._subscriber.stop())
        task = asyncio.current_task()
        stopped = task is not None and task.cancelling() > 0
        _, unfinished = await asyncio.wait({leaving}, timeout=LEAVE_SECONDS if stopped else None)
        if unfinished:
            leaving.cancel()
            await asyncio.wait({leaving})
            log.warning("stopped without leaving the group, the broker doesn't answer", group=self._group)
        elif (error := leaving.exception()) is not None:
            log.warning("left the group with an error", group=self._group, error=type(error).__name__)


def _timing(kafka: KafkaSettings, group: str) -> dict[str, object]:
    """Measured (engine.md): the rebalance time-out outlasts a slow batch; static members restart without a rebalance.

    The embedded broker assigns after about half a session, and knows no static members.
    """
    if kafka.embedded:
        return {"session_timeout_ms": 6_000, "heartbeat_interval_ms": 1_000, "rebalance_timeout_ms": 60_000}
    instance = f"{group}-{kafka.instance}" if kafka.instance is not None else None
    return {
        "group_instance_id": instance,
        "session_timeout_ms": 10_000,
        "heartbeat_interval_ms": 1_000,
        "rebalance_timeout_ms": 60_000,
    }
