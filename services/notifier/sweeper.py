"""Finds again what other processes left behind: expired claims go back, expired ``sending`` becomes uncertain."""

import asyncio
from collections.abc import Mapping

import structlog

from chassis.metrics import Metrics
from chassis.store import Store, is_outage
from chassis.supervisor import pause
from services.notifier.recording import Recorder
from services.notifier.smtp import Phase, Receipt, Verdict
from services.notifier.store.claims import Claim, count_due
from services.notifier.store.releases import expired_sending, release_expired

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 5.0
UNKNOWN = Receipt(Verdict.UNCERTAIN, Phase.DOT)


class Sweeper:
    """A part of its own, so that its death is noticed. Any number of processes may sweep."""

    name = "sweeper"

    def __init__(self, store: Store, recorder: Recorder, metrics: Metrics) -> None:
        self.store, self.recorder, self.metrics = store, recorder, metrics
        self._found = 0

    def status(self) -> Mapping[str, object]:
        return {"uncertain_found": self._found}

    async def run(self, stopping: asyncio.Event) -> None:
        """Sweep until told to stop; an outage of the store is waited out."""
        while not stopping.is_set():
            try:
                await self.sweep()
            except Exception as error:
                if not is_outage(error):
                    raise
                log.warning("store_away", part=self.name)
            await pause(stopping, SWEEP_SECONDS)

    async def sweep(self) -> None:
        """One round; also counts what is due."""
        async with self.store.write() as connection:
            await release_expired(connection)
            left = await expired_sending(connection)
            due, oldest = await count_due(connection, self.recorder.planner.clock.now())
        self.metrics.gauge("deliveries_due", due)
        self.metrics.gauge("deliveries_due_oldest_seconds", oldest.total_seconds())
        for claim in left:
            await self._call_uncertain(claim)

    async def _call_uncertain(self, claim: Claim) -> None:
        """One that can't be recorded holds up no other; the next round tries again."""
        try:
            async with self.store.write() as connection:
                await self.recorder.record(connection, claim, UNKNOWN)
            self._found += 1
        except Exception as error:
            if is_outage(error):
                raise
            log.error("sweeping_failed", error=type(error).__name__, exc_info=True)
