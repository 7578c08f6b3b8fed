"""Heartbeats: keyless events to every partition that say up to when everything committed has been published."""

import time
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from chassis.clock import CivilClock
from chassis.cloudevents import to_message
from chassis.outbox import Message
from schemas.envelope import Envelope
from schemas.outcomes import Heartbeat
from schemas.registry import EVENT_TYPES
from schemas.topics import Topic

EVERY = timedelta(seconds=10)
_TYPE = EVENT_TYPES["heartbeat"]


class Heartbeats:
    """When the next one is due, and what it says. ``source`` is the producer's CloudEvents source."""

    def __init__(self, clock: CivilClock, topics: Sequence[Topic], source: str) -> None:
        self._clock = clock
        self._topics = topics
        self._source = source
        self._sent: tuple[float, datetime] | None = None

    def due(self) -> datetime | None:
        """The civil time to say, if one is due: 10 s have passed by this process's clock, or by the civil one.

        The civil clock may be simulated and jump by days; readers must not take the silence for an outage.
        """
        now = self._clock.now()
        if self._sent is None or time.monotonic() - self._sent[0] >= EVERY.total_seconds():
            return now
        return now if now - self._sent[1] >= EVERY else None

    def sent(self, now: datetime) -> None:
        """All are out that ``due`` asked for at ``now``."""
        self._sent = (time.monotonic(), now)

    def messages(self, now: datetime, waiting: timedelta) -> list[Message]:
        """One for each topic; ``waiting`` is how long the oldest unsent row has waited, by the database's clock.

        ``fresh_as_of`` is the civil time before that wait. A transaction still open then is not seen; it is younger
        than any reader's bound, which is an hour.
        """
        envelope = Envelope(
            id=str(uuid.uuid4()), source=self._source, type=_TYPE.wire, time=now, dataschema=_TYPE.dataschema
        )
        return [to_message(topic.name, envelope, Heartbeat(fresh_as_of=now - waiting)) for topic in self._topics]
