"""What time alone does: plans whose hour has come, patients marked stale, mail that is overdue, and a daily sum."""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import date

import structlog

from chassis.clock import CivilClock, SystemClock
from chassis.metrics import Metrics
from chassis.sealing import Keyring
from chassis.store import Store, is_outage
from chassis.supervisor import pause
from services.notifier.reconcile import Report, reconcile
from services.notifier.replan import Planner
from services.notifier.store.patients import PatientKey, get_replannable, lock_patients

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0
WAVE = 100
FAILED_SECONDS = 600.0
"""Before a patient is planned again at whom the plan has failed."""
DAILY_POLL_SECONDS = 60.0
AGAIN_SECONDS = 60.0
"""Before the ledger raises an alarm it is looked at again: a sweep may have been under way."""


class Replanner:
    """Re-plans patients in waves. The row lock is the claim: a wave is one transaction."""

    name = "replanner"

    def __init__(self, store: Store, planner: Planner, master: Keyring, wake: Callable[[], None]) -> None:
        self.store, self.planner, self.master, self.wake = store, planner, master, wake
        self._nudged, self._planned = asyncio.Event(), 0
        self._failed: dict[PatientKey, float] = {}

    def status(self) -> Mapping[str, object]:
        return {"planned": self._planned, "failed": len(self._failed)}

    def nudge(self) -> None:
        """Somebody may be stale, or the clock has jumped: don't wait for the next look."""
        self._nudged.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until told to stop; an outage of the store is waited out."""
        while not stopping.is_set():
            self._nudged.clear()
            try:
                wave = await self.wave()
            except Exception as error:
                if not is_outage(error):
                    raise
                log.warning("store_away", part=self.name)
                wave = 0
            if wave:
                self.wake()
            if wave < WAVE:
                await pause(stopping, POLL_SECONDS, self._nudged)

    async def wave(self) -> int:
        """Re-plan up to a wave of patients; how many. One who can't be planned holds up nobody else."""
        try:
            return await self._plan(WAVE)
        except Exception as error:
            if is_outage(error):
                raise
        return await self._plan_one_by_one()

    async def _plan(self, size: int, only: PatientKey | None = None) -> int:
        async with self.store.write() as connection:
            now = self.planner.clock.now()
            await self.planner.programs.apply_first(connection, now)
            found = await get_replannable(connection, now, size, self._put_off())
            for stale in (False, True):  # others' changes may have ended what mail is held for, time alone has not
                keys = [key for key in found if found[key] is stale and only in (None, key)]
                locked = await lock_patients(connection, keys, self.master)
                await self.planner.replan(connection, list(locked.values()), release_held=stale)
                self._planned += len(keys)
        return len(found)

    async def _plan_one_by_one(self) -> int:
        async with self.store.write() as connection:
            found = await get_replannable(connection, self.planner.clock.now(), WAVE, self._put_off())
        for key in found:
            try:
                await self._plan(WAVE, key)
            except Exception as error:
                if is_outage(error):
                    raise
                log.critical("replan_failed", error=type(error).__name__, exc_info=True)
                self._failed[key] = time.monotonic() + FAILED_SECONDS
        return len(found)

    def _put_off(self) -> list[PatientKey]:
        """Who couldn't be planned a short while ago."""
        self._failed = {key: until for key, until in self._failed.items() if until > time.monotonic()}
        return list(self._failed)


class Reconciler:
    """Reconciles once per civil day, and alarms when a second look a minute later still doesn't add up."""

    name = "reconciler"

    def __init__(self, store: Store, clock: CivilClock, metrics: Metrics) -> None:
        self.store, self.clock, self.metrics = store, clock, metrics
        self._done: date | None = None
        self._balanced: bool | None = None

    def status(self) -> Mapping[str, object]:
        return {"last": self._done.isoformat() if self._done else None, "balanced": self._balanced}

    async def run(self, stopping: asyncio.Event) -> None:
        """Look daily until told to stop; an outage of the store is waited out."""
        while not stopping.is_set():
            try:
                if self._done != self.clock.now().date():
                    await self.look(stopping)
            except Exception as error:
                if not is_outage(error):
                    raise
                log.warning("store_away", part=self.name)
            await pause(stopping, DAILY_POLL_SECONDS)

    async def look(self, stopping: asyncio.Event, again_seconds: float = AGAIN_SECONDS) -> Report:
        """One day's look: metric always, alarm when it doesn't add up."""
        today, report = self.clock.now().date(), await self._report()
        if not report.balanced:
            await pause(stopping, again_seconds)
            report = await self._report()
        self._done, self._balanced = today, report.balanced
        self.metrics.gauge("ledger_unbalanced", 0 if report.balanced else 1)
        self.metrics.gauge("ledger_difference", sum(abs(each.difference) for each in report.equations))
        self.metrics.gauge("ledger_reconciled_timestamp_seconds", SystemClock().now().timestamp())
        if not report.balanced:
            found = {each.code: each.detail for each in report.findings}
            log.critical("ledger_unbalanced", findings=found, equation=str(report.total))
        return report

    async def _report(self) -> Report:
        async with self.store.read() as connection:
            return await reconcile(connection, self.clock.now())
