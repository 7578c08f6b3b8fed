"""What nobody's event does: time that passes, and trials that change. (Invitations: ``inviter.py``.)"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.leading import Lead
from chassis.sealing import Keyring
from chassis.store import Store, is_outage
from chassis.supervisor import pause
from services.trials.evaluating import Evaluator
from services.trials.people import People
from services.trials.store.catalogue import TrialKey, list_undrained, record_drained
from services.trials.store.matches import list_patients
from services.trials.store.patients import PatientKey, lock_patients
from services.trials.store.patients import list_due as list_due_patients
from services.trials.tables import leases

log = structlog.get_logger(__name__)

POLL_SECONDS = 2.0
"""For time that passes, and work of other instances: that of this one comes with a nudge."""
WAVE = 100
LEASE_SECONDS = 30.0


class Timer(ABC):
    """A part that does a wave of work whenever there is some. One instance at a time, by lease."""

    name: str

    def __init__(self, store: Store, evaluator: Evaluator, master: Keyring, wake: Callable[[], None]) -> None:
        self.store, self.evaluator, self.master, self.wake = store, evaluator, master, wake
        self._nudged, self._done = asyncio.Event(), 0
        self._lead = Lead(store, leases, self.name, LEASE_SECONDS)

    def status(self) -> Mapping[str, object]:
        return {"done": self._done}

    def nudge(self) -> None:
        """There may be work: don't wait for the next look."""
        self._nudged.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until told to stop; then another instance may go on at once."""
        try:
            while not stopping.is_set():
                self._nudged.clear()
                done = await self._try_wave()
                self._done += done
                if done:
                    self.wake()
                await pause(stopping, self.rest(done), self._nudged)
        finally:
            await self._lead.release()

    async def _try_wave(self) -> int:
        try:
            return await self.wave()
        except Exception as error:
            if not is_outage(error):
                raise
            log.warning("store_away", part=self.name)
            return 0

    def rest(self, done: int) -> float:
        """Seconds until the next wave."""
        return POLL_SECONDS if done < WAVE else 0.0

    @abstractmethod
    async def wave(self) -> int:
        """Do some of the work; how much."""

    async def leads(self) -> bool:
        """Whether this instance has the lease. To be asked once there is work: it may cost a transaction."""
        return await self._lead.take()

    async def holds(self, connection: AsyncConnection) -> bool:
        """``leads``, for work of one transaction, in which no other instance may be at work."""
        return await self._lead.hold(connection)

    async def judge(self, connection: AsyncConnection, keys: list[PatientKey]) -> None:
        locked = await lock_patients(connection, keys, self.master)
        await self.evaluator.evaluate(connection, list(locked.values()))


class Ageing(Timer):
    """Judges patients of whom time alone has changed something: a birthday, a fact gone stale."""

    name = "ageing"

    async def wave(self) -> int:
        now = self.evaluator.clock.now()
        async with self.store.read() as connection:
            if not await list_due_patients(connection, now, 1):
                return 0
        async with self.store.write() as connection:
            if not await self.holds(connection):
                return 0
            due = await list_due_patients(connection, now, WAVE)
            await self.judge(connection, due)
        return len(due)


class Drain(Timer):
    """Compares patients with trials that have changed, at a set rate: others' events aren't delayed by it."""

    name = "drain"

    def __init__(
        self, store: Store, evaluator: Evaluator, master: Keyring, wake: Callable[[], None], people: People, rate: float
    ) -> None:
        super().__init__(store, evaluator, master, wake)
        self._people, self._rate = people, rate
        self._left: list[PatientKey] = []
        self._trial: tuple[TrialKey, int] | None = None

    def status(self) -> Mapping[str, object]:
        return {**super().status(), "waiting": len(self._left)}

    def rest(self, done: int) -> float:
        return done / self._rate if self._trial else POLL_SECONDS

    async def wave(self) -> int:
        """Patients of one trial; when all have been compared, that is recorded."""
        trial = self._trial or await self._next()
        if trial is None:
            return 0
        if not await self.leads():
            self._trial, self._left = None, []
            return 0
        if self._trial is None:
            await self._begin(*trial)
        wave, left = self._left[:WAVE], self._left[WAVE:]
        async with self.store.write() as connection:
            await self.judge(connection, wave)
            if self._trial and not left:
                await record_drained(connection, *self._trial)
        self._left = left  # only now: a wave that an outage undid is done again
        if not left:
            self._trial = None
        return max(1, len(wave))

    async def _next(self) -> tuple[TrialKey, int] | None:
        """The trial whose change is the oldest, by key and version."""
        async with self.store.read() as connection:
            return next(iter(await list_undrained(connection)), None)

    async def _begin(self, key: TrialKey, version: int) -> None:
        """Whom this change concerns: first who might match now, and who did; then all others, since what the trial
        asks of time may change something of them one day, and only who is judged knows that day.
        """
        tenant, trial_id = key
        await self._people.catch_up()
        async with self.store.write() as connection:
            await self.evaluator.catalogue.catch_up(connection)
            concerned = set(await list_patients(connection, tenant, trial_id))
        state, others = self.evaluator.catalogue.get(tenant, trial_id), set[PatientKey]()
        if state is not None:
            concerned |= self._people.candidates(tenant, state.eligibility, state.programs)
            others = self._people.everybody(tenant, state.programs) - concerned
        self._left, self._trial = [*sorted(concerned), *sorted(others)], (key, version)
