"""The topics: who owns, produces and consumes each, how it is laid out. ``upright topics apply`` makes it so.

Patient-keyed topics have 24 partitions for good: adding one breaks a key's order. Growth is a new topic, drain, switch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from schemas.registry import (
    INTAKE_EVENTS,
    NOTIFIER_OUTCOMES,
    NOTIFIER_REQUESTS,
    TRIALS_CATALOG,
    TRIALS_DIGESTS,
    TRIALS_MATCHES,
    TRIALS_OUTCOMES,
    TRIALS_SUBSCRIPTION,
)

DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. ``groups`` are its consumer groups, ``<service>.<what>``; each has a dead-letter topic.

    ``readers`` are services that read all partitions from the start, without a group: a table they keep in memory.
    """

    name: str
    owner: str
    producers: tuple[str, ...]
    groups: tuple[str, ...]
    key: str
    partitions: int = 24
    retention_ms: int = 14 * DAY_MS
    compacted: bool = False
    heartbeats: bool = False
    readers: tuple[str, ...] = ()

    @property
    def consumers(self) -> tuple[str, ...]:
        """The services that read it."""
        return tuple(dict.fromkeys((*(group.partition(".")[0] for group in self.groups), *self.readers)))


def dead_letter_topic(topic: str, group: str) -> str:
    """``<topic>.<group>.dlq``, with the original key, bytes and headers."""
    return f"{topic}.{group}.dlq"


_ALL = (
    Topic(INTAKE_EVENTS, "intake", ("intake",), ("notifier.intake", "trials.intake"), "patient id", heartbeats=True),
    Topic(NOTIFIER_REQUESTS, "notifier", ("trials",), ("notifier.requests",), "patient id"),
    Topic(NOTIFIER_OUTCOMES, "notifier", ("notifier",), ("intake.outcomes", "trials.outcomes"), "patient id"),
    Topic(TRIALS_CATALOG, "trials", ("trials",), (), "trial id", compacted=True, readers=("notifier",)),
    Topic(TRIALS_MATCHES, "trials", ("trials",), ("trials.matches",), "patient id"),
    Topic(TRIALS_OUTCOMES, "trials", ("trials",), ("intake.trials",), "patient id"),
    Topic(TRIALS_DIGESTS, "trials", ("trials",), ("notifier.digests",), "subscription id"),
)

TOPICS: Mapping[str, Topic] = {topic.name: topic for topic in _ALL}


def _dead_letters(topic: Topic) -> list[Topic]:
    return [
        Topic(
            dead_letter_topic(topic.name, group), group.partition(".")[0], (group.partition(".")[0],), (), topic.key,
            partitions=topic.partitions, retention_ms=90 * DAY_MS,
        )
        for group in topic.groups
    ]  # fmt: skip


ALL_TOPICS: Mapping[str, Topic] = {each.name: each for topic in _ALL for each in (topic, *_dead_letters(topic))}
"""Topics and their dead-letter topics: all that ``topics apply`` creates."""

SUBSCRIPTION = Topic(
    TRIALS_SUBSCRIPTION, "trials", ("trials",), (), "pseudonym", partitions=1, retention_ms=30 * DAY_MS
)
"""The layout of a coordinator's own topic, made when they subscribe; their own client reads it."""


def subscription_topic(subscription_id: str) -> Topic:
    """The topic of one subscription."""
    return replace(SUBSCRIPTION, name=TRIALS_SUBSCRIPTION.replace("<id>", subscription_id))
