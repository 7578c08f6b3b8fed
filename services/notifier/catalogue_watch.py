"""When the catalogue of trials has changed, invitations that wait for it are looked at again."""

import asyncio
from collections.abc import Mapping

import structlog

from chassis.store import Store, is_outage
from chassis.supervisor import pause
from services.notifier.store.requests import mark_waiting

log = structlog.get_logger(__name__)

AGAIN_SECONDS = 1.0


class CatalogueWatch:
    """A part of its own: who reads the catalogue does nothing but read."""

    name = "catalogue watch"

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changed = asyncio.Event()
        self._marked = 0

    def nudge(self) -> None:
        """The catalogue has changed."""
        self._changed.set()

    def status(self) -> Mapping[str, object]:
        return {"looked_at_again": self._marked}

    async def run(self, stopping: asyncio.Event) -> None:
        """Mark whoever waits, once for any number of changes; an outage of the store is waited out."""
        while not stopping.is_set():
            if not self._changed.is_set():
                await pause(stopping, 3600.0, self._changed)
                continue
            self._changed.clear()
            try:
                async with self._store.write() as connection:
                    self._marked += await mark_waiting(connection)
            except Exception as error:
                if not is_outage(error):
                    raise
                log.warning("store_away", part=self.name)
                self._changed.set()
                await pause(stopping, AGAIN_SECONDS)
