"""What nobody's event does: time that passes, changed trials, invitations whose turn has come."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.leases import take
from chassis.outbox import put
from chassis.sealing import Keyring
from chassis.store import Store, is_outage
from chassis.supervisor import pause
from schemas.outcomes import Kind, MessageRequest
from schemas.trials import TrialState
from services.trials.domain import Known
from services.trials.evaluating import Evaluator
from services.trials.inviting import choose_approval, due_after, expires_at, midnight
from services.trials.judging import see
from services.trials.people import People
from services.trials.store.catalogue import TrialKey, find_trial, list_undrained, record_drained
from services.trials.store.invitations import (
    Invitation,
    State,
    count_since,
    list_due,
    load_invitations,
    record_invitations,
)
from services.trials.store.matches import list_patients
from services.trials.store.patients import Locked, PatientKey, lock_patients
from services.trials.store.patients import list_due as list_due_patients
from services.trials.store.subjects import load_known
from services.trials.tables import leases, outbox

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0
WAVE = 100
LEASE_SECONDS = 30.0
NO_WORDS = timedelta(minutes=15)
"""Before an invitation for which there are no approved words is looked at again."""


class Timer(ABC):
    """A part that does a wave of work whenever there is some. One instance at a time, by lease."""

    name: str

    def __init__(self, store: Store, evaluator: Evaluator, master: Keyring, wake: Callable[[], None]) -> None:
        self.store, self.evaluator, self.master, self.wake = store, evaluator, master, wake
        self._nudged, self._done, self._token = asyncio.Event(), 0, str(uuid4())

    def status(self) -> Mapping[str, object]:
        return {"done": self._done}

    def nudge(self) -> None:
        """There may be work: don't wait for the next look."""
        self._nudged.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until told to stop."""
        while not stopping.is_set():
            self._nudged.clear()
            try:
                done = await self.wave()
            except Exception as error:
                if not is_outage(error):
                    raise
                log.warning("store_away", part=self.name)
                done = 0
            self._done += done
            if done:
                self.wake()
            await pause(stopping, self.rest(done), self._nudged)

    def rest(self, done: int) -> float:
        """Seconds until the next wave."""
        return POLL_SECONDS if done < WAVE else 0.0

    @abstractmethod
    async def wave(self) -> int:
        """Do some of the work; how much."""

    async def mine(self, connection: AsyncConnection) -> bool:
        """Whether this instance has the lease, by the database's clock."""
        return await take(connection, leases, self.name, self._token, LEASE_SECONDS)

    async def leads(self) -> bool:
        """``mine``, for a wave whose work has transactions of its own."""
        async with self.store.write() as connection:
            return await self.mine(connection)

    async def judge(self, connection: AsyncConnection, keys: list[PatientKey]) -> None:
        locked = await lock_patients(connection, keys, self.master)
        await self.evaluator.evaluate(connection, list(locked.values()))


class Ageing(Timer):
    """Judges patients of whom time alone has changed something: a birthday, a fact gone stale."""

    name = "ageing"

    async def wave(self) -> int:
        async with self.store.write() as connection:
            if not await self.mine(connection):
                return 0
            due = await list_due_patients(connection, self.evaluator.clock.now(), WAVE)
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
        if not await self.leads():
            self._trial, self._left = None, []
            return 0
        if self._trial is None and not await self._begin():
            return 0
        wave, left = self._left[:WAVE], self._left[WAVE:]
        async with self.store.write() as connection:
            await self.judge(connection, wave)
            if self._trial and not left:
                await record_drained(connection, *self._trial)
        self._left = left  # only now: a wave that an outage undid is done again
        if not left:
            self._trial = None
        return max(1, len(wave))

    async def _begin(self) -> bool:
        """Whom the oldest change concerns: first who might match now, and who did; then all others, since what the
        trial asks of time may change something of them one day, and only who is judged knows that day.
        """
        async with self.store.read() as connection:
            waiting = await list_undrained(connection)
        if not waiting:
            return False
        (tenant, trial_id), version = waiting[0]
        await self._people.catch_up()
        async with self.store.write() as connection:
            await self.evaluator.catalogue.catch_up(connection)
            concerned = set(await list_patients(connection, tenant, trial_id))
        state, others = self.evaluator.catalogue.get(tenant, trial_id), set[PatientKey]()
        if state is not None:
            concerned |= self._people.candidates(tenant, state.eligibility, state.programs)
            others = self._people.everybody(tenant, state.programs) - concerned
        self._left, self._trial = [*sorted(concerned), *sorted(others)], ((tenant, trial_id), version)
        return True


class Inviter(Timer):
    """Asks the notifier for invitations whose trial is released, as the caps allow."""

    name = "inviter"

    async def wave(self) -> int:
        async with self.store.write() as connection:
            if not await self.mine(connection):
                return 0
            now = self.evaluator.clock.now()
            await self.evaluator.catalogue.catch_up(connection)
            keys = await list_due(connection, now, WAVE)
            locked = await lock_patients(connection, keys, self.master)
            known = await load_known(connection, locked.values())
            invited = await load_invitations(connection, keys)
            for key in keys:
                await self._patient(connection, locked[key], known[key], list(invited[key].values()), now)
        return len(keys)

    async def _patient(
        self, connection: AsyncConnection, patient: Locked, known: Known, invited: list[Invitation], now: datetime
    ) -> None:
        """The first that may go; all others wait until the caps let them."""
        last = max((each.requested_at for each in invited if each.requested_at), default=None)
        for each in sorted(invited, key=lambda each: (each.due_at, each.trial_id)):
            if each.state is not State.WAITING or each.due_at > now:
                continue
            trial = await find_trial(connection, patient.tenant, each.trial_id)
            if trial is None or trial.released_at is None or trial.published is None:
                continue
            moved = await self._one(connection, patient, known, each, trial.published, last, now)
            await record_invitations(connection, [moved])
            last = moved.requested_at or last

    async def _one(
        self, connection: AsyncConnection, patient: Locked, known: Known, each: Invitation, trial: TrialState,
        last: datetime | None, now: datetime,
    ) -> Invitation:  # fmt: skip
        offer = self.evaluator.offers[each.program]
        today = midnight(now, offer.program)
        sent_today = await count_since(connection, patient.tenant, each.trial_id, today)
        if later := due_after(last, sent_today, now, offer.program):
            return replace(each, due_at=later)
        seen = see(known, offer, now).picture
        language = seen.value("language")
        languages = [*([language] if isinstance(language, str) else []), "en"]
        approval = choose_approval(trial.approvals, languages, seen.as_of)
        if approval is None or patient.incomplete:
            return replace(each, due_at=now + NO_WORDS)
        asked = replace(
            each, state=State.REQUESTED, version=each.version + 1, requested_at=now, approval_id=approval.approval_id,
            text_version=approval.text_version, language=approval.language,
        )  # fmt: skip
        request = MessageRequest(
            request_id=each.request_id, patient_id=patient.patient_id, version=asked.version,
            kind=Kind.TRIAL_INVITATION, program=each.program, trial_id=each.trial_id,
            approval_id=approval.approval_id, text_version=approval.text_version, language=approval.language,
            expires_at=expires_at(now, offer.program),
        )  # fmt: skip
        await put(connection, outbox, [self.evaluator.publisher.request(patient.tenant, request, now)])
        return asked
