"""What is on intake's topic, read by nobody's group: when each cancellation got there."""

import json
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from chassis.settings import KafkaSettings
from schemas.registry import INTAKE_EVENTS
from schemas.topics import TOPICS

PLACES = [TopicPartition(INTAKE_EVENTS, number) for number in range(TOPICS[INTAKE_EVENTS].partitions)]


class Log:
    """``cancelled``: by patient, when the first record of it was put on the log, by the broker's word."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self.cancelled: dict[str, datetime] = {}
        self.records = 0
        self._kafka = kafka
        self._stands: dict[TopicPartition, int] = dict.fromkeys(PLACES, 0)

    async def read_on(self) -> None:
        """To the end, from where it stood."""
        async with AIOKafkaConsumer(bootstrap_servers=self._kafka.bootstrap, enable_auto_commit=False) as client:
            client.assign(PLACES)
            for place, offset in self._stands.items():
                client.seek(place, offset)
            ends = await client.end_offsets(PLACES)
            while [each for each, end in ends.items() if await client.position(each) < end]:
                for records in (await client.getmany(timeout_ms=500)).values():
                    for each in records:
                        self._note(each)
            self._stands = {each: await client.position(each) for each in PLACES}

    def _note(self, record: ConsumerRecord) -> None:
        self.records += 1
        if dict(record.headers).get("ce_type", b"").startswith(b"org.upright.appointment.cancelled."):
            at = datetime.fromtimestamp(record.timestamp / 1000, UTC)
            self.cancelled.setdefault(json.loads(record.value)["patient_id"], at)
