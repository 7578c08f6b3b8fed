"""What time alone does: patients whose plan's hour has come, who were marked stale, or whose mail is overdue."""

import asyncio
from collections.abc import Mapping

import structlog

from chassis.sealing import Keyring
from chassis.store import Store, is_outage
from chassis.supervisor import pause
from services.notifier.replan import Planner
from services.notifier.store.claims import mark_overdue
from services.notifier.store.patients import get_replannable, lock_patients

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.5
WAVE = 100


class Replanner:
    """Re-plans patients in waves. The row lock is the claim: a wave is one transaction."""

    name = "replanner"

    def __init__(self, store: Store, planner: Planner, master: Keyring) -> None:
        self.store, self.planner, self.master = store, planner, master
        self._planned = 0

    def status(self) -> Mapping[str, object]:
        return {"planned": self._planned}

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until told to stop; an outage of the store is waited out."""
        while not stopping.is_set():
            try:
                wave = await self.wave()
            except Exception as error:
                if not is_outage(error):
                    raise
                log.warning("store_away", part=self.name)
                wave = 0
            if wave < WAVE:
                await pause(stopping, POLL_SECONDS)

    async def wave(self) -> int:
        """Re-plan up to a wave of patients; how many."""
        async with self.store.write() as connection:
            now = self.planner.clock.now()
            await self.planner.programs.apply_first(connection, now)
            await mark_overdue(connection, now)
            keys = await get_replannable(connection, now, WAVE)
            locked = await lock_patients(connection, keys, self.master)
            await self.planner.replan(connection, list(locked.values()), release_held=False)
        self._planned += len(keys)
        return len(keys)
