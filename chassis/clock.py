"""Civil time: what people live by. Leases, back-off and freshness use the database's clock (``chassis.store``)."""

from datetime import UTC, datetime
from typing import Protocol


class CivilClock(Protocol):
    """Gives the civil time. The demo's clock is simulated; nothing in a service may call ``datetime.now`` itself."""

    def now(self) -> datetime:
        """Now, in UTC."""
        ...


class SystemClock:
    """The machine's clock, in milliseconds, as stores keep them: a time read back equals the one that was written."""

    def now(self) -> datetime:
        now = datetime.now(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)


class SimulatedClock:
    """A clock that stands still until it is moved, and never runs backwards."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        return self._now

    def advance_to(self, moment: datetime) -> None:
        """Jump to ``moment``; ``ValueError`` when that lies before now."""
        if moment < self._now:
            raise ValueError("a clock never runs backwards")
        self._now = moment.astimezone(UTC)
