"""What ``upright doctor`` looks at on the broker: the service's topics, and what its user may do with them."""

from collections.abc import AsyncIterator, Iterable
from functools import partial

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError

from chassis.errors import Unavailable
from chassis.kafka import client_options, close_producer, open_producer
from chassis.settings import KafkaSettings
from chassis.topics import check
from schemas.topics import ALL_TOPICS, Topic
from standalone.findings import Finding, Verdict

APPLY = "upright topics apply, as a user who may"


def topics_of(service: str) -> list[Topic]:
    """Those the service writes or reads."""
    return [each for each in ALL_TOPICS.values() if service in each.producers or service in each.consumers]


async def look_at_kafka(service: str, kafka: KafkaSettings) -> AsyncIterator[Finding]:
    """Broker, topics and, where the broker knows who we are, rights."""
    ok, wrong = partial(Finding, Verdict.OK, service), partial(Finding, Verdict.WRONG, service)
    mine = topics_of(service)
    try:
        report = await check(kafka, mine)
    except Unavailable:
        name = f"{service.upper()}_KAFKA__BOOTSTRAP"
        yield wrong("broker", "doesn't answer, or doesn't let us in", f"is it running, and does {name} name it?")
        return
    yield ok("broker", "answers")
    if report.missing:
        names = ", ".join(report.missing)
        yield wrong("topics", f"missing, or not to be seen by this user: {names}", APPLY)
    for each in report.refused:
        said = f"{each.topic}: {each.what} is {each.actual}, not {each.wanted}"
        yield wrong("topics", said, "make a new topic, drain the old one, switch (docs/runbooks/outages.md)")
    if report.usable:
        yield ok("topics", f"{len(mine)} usable")
    if kafka.username is not None and report.usable:
        async for finding in look_at_rights(service, kafka, mine):
            yield finding


async def look_at_rights(service: str, kafka: KafkaSettings, topics: Iterable[Topic]) -> AsyncIterator[Finding]:
    """Reads are tried, without taking part in a group; of writing only whether it may write at all."""
    ok, wrong = partial(Finding, Verdict.OK, service), partial(Finding, Verdict.WRONG, service)
    refused = []
    for topic in topics:
        for group in [each for each in topic.groups if each.partition(".")[0] == service]:
            refused += await _reads(kafka, topic.name, group)
        if service in topic.readers:
            refused += await _reads(kafka, topic.name, None)
    try:
        await close_producer(await open_producer(kafka))
    except (KafkaError, OSError, TimeoutError):
        refused.append("write")
    for each in refused:
        yield wrong("rights", f"may not {each}", APPLY)
    if not refused:
        yield ok("rights", "reads its topics, commits for its groups, and may write")


async def _reads(kafka: KafkaSettings, topic: str, group: str | None) -> list[str]:
    first = TopicPartition(topic, 0)
    consumer = AIOKafkaConsumer(**client_options(kafka), group_id=group, enable_auto_commit=False)
    try:
        await consumer.start()
        if topic not in await consumer.topics():  # shown to whoever has any right on it; nothing else would be said
            return [f"read {topic}"]
        consumer.assign([first])
        if group is not None:
            await consumer.committed(first)
        await consumer.seek_to_end(first)
        await consumer.getmany(first, timeout_ms=500)
    except TopicAuthorizationFailedError:
        return [f"read {topic}"]
    except GroupAuthorizationFailedError:
        return [f"read as the group {group}"]
    except (KafkaError, OSError, TimeoutError) as error:
        return [f"read {topic}: {type(error).__name__}"]
    finally:
        await consumer.stop()
    return []
