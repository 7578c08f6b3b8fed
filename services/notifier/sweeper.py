"""Finds again what other processes left behind: expired claims go back, expired ``sending`` becomes uncertain."""

import asyncio
from collections.abc import Mapping

import structlog

from chassis.metrics import Metrics
from chassis.store import Store, is_outage
from chassis.supervisor import pause
from schemas.outcomes import DeliveryState
from services.notifier.recording import HandedOver, Recorder
from services.notifier.smtp import Phase, Receipt, Verdict
from services.notifier.store.claims import Claim
from services.notifier.store.releases import expired_sending, release_expired
from services.notifier.store.waiting import Waiting, count_waiting

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 5.0
UNKNOWN = Receipt(Verdict.UNCERTAIN, Phase.DOT)


class Sweeper:
    """A part of its own, so that its death is noticed. Any number of processes may sweep."""

    name = "sweeper"

    def __init__(self, store: Store, recorder: Recorder, metrics: Metrics) -> None:
        self.store, self.recorder, self.metrics = store, recorder, metrics
        self._found = 0
        self._reasons: set[str] = set()

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
        """One round; also counts what waits."""
        async with self.store.write() as connection:
            given_back = await release_expired(connection)
            left = await expired_sending(connection)
            waiting = await count_waiting(connection, self.recorder.planner.clock.now())
        self._measure(waiting, given_back)
        for claim in left:
            await self._call_uncertain(claim)

    def _measure(self, waiting: Waiting, given_back: int) -> None:
        if given_back:
            self.metrics.count("lease_expiries_total", given_back, state=DeliveryState.CLAIMED)
        self.metrics.gauge("deliveries_due", waiting.due)
        self.metrics.gauge("deliveries_due_oldest_seconds", waiting.oldest.total_seconds())
        self.metrics.gauge("deliveries_uncertain", waiting.uncertain)
        self.metrics.gauge("programs_paused", waiting.paused)
        self._reasons.update(waiting.held)
        for reason in self._reasons:
            self.metrics.gauge("deliveries_held", waiting.held.get(reason, 0), reason=reason)

    async def _call_uncertain(self, claim: Claim) -> None:
        """One that can't be recorded holds up no other; the next round tries again."""
        try:
            async with self.store.write() as connection:
                await self.recorder.record(connection, [HandedOver(claim, UNKNOWN)])
            self._found += 1
            self.metrics.count("lease_expiries_total", len(claim.delivery_ids), state=DeliveryState.SENDING)
        except Exception as error:
            if is_outage(error):
                raise
            log.error("sweeping_failed", error=type(error).__name__, exc_info=True)
