"""Set a consumer group back, so that its service reads a topic again. Versions make the repeat harmless."""

from datetime import datetime

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalGenerationError, KafkaError, RebalanceInProgressError

from chassis.errors import Unavailable
from chassis.kafka import client_options
from chassis.settings import KafkaSettings
from schemas.topics import Topic
from standalone.commands.errors import WRONG, Failure

_TAKEN = (CommitFailedError, IllegalGenerationError, RebalanceInProgressError)


async def rewind(kafka: KafkaSettings, topic: Topic, group: str, to: datetime | None) -> int:
    """By how many records the group was set back: to its first of ``to`` or later, to the beginning for None.

    Never forward: a partition that stands before ``to`` stays. ``Failure`` while the group has members, for they would
    commit over it; ``Unavailable("kafka")``.
    """
    consumer = AIOKafkaConsumer(**client_options(kafka), group_id=group, enable_auto_commit=False)
    try:
        await consumer.start()
        partitions = [TopicPartition(topic.name, each) for each in range(topic.partitions)]
        consumer.assign(partitions)
        back = await _set_back(consumer, partitions, to)
        if back:
            await consumer.commit({each: offset for each, (_, offset) in back.items()})
        return sum(stood - offset for stood, offset in back.values())
    except _TAKEN:
        raise Failure(
            f"{group} is being read: stop every instance of its service first, and wait ten seconds.", WRONG
        ) from None
    except (KafkaError, OSError, TimeoutError) as error:
        raise Unavailable("kafka") from error
    finally:
        await consumer.stop()


async def _set_back(
    consumer: AIOKafkaConsumer, partitions: list[TopicPartition], to: datetime | None
) -> dict[TopicPartition, tuple[int, int]]:
    """Where each partition that goes back stands, and where it goes."""
    if to is None:
        first = await consumer.beginning_offsets(partitions)
    else:
        found = await consumer.offsets_for_times(dict.fromkeys(partitions, int(to.timestamp() * 1000)))
        first = {each: at.offset for each, at in found.items() if at is not None}
    stood = {each: await consumer.committed(each) or 0 for each in first}
    return {each: (stood[each], first[each]) for each in first if first[each] < stood[each]}
