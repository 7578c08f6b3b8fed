"""Judges one patient against the catalogue on one day. Pure: what is known in, pairs and the next moment out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from schemas.patient import PatientStatus
from schemas.trials import RecruitmentStatus, TrialState
from services.trials.domain import Known, Offer, Offers
from services.trials.facts.moments import CutPoints, Windows, next_change
from services.trials.facts.picture import Picture, picture
from services.trials.facts.reading import read_facts
from services.trials.facts.values import RecordedFact, Traits
from services.trials.index.trials import TrialIndex
from services.trials.matching.gates import Gate, Person, blocking, gates
from services.trials.matching.verdict import TrialVerdict, Verdict
from services.trials.visits import visits

HOME = ("home-latitude", "home-longitude")
TRAVEL = "travel-limit"
"""Facts by which a vocabulary says where a patient lives and how many kilometres they would travel."""

PERSONAL = (Gate.CONSENT, Gate.ALIVE, Gate.RESTRICTED, Gate.MINOR, Gate.PROGRAM)
"""Gates that don't depend on the trial."""

_BETTER = {Verdict.ELIGIBLE: 0, Verdict.POSSIBLE: 1}
_ALIVE = (PatientStatus.ACTIVE, PatientStatus.RESTRICTED)


@dataclass(frozen=True, slots=True)
class Shelf:
    """The open trials for one program's patients, and the numbers and spans that their criteria ask for."""

    index: TrialIndex[str]
    trials: Mapping[str, TrialState]
    cuts: CutPoints
    windows: Windows


@dataclass(frozen=True, slots=True)
class Found:
    """One pair that stands."""

    program: str
    verdict: TrialVerdict
    picture: Picture = field(repr=False)


@dataclass(frozen=True, slots=True)
class Judged:
    """By trial id. ``as_of``: the day of judgement in each program's zone; ``closed``: gates that let the
    patient through to no trial; ``next_change``: when time alone changes something."""

    found: Mapping[str, Found]
    as_of: Mapping[str, date]
    closed: Mapping[str, tuple[Gate, ...]]
    next_change: datetime | None


def judge(known: Known, offers: Offers, shelves: Mapping[str, Shelf], now: datetime) -> Judged:
    """All trials of all programs in which the patient is enrolled; of two programs the one that judges better."""
    found: dict[str, Found] = {}
    as_of: dict[str, date] = {}
    closed: dict[str, tuple[Gate, ...]] = {}
    moments: list[datetime] = []
    for code in known.programs():
        offer = offers.get(code)
        if offer is None or code not in shelves:
            continue
        seen = see(known, offer, now)
        as_of[code] = seen.picture.as_of
        closed[code] = personal(known, offer, seen.picture)
        if set(closed[code]) <= {Gate.MINOR}:
            moments += _moments(seen, offer, shelves[code])
        if not closed[code]:
            for trial_id, each in _pairs(known, offer, seen.picture, shelves[code]).items():
                if trial_id not in found or _BETTER[each.verdict.verdict] < _BETTER[found[trial_id].verdict.verdict]:
                    found[trial_id] = each
    return Judged(found, as_of, closed, min(moments, default=None))


@dataclass(frozen=True, slots=True)
class Seen:
    """What one program sees of a patient."""

    picture: Picture = field(repr=False)
    recorded: tuple[RecordedFact, ...] = field(repr=False)
    traits: Traits


def see(known: Known, offer: Offer, now: datetime) -> Seen:
    """The picture under the program's vocabulary on its own day, its own appointments included; facts that it
    doesn't know are left out.
    """
    zone = offer.program.zone
    today = now.astimezone(ZoneInfo(zone)).date()
    posted, _ = read_facts(known.recorded, offer.vocabulary, zone, today)
    recorded = (*posted, *visits(known.appointments, offer, today))
    patient = known.patient
    traits = Traits(
        patient.birth_date.reveal() if patient.birth_date else None,
        patient.sex.reveal() if patient.sex else None,
        patient.status is PatientStatus.DECEASED,
    )
    return Seen(picture(recorded, traits, offer.vocabulary, today), recorded, traits)


def person(known: Known, offer: Offer, seen: Picture) -> Person:
    """What the gates ask."""
    status, age = known.patient.status, seen.value("age")
    home = [value for value in map(seen.value, HOME) if isinstance(value, int | float)]
    travel = seen.value(TRAVEL)
    return Person(
        trial_contact=known.permits(offer.program.public_code),
        deceased=status not in _ALIVE,
        restricted=status is PatientStatus.RESTRICTED,
        age=age if isinstance(age, int) else None,
        program_offers_trials=offer.program.offers_trials,
        home=(home[0], home[1]) if len(home) == len(HOME) else None,
        travel_km=travel if isinstance(travel, int | float) else None,
    )


def personal(known: Known, offer: Offer, seen: Picture) -> tuple[Gate, ...]:
    """The closed gates that don't depend on a trial."""
    passages = gates(person(known, offer, seen), RecruitmentStatus.RECRUITING, (), majority=offer.program.adult_age)
    return tuple(each for each in blocking(passages) if each in PERSONAL)


def _pairs(known: Known, offer: Offer, seen: Picture, shelf: Shelf) -> dict[str, Found]:
    asked = person(known, offer, seen)
    kept = {}
    for trial_id, verdict in shelf.index.match(seen).items():
        state = shelf.trials[trial_id]
        if not blocking(gates(asked, state.status, state.sites, majority=offer.program.adult_age)):
            kept[trial_id] = Found(offer.program.public_code, verdict, seen)
    return kept


def _moments(seen: Seen, offer: Offer, shelf: Shelf) -> list[datetime]:
    """The next midnight of the program at which time alone changes something, if there is one."""
    ages = sorted({*shelf.cuts.get("age", ()), offer.program.adult_age})
    cuts = {**shelf.cuts, "age": ages}
    day = next_change(seen.recorded, seen.traits, offer.vocabulary, cuts, seen.picture.as_of, shelf.windows)
    return [datetime.combine(day, time.min, ZoneInfo(offer.program.zone)).astimezone(UTC)] if day else []
