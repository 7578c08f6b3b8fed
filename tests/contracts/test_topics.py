"""Every topic has an owner, producers, consumers, a layout, and a dead-letter topic per group; every event a topic."""

import re

import pytest

from schemas.registry import EVENT_TYPES, INTAKE_EVENTS, TRIALS_CATALOG
from schemas.topics import ALL_TOPICS, SUBSCRIPTION, TOPICS, Topic, dead_letter_topic, subscription_topic

SERVICES = {"intake", "notifier", "trials"}
DAY_MS = 86_400_000
TABLE = {
    "intake.events.v1": ("patient id", "intake", ["notifier.intake", "trials.intake"]),
    "notifier.requests.v1": ("patient id", "trials", ["notifier.requests"]),
    "notifier.outcomes.v1": ("patient id", "notifier", ["intake.outcomes", "trials.outcomes"]),
    "trials.catalog.v1": ("trial id", "trials", []),
    "trials.matches.v1": ("patient id", "trials", ["trials.matches"]),
    "trials.outcomes.v1": ("patient id", "trials", ["intake.trials"]),
    "trials.digests.v1": ("subscription id", "trials", ["notifier.digests"]),
}
"""Key, producer and groups. A group of another name would start anew, a topic of another name would be empty."""


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


def test_no_topic_of_events_is_compacted_since_each_of_them_counts() -> None:
    assert [each.name for each in (*ALL_TOPICS.values(), SUBSCRIPTION) if each.compacted] == [TRIALS_CATALOG]


def test_each_subscription_has_a_topic_of_its_own() -> None:
    one, other = subscription_topic("a"), subscription_topic("b")
    assert (one.name, other.name) == ("trials.subscription.a.v1", "trials.subscription.b.v1")
    assert one.partitions == SUBSCRIPTION.partitions == 1


def test_each_topic_has_the_key_producer_and_groups_that_were_agreed() -> None:
    assert {name: (each.key, *each.producers, [*each.groups]) for name, each in TOPICS.items()} == TABLE
    assert [TOPICS[name].consumers for name in ("intake.events.v1", TRIALS_CATALOG)] == [
        ("notifier", "trials"), ("notifier",),
    ]  # fmt: skip


def test_records_are_kept_for_14_days_dead_letters_for_90_and_reports_to_a_coordinator_for_30() -> None:
    kept = {name: topic.retention_ms for name, topic in ALL_TOPICS.items()}
    assert {kept.pop(name) for name in TOPICS} == {14 * DAY_MS}
    assert set(kept.values()) == {90 * DAY_MS}
    assert subscription_topic("a").retention_ms == 30 * DAY_MS


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


def test_what_is_intakes_own_and_what_others_publish_cannot_be_posted() -> None:
    refused = {each.name for each in EVENT_TYPES.values() if each.posted is None and each.topic == INTAKE_EVENTS}
    assert refused == {"patient.merged", "patient.absorbed", "heartbeat"}
    assert {each.topic for each in EVENT_TYPES.values() if each.posted is not None} == {INTAKE_EVENTS}
