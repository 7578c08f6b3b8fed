"""Kafka in: digests that trials ask for. Idempotent by digest id."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.consumer import DeadLetter, Event
from chassis.sealing import Keyring
from services.notifier.store.digests import add_digests

GROUP = "notifier.digests"
USES = frozenset({"digest.requested"})


@dataclass(frozen=True, slots=True)
class DigestHandlers:
    """``master`` seals what is kept of a request."""

    master: Keyring

    async def apply(self, connection: AsyncConnection, events: Sequence[Event[Any]]) -> int:
        """Keep each digest that isn't known yet; how many were."""
        asked = [(each.envelope.tenant or "", each.envelope.time, each.data) for each in events]
        return len(asked) - await add_digests(connection, asked, self.master)

    async def buried(self, connection: AsyncConnection, letters: Sequence[DeadLetter]) -> None:
        """Nothing: no patient's mail hangs on a digest, and the letter itself is counted and listed."""

    async def released(self, connection: AsyncConnection, letter: DeadLetter, event: Event[Any] | None) -> bool:
        """Nothing was marked; a digest has one version."""
        return False
