"""Why a patient matched a trial, or didn't, on a day: judged again from what the store keeps of that time, in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.trials import TrialState
from services.trials.app import Trials
from services.trials.domain import Known, Offer
from services.trials.explaining import explained
from services.trials.judging import person, see
from services.trials.matching.gates import gates
from services.trials.matching.verdict import TrialVerdict, verdict
from services.trials.store.catalogue import StoredTrial, find_trial
from services.trials.store.matches import StoredPair, load_pairs
from services.trials.store.past import load_past_subjects, load_past_trial
from services.trials.store.patients import Locked, read_patients
from services.trials.store.subjects import known_of
from standalone.commands.errors import NO, Failure


@dataclass(frozen=True, slots=True)
class Asked:
    """Which verdict. ``as_of`` None: today in the program's zone.

    Without versions, what was known and published by the end of that day; with them, what a match's stamp says.
    """

    tenant: str
    patient_id: str
    trial: str
    as_of: date | None = None
    facts_version: int | None = None
    criteria_version: str | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """``stored``: the pair as it stands now; ``note``: why these criteria, where none counted then."""

    program: str
    as_of: date
    verdict: TrialVerdict
    criteria_version: str
    criteria: list[dict[str, Any]]
    closed: list[str]
    stored: StoredPair | None
    note: str | None


async def replay(service: Trials, asked: Asked) -> list[Replay]:
    """In every program that the patient was in. Raises ``Failure`` for what the store doesn't know."""
    async with service.store.read() as connection:
        trial = await find_trial(connection, asked.tenant, asked.trial)
        key = (asked.tenant, asked.patient_id)
        patient = (await read_patients(connection, [key], service.resources.master)).get(key)
        if trial is None or patient is None:
            raise Failure(f"There is no such {'trial' if trial is None else 'patient'} in this store.", NO)
        if asked.facts_version is not None and not 0 < asked.facts_version <= patient.facts_version:
            raise Failure(f"Versions of what is known of the patient go from 1 to {patient.facts_version}.", NO)
        stored = (await load_pairs(connection, [key])).get(key, {}).get(trial.trial_id)
        found = [
            await _replay(connection, service, asked, code, trial, patient, stored)
            for code, _ in _offers(service, asked.tenant)
        ]
    if not any(found):
        raise Failure("The patient was in no program that offers trials, as far as was known then.", NO)
    return [each for each in found if each]


def _offers(service: Trials, tenant: str) -> Iterator[tuple[str, Offer]]:
    for code, each in service.resources.offers.items():
        if each.program.offers_trials and each.program.tenant == tenant:
            yield code, each


async def _replay(
    connection: AsyncConnection, service: Trials, asked: Asked, code: str, trial: StoredTrial, patient: Locked,
    stored: StoredPair | None,
) -> Replay | None:  # fmt: skip
    offer, now = service.resources.offers[code], service.resources.clock.now()
    zone = ZoneInfo(offer.program.zone)
    day = asked.as_of or now.astimezone(zone).date()
    end = datetime.combine(day + timedelta(days=1), time.min, zone)
    by = None if asked.facts_version is not None else end
    known = known_of(await load_past_subjects(connection, patient, facts_version=asked.facts_version, by=by))
    if code not in known.programs():
        return None
    state, note = await _counted(connection, asked, trial, end)
    return _judged(known, offer, state, datetime.combine(day, time(12), zone), stored, note)


async def _counted(
    connection: AsyncConnection, asked: Asked, trial: StoredTrial, end: datetime
) -> tuple[TrialState, str | None]:
    """The trial as it counted by ``end``; else as it counts now, or its draft, with a word about that."""
    version = asked.criteria_version
    by = None if version else end
    state = await load_past_trial(connection, asked.tenant, trial.trial_id, criteria_version=version, by=by)
    if state is not None:
        return state, None
    if version:
        raise Failure(f"The trial has never had criteria of version {version}.", NO)
    if trial.published is None:
        return trial.draft, "The trial was never published: these are the draft's criteria."
    return (
        trial.published,
        f"The trial wasn't published by then: these are criteria {trial.published.criteria_version}.",
    )


def _judged(
    known: Known, offer: Offer, state: TrialState, moment: datetime, stored: StoredPair | None, note: str | None
) -> Replay:
    picture = see(known, offer, moment).picture
    passages = gates(person(known, offer, picture), state.status, state.sites, majority=offer.program.adult_age)
    return Replay(
        offer.program.public_code, picture.as_of, verdict(state.eligibility, picture), state.criteria_version,
        explained(state.eligibility, picture, offer.vocabulary),
        [each.note or each.gate for each in passages if not each.open], stored, note,
    )  # fmt: skip
