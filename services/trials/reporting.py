"""What a subscription's coordinator may see of a match, and what they are told when that changes. Pure."""

import hashlib
import hmac
from collections.abc import Iterable
from enum import StrEnum

from schemas.criteria import Criterion, Eligibility, Kind
from schemas.trials import (
    CriterionOutcome,
    MatchReport,
    MatchState,
    MatchVerdict,
    RecruitmentStatus,
    ReportedCriterion,
    TrialState,
)
from schemas.vocabulary import Vocabulary
from services.trials.criteria.structured import structured
from services.trials.criteria.text import sentence
from services.trials.subscription import Filter

PSEUDONYM_DIGITS = 32
REPORT_BYTES = 48_000
"""Of all sentences of a report: an event stays below 64 KiB with its envelope and ids."""

MOST_CHARACTERS = 1000
MOST_CRITERIA = 300
"""Of more than these, a report names only those that aren't known."""

BESIDES = 120
"""Bytes of a criterion's id, outcome and punctuation."""

OF_THE_TRIAL = frozenset({"not_eligible", "trial_closed"})
"""The reasons that are told. All others are about the person, and no reason at all is told for any of them: if only
deaths and withdrawn consents came without one, that would say it.
"""

NO_LONGER = "outside_filter"
"""Why a match that still stands is withdrawn from one subscription."""

_RANK = {MatchVerdict.POSSIBLE: 1, MatchVerdict.ELIGIBLE: 2}


class Told(StrEnum):
    """What becomes of a match in a coordinator's eyes."""

    FOUND = "found"
    CHANGED = "changed"
    WITHDRAWN = "withdrawn"


def pseudonym(key: str, patient_id: str) -> str:
    """HMAC-SHA256 under a subscription's own key (hex): two subscriptions can't be joined."""
    digest = hmac.new(bytes.fromhex(key), patient_id.encode(), hashlib.sha256)
    return digest.hexdigest()[:PSEUDONYM_DIGITS]


def visible(wanted: Filter, trial: TrialState, match: MatchState) -> MatchVerdict | None:
    """The verdict if the filter lets this match through."""
    if match.withdrawn is not None or _RANK.get(match.verdict, 0) < _RANK[wanted.least]:
        return None
    if wanted.programs is not None and match.program not in wanted.programs:
        return None
    return match.verdict if names(wanted, trial) and recruits_at(wanted, trial) else None


def names(wanted: Filter, trial: TrialState) -> bool:
    """Whether the filter is for this trial; that never changes."""
    return not wanted.registry_ids or trial.registry_id in wanted.registry_ids


def recruits_at(wanted: Filter, trial: TrialState) -> bool:
    """Whether the trial recruits in one of the places asked for."""
    asked = {each.casefold() for each in wanted.sites}
    places = {
        place.casefold()
        for site in trial.sites
        if site.status in (None, RecruitmentStatus.RECRUITING)
        for place in (site.city, site.state)
        if place is not None
    }
    return not asked or bool(asked & places)


def transition(before: str | None, now: MatchVerdict | None) -> Told | None:
    """Between what the coordinator takes for true and what they may see of a newer version; None: nothing to tell."""
    if now is None:
        return Told.WITHDRAWN if before else None
    return Told.CHANGED if before else Told.FOUND


def reason(match: MatchState) -> str | None:
    """Why it is withdrawn, where that may be told."""
    if match.withdrawn is None:
        return NO_LONGER
    return match.withdrawn if match.withdrawn in OF_THE_TRIAL else None


def report(
    match: MatchState, trial: TrialState, what: Told, vocabulary: Vocabulary, *, report_id: str, subscription_id: str,
    alias: str,
) -> MatchReport:  # fmt: skip
    """What is told of one match; its number is given later. Of a withdrawn one no more than that."""
    gone = what is Told.WITHDRAWN
    return MatchReport(
        report_id=report_id, subscription_id=subscription_id, sequence=1, registry_id=trial.registry_id,
        pseudonym=alias, verdict=None if gone else match.verdict, withdrawn=reason(match) if gone else None,
        criteria_version=match.criteria_version, criteria=() if gone else criteria(match, trial, vocabulary),
        at=match.at,
    )  # fmt: skip


def criteria(match: MatchState, trial: TrialState, vocabulary: Vocabulary) -> tuple[ReportedCriterion, ...]:
    """Each criterion that this match is known to meet or that isn't known; none where they mean something else by now.

    A match doesn't say by which cohort it stands: where several could be meant, only what all share is told as met.
    """
    if match.criteria_version.partition(".")[0] != trial.criteria_version.partition(".")[0]:
        return ()
    asked = _asked(trial.eligibility, frozenset(match.unknown))
    if len(asked) > MOST_CRITERIA:
        asked = [each for each in asked if each.id in match.unknown][:MOST_CRITERIA]
    most = max(0, REPORT_BYTES // max(1, len(asked)) - BESIDES)
    return tuple(
        ReportedCriterion(
            criterion_id=each.id, text=shortened(_words(each, vocabulary), most),
            outcome=CriterionOutcome.NOT_KNOWN if each.id in match.unknown else CriterionOutcome.MET,
        )
        for each in asked
    )  # fmt: skip


def _words(criterion: Criterion, vocabulary: Vocabulary) -> str:
    """An exclusion's sentence says what excludes, and is met by who isn't like that: so it is marked as one."""
    said = criterion.text or sentence(criterion, vocabulary)
    return f"Exclusion: {said}" if criterion.text and criterion.kind is Kind.EXCLUSION else said


def _asked(eligibility: Eligibility, unknown: frozenset[str]) -> list[Criterion]:
    shared = [*structured(eligibility), *eligibility.criteria]
    own = unknown - {each.id for each in shared}
    meant = [each for each in eligibility.cohorts if own <= {one.id for one in each.criteria}]
    if len(meant) == 1:
        return [*shared, *meant[0].criteria]
    return [*shared, *_first([one for each in meant for one in each.criteria if one.id in own])]


def _first(criteria: Iterable[Criterion]) -> Iterable[Criterion]:
    """One of each id: two cohorts may ask the same."""
    return {each.id: each for each in reversed(list(criteria))}.values()


def shortened(text: str, most: int) -> str:
    """At most 1,000 characters and ``most`` bytes of UTF-8, with a mark where something is missing."""
    if len(text) <= MOST_CHARACTERS and len(text.encode()) <= most:
        return text
    kept = text[: MOST_CHARACTERS - 1].encode()[: max(0, most - 3)].decode(errors="ignore")
    return f"{kept}…"
