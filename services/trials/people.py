"""Patients in memory, for the way from a trial to its patients: only who may be matched at all.

Every instance holds all of them, and catches up with the store before each use; it never answers for the store, which
whoever judges asks again under the patients' locks.
"""

import asyncio
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from itertools import islice
from typing import TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import select

from chassis.clock import CivilClock
from chassis.sealing import Keyring
from chassis.store import Store, database_now
from schemas.criteria import Eligibility
from services.trials.domain import Known, Offers
from services.trials.facts.picture import Picture
from services.trials.index import PatientIndex
from services.trials.judging import personal, see
from services.trials.store.patients import PatientKey, list_changed, read_patients
from services.trials.store.subjects import load_known

T = TypeVar("T")

OVERLAP = timedelta(seconds=90)
"""Read again: what was judged just before we last looked may have been committed after."""

WAVE = 500


class People:
    """By program, everybody who may be matched to its trials."""

    def __init__(self, store: Store, offers: Offers, clock: CivilClock, master: Keyring) -> None:
        self._store, self._offers, self._clock, self._master = store, offers, clock, master
        self._since: datetime | None = None
        self._turn = asyncio.Lock()
        self._indexes = {
            code: PatientIndex[str](offer.vocabulary.derivations)
            for code, offer in offers.items()
            if offer.program.offers_trials
        }

    @property
    def loaded(self) -> bool:
        """Whether all were read once."""
        return self._since is not None

    def __len__(self) -> int:
        return sum(len(index) for index in self._indexes.values())

    async def catch_up(self) -> None:
        """Take in who was judged since the last time."""
        async with self._turn, self._store.read() as connection:
            now = (await connection.execute(select(database_now()))).scalar_one()
            waiting = iter(await list_changed(connection, self._since - OVERLAP if self._since else None))
            while wave := list(islice(waiting, WAVE)):
                locked = await read_patients(connection, wave, self._master)
                self._take(await load_known(connection, locked.values()))
            self._since = now

    async def ask(self, question: Callable[["People"], T]) -> T:
        """Catch up, then answer in a thread, because thousands of patients take a while; nothing changes meanwhile."""
        await self.catch_up()
        async with self._turn:
            return await asyncio.to_thread(question, self)

    def _take(self, known: dict[PatientKey, Known]) -> None:
        now = self._clock.now()
        for code, index in self._indexes.items():
            tenant = self._offers[code].program.tenant
            index.change({
                patient_id: self._picture(each, code, now) for (of, patient_id), each in known.items() if of == tenant
            })  # fmt: skip

    def _picture(self, known: Known, code: str, now: datetime) -> Picture | None:
        if code not in known.programs():
            return None
        seen = see(known, self._offers[code], now).picture
        return None if personal(known, self._offers[code], seen) else seen

    def candidates(self, tenant: str, eligibility: Eligibility, programs: Iterable[str]) -> set[PatientKey]:
        """Everybody who could match such a trial, in these programs of the tenant; none means all."""
        return {
            (tenant, patient_id)
            for code in self._of(tenant, programs)
            for patient_id in self._indexes[code].candidates(eligibility, self._today(code))
        }

    def everybody(self, tenant: str, programs: Iterable[str]) -> set[PatientKey]:
        """All who may be matched to trials of these programs of the tenant; none means all."""
        return {(tenant, patient_id) for code in self._of(tenant, programs) for patient_id in self._indexes[code]}

    def _of(self, tenant: str, programs: Iterable[str]) -> list[str]:
        wanted = [code for code in programs or self._indexes if code in self._indexes]
        return [code for code in wanted if self._offers[code].program.tenant == tenant]

    def match(self, program: str, eligibility: Eligibility) -> tuple[list[str], list[str]]:
        """Ids of who is eligible, and of who possibly is; nobody for a program that offers no trials."""
        index = self._indexes.get(program)
        return ([], []) if index is None else index.match(eligibility, self._today(program))

    def _today(self, code: str) -> date:
        return self._clock.now().astimezone(ZoneInfo(self._offers[code].program.zone)).date()
