"""Why a patient matched a trial, or didn't, on a day: judged again from the store, in words.

What the store keeps is replayed exactly: facts as they were known to be observed by that day, stale or not by that day,
ages and spans on that day. It keeps the newest state alone of each record, consent and enrolment, and the published
criteria alone: of what these replaced nothing can be said, and ``limits`` says so.
"""

from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from services.trials.app import Trials
from services.trials.explaining import explained
from services.trials.judging import person, see
from services.trials.matching.gates import gates
from services.trials.matching.verdict import TrialVerdict, verdict
from services.trials.store.catalogue import StoredTrial, find_trial
from services.trials.store.matches import StoredPair, load_pairs
from services.trials.store.patients import read_patients
from services.trials.store.subjects import load_known
from standalone.commands.errors import NO, Failure


@dataclass(frozen=True, slots=True)
class Replay:
    """``stored``: the pair as it stands; ``limits``: what isn't as it was on that day."""

    program: str
    as_of: date
    verdict: TrialVerdict
    criteria: list[dict[str, Any]]
    closed: list[str]
    stored: StoredPair | None
    limits: list[str]


async def replay(service: Trials, tenant: str, patient_id: str, trial: str, as_of: date | None) -> list[Replay]:
    """In every program of the patient that offers trials. ``as_of`` None: today in the program's zone."""
    resources = service.resources
    async with service.store.read() as connection:
        found = await find_trial(connection, tenant, trial)
        key = (tenant, patient_id)
        locked = await read_patients(connection, [key], resources.master)
        known = (await load_known(connection, locked.values())).get(key)
        pairs = (await load_pairs(connection, [key])).get(key, {})
    if found is None or known is None:
        raise Failure(f"There is no such {'trial' if found is None else 'patient'} in this store.", NO)
    state = found.published or found.draft
    replays = []
    for code in known.programs():
        offer = resources.offers.get(code)
        if offer is None or not offer.program.offers_trials:
            continue
        now = resources.clock.now()
        moment = datetime.combine(as_of, time(12), ZoneInfo(offer.program.zone)) if as_of else now
        picture = see(known, offer, moment).picture
        passages = gates(person(known, offer, picture), state.status, state.sites, majority=offer.program.adult_age)
        replays.append(
            Replay(
                code, picture.as_of, verdict(state.eligibility, picture),
                explained(state.eligibility, picture, offer.vocabulary),
                [each.note or each.gate for each in passages if not each.open], pairs.get(found.trial_id),
                _limits(found, picture.as_of, now.astimezone(ZoneInfo(offer.program.zone)).date()),
            )
        )  # fmt: skip
    if not replays:
        raise Failure("The patient is in no program that offers trials, as far as is known now.", NO)
    return replays


def _limits(trial: StoredTrial, as_of: date, today: date) -> list[str]:
    if trial.published is None:
        return ["The trial was never published: these are the draft's criteria."]
    published = trial.published_at.date() if trial.published_at else today
    if as_of >= max(today, published):
        return []
    said = [
        "Records, consents and enrolments are as they stand now: what a correction replaced isn't kept.",
        f"The criteria are those of version {trial.published.criteria_version}; earlier ones aren't kept.",
    ]
    if as_of < published:
        said.append(f"That version was published on {published}, after the day you ask for.")
    return said
