"""Whether a consumer group has read a topic: by what its service has stored, not by what it says of itself."""

from aiokafka import AIOKafkaConsumer, TopicPartition
from sqlalchemy import Table

from chassis.freshness import stored_positions
from chassis.store import Store
from schemas.topics import TOPICS


async def is_read(client: AIOKafkaConsumer, topic: str, store: Store, positions: Table, group: str) -> bool:
    """Up to the end of every partition, as it is now."""
    places = [TopicPartition(topic, number) for number in range(TOPICS[topic].partitions)]
    ends = {each.partition: end for each, end in (await client.end_offsets(places)).items()}
    async with store.read() as connection:
        stands = await stored_positions(connection, positions, group)
    return all(stands.get(number, 0) >= end for number, end in ends.items())
