"""Topics as ``schemas.topics`` declares them: create what is missing, report what differs, alter nothing.

A difference is for a person to decide: shortening a retention loses records, and adding a partition breaks the order
of keys for good, so that one is refused outright (growth is a new topic, drain, switch).
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import NoError, TopicAlreadyExistsError, for_code

from chassis.kafka import admin_client
from chassis.settings import KafkaSettings
from schemas.topics import Topic

DEAD_LETTER_BYTES = 2_000_000
"""A dead letter is a record as long as any, and its own headers: more than the 1 MiB that a topic takes by default."""

TRIES = 5
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Difference:
    """``what`` is ``partitions``, ``replication``, a topic setting's name, or ``error``."""

    topic: str
    what: str
    wanted: str
    actual: str


@dataclass(slots=True)
class Report:
    """What was found. ``refused`` must be mended by hand before a service may use the topic."""

    created: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    differs: list[Difference] = field(default_factory=list)
    refused: list[Difference] = field(default_factory=list)

    @property
    def usable(self) -> bool:
        """Whether every topic is there with its partitions; settings may differ."""
        return not self.missing and not self.refused


async def check(kafka: KafkaSettings, topics: Iterable[Topic]) -> Report:
    """Compare only. Raises ``Unavailable("kafka")``."""
    async with admin_client(kafka) as admin:
        return await _compare(admin, kafka, _by_name(topics))


async def apply(kafka: KafkaSettings, topics: Iterable[Topic]) -> Report:
    """Create what is missing, compare the rest. Raises ``Unavailable("kafka")``. Several at once are safe.

    The embedded broker creates whatever topic a client asks for, as it likes it; such a one is made anew. It loses
    nothing: a service applies the topics before it publishes, and publishes all again when its topic was lost. Its
    services share a process, and go one by one: else one would delete what another has just made and filled.
    """
    wanted = _by_name(topics)
    async with _turn(), admin_client(kafka) as admin:
        report = await _mended(admin, kafka, wanted)
        for _ in range(TRIES if kafka.embedded else 0):
            if (await _compare(admin, kafka, wanted)).usable:
                break  # else a client asked for a topic between our look and our making it
            created, report = report.created, await _mended(admin, kafka, wanted)
            report.created = created + report.created
        return report


async def _mended(admin: AIOKafkaAdminClient, kafka: KafkaSettings, wanted: Mapping[str, Topic]) -> Report:
    report = await _compare(admin, kafka, wanted)
    if kafka.embedded and report.refused:
        wrong = [each.topic for each in report.refused]
        await admin.delete_topics(wrong)
        report.missing, report.refused = report.missing + wrong, []
    missing, report.missing = report.missing, []
    if missing:
        await _create(admin, kafka, [wanted[name] for name in missing], report)
    return report


def _by_name(topics: Iterable[Topic]) -> dict[str, Topic]:
    return {topic.name: topic for topic in topics}


def _turn() -> asyncio.Lock:
    """This event loop's lock: one may not be used in two loops."""
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())


async def _create(admin: AIOKafkaAdminClient, kafka: KafkaSettings, topics: list[Topic], report: Report) -> None:
    new = [
        NewTopic(topic.name, topic.partitions, kafka.replication, topic_configs=settings_of(topic, kafka.replication))
        for topic in topics
    ]
    answer = await admin.create_topics(new)
    for name, code, *_ in answer.topic_errors:
        error = for_code(code)
        if error is NoError:
            report.created.append(name)
        elif error is not TopicAlreadyExistsError:  # that one: another instance was a little faster
            report.refused.append(Difference(name, "error", "created", error.__name__))


async def _compare(admin: AIOKafkaAdminClient, kafka: KafkaSettings, wanted: Mapping[str, Topic]) -> Report:
    report = Report()
    # all topics, since asking for one by name may create it
    found = {each["topic"]: each["partitions"] for each in await admin.describe_topics()}
    report.missing = [name for name in wanted if name not in found]
    present = [topic for name, topic in wanted.items() if name in found]
    for topic in present:
        partitions = found[topic.name]
        if len(partitions) != topic.partitions:
            report.refused.append(Difference(topic.name, "partitions", str(topic.partitions), str(len(partitions))))
        replicas = {len(each["replicas"]) for each in partitions}
        if replicas != {kafka.replication}:
            actual = ", ".join(map(str, sorted(replicas)))
            report.differs.append(Difference(topic.name, "replication", str(kafka.replication), actual))
    if present and not kafka.embedded:  # the embedded broker keeps nothing, whatever its settings say
        report.differs += await _compare_settings(admin, kafka, present)
    return report


async def _compare_settings(admin: AIOKafkaAdminClient, kafka: KafkaSettings, topics: list[Topic]) -> list[Difference]:
    actual = await _settings(admin, [topic.name for topic in topics])
    return [
        Difference(topic.name, name, wanted, actual[topic.name].get(name, ""))
        for topic in topics
        for name, wanted in settings_of(topic, kafka.replication).items()
        if actual[topic.name].get(name) != wanted
    ]


async def _settings(admin: AIOKafkaAdminClient, names: list[str]) -> Mapping[str, Mapping[str, str]]:
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    found: dict[str, dict[str, str]] = {name: {} for name in names}
    for answer in await admin.describe_configs(asked):
        for _code, _message, _type, name, entries in answer.resources:
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found


def settings_of(topic: Topic, replication: int) -> dict[str, str]:
    """The topic's settings by their Kafka names."""
    settings = {
        "cleanup.policy": "compact" if topic.compacted else "delete",
        "retention.ms": str(topic.retention_ms),
    }
    if topic.name.endswith(".dlq"):
        settings["max.message.bytes"] = str(DEAD_LETTER_BYTES)
    if replication > 2:
        settings["min.insync.replicas"] = "2"  # so that a confirmed record is on two brokers
    return settings
