"""Reads the catalogue and everybody who may be matched into memory at the start: until then HTTP isn't ready.

Whoever uses them catches up anyway; loaded first, no request waits for all of it.
"""

import asyncio
from collections.abc import Mapping

import structlog

from chassis.problems import Problem
from chassis.store import Store, is_outage
from chassis.supervisor import pause
from services.trials.catalogue import Catalogue
from services.trials.people import People

log = structlog.get_logger(__name__)

AGAIN_SECONDS = 1.0


class Loading:
    """A part that is done once all is loaded; an outage of the store is waited out."""

    name = "loading"

    def __init__(self, store: Store, catalogue: Catalogue, people: People) -> None:
        self._store, self._catalogue, self._people = store, catalogue, people

    @property
    def done(self) -> bool:
        return self._catalogue.change >= 0 and self._people.loaded

    def status(self) -> Mapping[str, object]:
        return {"done": self.done, "trials": len(self._catalogue), "patients": len(self._people)}

    async def run(self, stopping: asyncio.Event) -> None:
        """Load, then wait to be told to stop."""
        while not stopping.is_set() and not self.done:
            try:
                await self.load()
            except Exception as error:
                if not is_outage(error):
                    raise
                log.warning("store_away", part=self.name)
                await pause(stopping, AGAIN_SECONDS)
        await stopping.wait()

    async def load(self) -> None:
        """Once, from the store."""
        async with self._store.write() as connection:
            await self._catalogue.catch_up(connection)
        await self._people.catch_up()

    async def ready(self) -> None:
        """``Problem`` unless all is loaded and the store answers."""
        await self._store.ping()
        if not self.done:
            raise Problem(503, "not_ready", "The catalogue and the patients aren't loaded yet.")
