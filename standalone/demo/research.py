"""What coordinators see of the story's trials over HTTP: numbers for people. Who is who only this page knows."""

from collections.abc import Iterable, Mapping
from typing import Any

from services.trials.desk import trial_id
from services.trials.store.matches import match_id
from standalone.demo.staff import AwayError, Staff
from standalone.demo.story import CAST, CEDARS

Shown = Mapping[str, Any]


async def shown_trials(staff: Staff, person: str) -> tuple[list[Shown], str]:
    """The published trials with their matches (of one person, if one is named), and what went wrong."""
    try:
        listed = (await staff.get(CEDARS, _url(staff)))["trials"]
        published = [each for each in listed if each["published_version"]]
        return [each | {"matches": await _matches(staff, each["registry_id"], person)} for each in published], ""
    except AwayError as away:
        return [], str(away)


async def explained(staff: Staff, trials: Iterable[Shown], chosen: str) -> Shown | None:
    """The chosen match with its reasons as of now; None if it isn't among these. A withdrawn one has none."""
    shown = next((each for trial in trials for each in trial["matches"] if each["match_id"] == chosen), None)
    if shown is None:
        return None
    try:
        return {**shown, **await staff.get(CEDARS, _url(staff, f"/{shown['trial']}/matches/{chosen}"))}
    except AwayError:
        return None


async def reports(staff: Staff) -> list[Shown]:
    """What the coordinator who subscribed was told, oldest first: a pseudonym for each person."""
    try:
        own = (await staff.get(CEDARS, f"{staff.system.trials_url}/v1/subscriptions"))["subscriptions"]
        told = [await staff.get(CEDARS, f"{staff.system.trials_url}{_reports(each)}") for each in own]
    except AwayError:
        return []
    return [each for of in told for each in of["reports"]]


def _reports(subscription: Shown) -> str:
    return f"/v1/subscriptions/{subscription['subscription_id']}/reports?limit=1000"


def _url(staff: Staff, path: str = "") -> str:
    return f"{staff.system.trials_url}/v1/trials{path}"


async def _matches(staff: Staff, trial: str, person: str) -> list[dict[str, Any]]:
    """By name, those that stand and those that were withdrawn."""
    names = _names(staff, trial)
    found: list[dict[str, Any]] = []
    for gone in ("false", "true"):
        found += (await staff.get(CEDARS, _url(staff, f"/{trial}/matches?withdrawn={gone}")))["matches"]
    named = [each | {"trial": trial, "person": names.get(each["match_id"], "?")} for each in found]
    return sorted((each for each in named if person in ("", each["person"])), key=lambda each: str(each["person"]))


def _names(staff: Staff, trial: str) -> dict[str, str]:
    """People by the id of their match."""
    tenant = staff.system.programs[CEDARS].tenant
    name_of_trial = trial_id(tenant, trial)
    return {match_id(tenant, staff.posts.id_of(name, "patient"), name_of_trial): name for name in CAST}
