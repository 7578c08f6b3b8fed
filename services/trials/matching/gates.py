"""Gates: what must hold, whatever the criteria say, before a pair is kept or a patient invited.

A gate never turns a verdict; it stands beside it with its reason.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import asin, cos, radians, sin, sqrt

from schemas.trials import RecruitmentStatus, TrialSite

EARTH_KM = 6371.0
MAJORITY = 18
"""Years. A program where people come of age later says so."""

_CLOSED = {
    RecruitmentStatus.NOT_YET_RECRUITING: "not yet recruiting: watched",
    RecruitmentStatus.ENROLLING_BY_INVITATION: "enrolling by invitation: nobody is written to",
}


class Gate(StrEnum):
    """In the order in which they are told."""

    CONSENT = "consent"
    ALIVE = "alive"
    RESTRICTED = "restricted"
    MINOR = "minor"
    PROGRAM = "program"
    STUDY = "study"
    SITE = "site"
    TRAVEL = "travel"


@dataclass(frozen=True, slots=True)
class Person:
    """What gates ask of a patient and of the program of their care. ``home``: degrees north and east, WGS 84."""

    trial_contact: bool = False
    deceased: bool = False
    restricted: bool = False
    age: int | None = None
    guardian: bool = False
    program_offers_trials: bool = False
    home: tuple[float, float] | None = None
    travel_km: float | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """Whether one gate is open. ``note``: why not, or on what it rests."""

    gate: Gate
    open: bool
    note: str | None = None


def gates(
    person: Person, status: RecruitmentStatus, sites: Sequence[TrialSite], *, majority: int = MAJORITY
) -> tuple[Passage, ...]:
    """Every gate, open or not. A patient whose age nobody knows counts as a minor; unknown travel blocks nobody."""
    return (
        _passage(Gate.CONSENT, person.trial_contact, "no consent to be contacted about trials"),
        _passage(Gate.ALIVE, not person.deceased, "deceased"),
        _passage(Gate.RESTRICTED, not person.restricted, "the record is restricted"),
        _minor(person, majority),
        _passage(Gate.PROGRAM, person.program_offers_trials, "the program offers no trials"),
        _passage(
            Gate.STUDY, status is RecruitmentStatus.RECRUITING, _CLOSED.get(status, f"the study's status: {status}")
        ),
        _site(status, sites),
        _travel(person, status, sites),
    )


def blocking(passages: Sequence[Passage]) -> tuple[Gate, ...]:
    """The gates that are closed; none when the pair may be kept."""
    return tuple(each.gate for each in passages if not each.open)


def _passage(gate: Gate, is_open: bool, otherwise: str) -> Passage:
    return Passage(gate, is_open, None if is_open else otherwise)


def _minor(person: Person, majority: int) -> Passage:
    if person.age is None:
        return _passage(Gate.MINOR, person.guardian, "the age is not known, and there is no guardian")
    return _passage(Gate.MINOR, person.age >= majority or person.guardian, "a minor without a guardian")


def _recruiting(status: RecruitmentStatus, sites: Sequence[TrialSite]) -> list[TrialSite]:
    """A site without a status of its own recruits when the study does."""
    return [each for each in sites if (each.status or status) is RecruitmentStatus.RECRUITING]


def _site(status: RecruitmentStatus, sites: Sequence[TrialSite]) -> Passage:
    if any(each.status is RecruitmentStatus.RECRUITING for each in sites):
        return Passage(Gate.SITE, open=True)
    silent = not sites or any(each.status is None for each in sites)
    if silent and status is RecruitmentStatus.RECRUITING:
        return Passage(Gate.SITE, open=True, note="no site says whether it recruits; the study's status counts")
    return Passage(Gate.SITE, open=False, note="no site recruits")


def _travel(person: Person, status: RecruitmentStatus, sites: Sequence[TrialSite]) -> Passage:
    if person.home is None or person.travel_km is None:
        return Passage(Gate.TRAVEL, open=True, note="how far the patient would travel is not known")
    recruiting = _recruiting(status, sites)
    distances = list(_distances(person.home, recruiting))
    if any(each <= person.travel_km for each in distances):
        return Passage(Gate.TRAVEL, open=True)
    if len(distances) < len(recruiting) or not recruiting:
        return Passage(Gate.TRAVEL, open=True, note="where a site is, is not known")
    return Passage(Gate.TRAVEL, open=False, note="no recruiting site is within travel")


def _distances(home: tuple[float, float], sites: Sequence[TrialSite]) -> Iterator[float]:
    for each in sites:
        if each.latitude is not None and each.longitude is not None:
            yield kilometres(home, (each.latitude, each.longitude))


def kilometres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """The great-circle distance (haversine) of two places in degrees north and east."""
    north, east, to_north, to_east = map(radians, (*one, *other))
    half = sin((to_north - north) / 2) ** 2 + cos(north) * cos(to_north) * sin((to_east - east) / 2) ** 2
    return 2 * EARTH_KM * asin(min(1.0, sqrt(half)))
