"""Heartbeats: keyless events to every partition that say up to when everything committed has been published.

Their time is the database's, not the civil one: a simulated day that passes in a second is no silence.
"""

import time
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from chassis.cloudevents import to_message
from chassis.outbox import Message
from schemas.envelope import Envelope
from schemas.outcomes import Heartbeat
from schemas.registry import EVENT_TYPES
from schemas.topics import Topic

EVERY_SECONDS = 10.0
_TYPE = EVENT_TYPES["heartbeat"]


class Heartbeats:
    """When the next one is due, and what it says. ``source`` is the producer's CloudEvents source."""

    def __init__(self, topics: Sequence[Topic], source: str, every_seconds: float = EVERY_SECONDS) -> None:
        self._every = every_seconds
        self._topics = topics
        self._source = source
        self._sent: float | None = None

    def due(self) -> bool:
        """Whether the interval has passed since the last, by this process's clock."""
        return bool(self._topics) and (self._sent is None or time.monotonic() - self._sent >= self._every)

    def sent(self) -> None:
        """All are out."""
        self._sent = time.monotonic()

    def messages(self, now: datetime, waiting: timedelta) -> list[Message]:
        """One for each topic at ``now``; ``waiting`` is how long the oldest unsent row has waited.

        ``fresh_as_of`` is the time before that wait; all by the database's clock. A transaction still open then is not
        seen; it is younger than any reader's bound, which is an hour.
        """
        envelope = Envelope(
            id=str(uuid.uuid4()), source=self._source, type=_TYPE.wire, time=now, dataschema=_TYPE.dataschema
        )
        return [to_message(topic.name, envelope, Heartbeat(fresh_as_of=now - waiting)) for topic in self._topics]
