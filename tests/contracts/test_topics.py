"""Every topic has an owner, producers, consumers, a layout, and a dead-letter topic per group; every event a topic."""

import re

import pytest

from schemas.registry import EVENT_TYPES, TRIALS_CATALOG
from schemas.topics import ALL_TOPICS, SUBSCRIPTION, TOPICS, Topic, dead_letter_topic, subscription_topic

SERVICES = {"intake", "notifier", "trials"}


@pytest.mark.parametrize("topic", TOPICS.values(), ids=str)
def test_it_has_owner_producers_consumers_and_24_partitions(topic: Topic) -> None:
    assert topic.owner in SERVICES
    assert topic.producers
    assert set(topic.producers) <= SERVICES
    assert topic.groups or topic.readers
    assert set(topic.consumers) <= SERVICES
    assert topic.key in {"patient id", "trial id", "subscription id"}
    assert topic.partitions == 24


def test_what_is_read_from_its_start_by_everybody_is_compacted_and_has_no_group() -> None:
    tables = [topic for topic in TOPICS.values() if topic.readers]
    assert [(topic.name, topic.compacted, topic.groups) for topic in tables] == [(TRIALS_CATALOG, True, ())]


def test_each_subscription_has_a_topic_of_its_own() -> None:
    one, other = subscription_topic("a"), subscription_topic("b")
    assert (one.name, other.name) == ("trials.subscription.a.v1", "trials.subscription.b.v1")
    assert one.partitions == SUBSCRIPTION.partitions == 1


@pytest.mark.parametrize("topic", TOPICS.values(), ids=str)
def test_each_of_its_groups_has_a_dead_letter_topic_that_lasts_longer(topic: Topic) -> None:
    for group in topic.groups:
        parked = ALL_TOPICS[dead_letter_topic(topic.name, group)]
        assert parked.owner == group.partition(".")[0]
        assert parked.producers == (parked.owner,)
        assert (parked.partitions, parked.key) == (topic.partitions, topic.key)
        assert parked.retention_ms > topic.retention_ms


def test_no_two_subscribers_share_a_group() -> None:
    groups = [group for topic in TOPICS.values() for group in topic.groups]
    assert len(groups) == len(set(groups))


def test_names_have_dots_and_never_underscores() -> None:
    assert all(re.fullmatch(r"[a-z0-9.-]{1,249}", name) for name in ALL_TOPICS)


def test_every_event_goes_to_a_declared_topic_and_every_topic_carries_events() -> None:
    carried = {topic for event in EVENT_TYPES.values() for topic in (event.topic, *event.more_topics)}
    assert carried == {*TOPICS, SUBSCRIPTION.name}


def test_heartbeats_are_declared_where_their_event_goes() -> None:
    assert [name for name, topic in TOPICS.items() if topic.heartbeats] == [EVENT_TYPES["heartbeat"].topic]
