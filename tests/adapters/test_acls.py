"""Each service may do what the topics say of it, and nothing else; asked of Apache Kafka with its authorizer."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
)
from aiokafka.structs import OffsetAndMetadata

from chassis import topics
from chassis.acls import Acl, Operation, Pattern, Resource, acls_of, apply, maker_of
from chassis.errors import Unavailable
from chassis.kafka import client_options, open_producer
from chassis.settings import KafkaSettings
from schemas.topics import ALL_TOPICS, Topic
from standalone.doctor_kafka import look_at_rights
from tests.support.eventually import eventually
from tests.support.kafka import create_topic, new_topic_name

REFUSED = (ClusterAuthorizationFailedError, GroupAuthorizationFailedError, TopicAuthorizationFailedError)
"""The first is what a producer meets who may write nothing at all."""
SECURED = "TEST_KAFKA_SASL"
on_an_authorizer = pytest.mark.skipif(SECURED not in os.environ, reason=f"needs {SECURED}")


def a_topic() -> Topic:
    """Intake produces it and trials consume it."""
    name = new_topic_name("acls")
    return Topic(name, "intake", ("intake",), (f"trials.{name}",), "key", partitions=1)


def operator() -> KafkaSettings:
    return KafkaSettings(bootstrap=os.environ["TEST_KAFKA"])


def as_service(service: str) -> KafkaSettings:
    return KafkaSettings.model_validate({
        "bootstrap": os.environ[SECURED], "security": "sasl_plaintext", "username": service,
        "password": f"{service}-secret",
    })  # fmt: skip


@asynccontextmanager
async def granted(topic: Topic) -> AsyncIterator[None]:
    await create_topic(operator(), topic.name, 1)
    await apply(operator(), acls_of([topic]))
    yield


async def write(service: str, topic: Topic) -> None:
    producer = await open_producer(as_service(service))
    try:
        await producer.send_and_wait(topic.name, b"value")
    finally:
        await producer.stop()


async def read(service: str, topic: Topic) -> None:
    """All there is, and commit it for the topic's group."""
    (group,) = topic.groups
    partition = TopicPartition(topic.name, 0)
    consumer = AIOKafkaConsumer(**client_options(as_service(service)), group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        record = await consumer.getone()
        await consumer.commit({partition: OffsetAndMetadata(record.offset + 1, "")})
    finally:
        await consumer.stop()


async def until_in_force(service: str, topic: Topic) -> None:
    """The broker's authorizer hears of new rights a moment after they were granted."""

    async def may_write() -> bool:
        try:
            await write(service, topic)
        except KafkaError:
            return False
        return True

    await eventually(may_write)


def test_the_rights_follow_from_who_produces_and_who_consumes() -> None:
    topic = replace(a_topic(), readers=("notifier",))
    assert acls_of([topic]) == {
        Acl("intake", Operation.WRITE, Resource.TOPIC, topic.name),
        Acl("trials", Operation.READ, Resource.TOPIC, topic.name),
        Acl("trials", Operation.READ, Resource.GROUP, topic.groups[0]),
        Acl("notifier", Operation.READ, Resource.TOPIC, topic.name),
    }


def test_nobody_writes_a_topic_that_is_anothers_but_the_one_for_requests() -> None:
    writes = {acl for acl in acls_of(ALL_TOPICS.values()) if acl.operation is Operation.WRITE}
    foreign = {(acl.service, acl.name) for acl in writes if ALL_TOPICS[acl.name].owner != acl.service}
    assert foreign == {("trials", "notifier.requests.v1")}


@pytest.mark.parametrize("service", ["intake", "notifier", "trials"])
def test_a_dead_letter_is_read_by_no_service(service: str) -> None:
    read = [acl for acl in acls_of(ALL_TOPICS.values()) if acl.service == service and acl.operation is Operation.READ]
    assert [acl.name for acl in read if acl.name.endswith(".dlq")] == []


@on_an_authorizer
async def test_rights_are_created_once_and_others_are_told() -> None:
    topic = a_topic()
    wanted = acls_of([topic])
    report = await apply(operator(), wanted)
    assert set(report.created) == wanted

    async def are_known() -> bool:
        return (await apply(operator(), wanted)).created == ()

    await eventually(are_known)
    commits = Acl("trials", Operation.READ, Resource.GROUP, topic.groups[0])
    assert commits in (await apply(operator(), wanted - {commits})).beyond


@on_an_authorizer
async def test_the_producer_writes_and_the_consumer_reads_and_commits() -> None:
    topic = a_topic()
    async with granted(topic):
        await until_in_force("intake", topic)
        await read("trials", topic)


@on_an_authorizer
async def test_a_consumer_may_not_write_nor_a_stranger_read() -> None:
    topic = a_topic()
    async with granted(topic):
        await until_in_force("intake", topic)
        with pytest.raises(REFUSED):
            await write("trials", topic)
        with pytest.raises(REFUSED):
            await read("stranger", topic)


@on_an_authorizer
async def test_a_producer_may_not_read_what_it_writes() -> None:
    topic = a_topic()
    async with granted(topic):
        await until_in_force("intake", topic)
        with pytest.raises(REFUSED):
            await read("intake", topic)


@on_an_authorizer
async def test_a_maker_of_topics_makes_those_that_begin_as_its_own_and_no_others() -> None:
    prefix = new_topic_name("made").removesuffix(".v1")
    await apply(operator(), maker_of("trials", prefix))
    mine = Topic(f"{prefix}.a.v1", "trials", ("trials",), (), "key", partitions=1)
    foreign = replace(mine, name=new_topic_name("foreign"))

    async def can_make() -> bool:
        return (await topics.apply(as_service("trials"), [mine])).usable

    await eventually(can_make)
    await until_in_force("trials", mine)
    report = await topics.apply(as_service("trials"), [foreign])
    assert [each.actual for each in report.refused] == ["TopicAuthorizationFailedError"]


@on_an_authorizer
async def test_a_service_may_not_grant_rights() -> None:
    with pytest.raises(Unavailable, match="acls"):
        await apply(as_service("stranger"), acls_of([a_topic()]))


def test_a_right_says_what_it_is() -> None:
    assert str(Acl("trials", Operation.CREATE, Resource.TOPIC, "a.", Pattern.PREFIXED)) == "trials: create topic a.*"


@on_an_authorizer
async def test_the_doctor_names_what_a_service_may_not_read() -> None:
    topic, foreign = replace(a_topic(), readers=("notifier",)), a_topic()
    async with granted(topic), granted(foreign):
        await until_in_force("intake", topic)
        await until_in_force("intake", foreign)

        async def may_not(service: str, of: Topic) -> set[str]:
            findings = [each async for each in look_at_rights(service, as_service(service), [of])]
            return {each.said for each in findings if "may not read" in each.said}

        assert await may_not("trials", topic) == set()
        assert await may_not("notifier", topic) == set()
        group = f"notifier.{topic.name}"
        assert await may_not("notifier", replace(topic, groups=(group,))) == {f"may not read as the group {group}"}
        as_reader = replace(foreign, groups=(), readers=("notifier",))
        assert await may_not("notifier", as_reader) == {f"may not read {foreign.name}"}
