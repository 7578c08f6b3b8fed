"""What coordinators see of trials and matches, as JSON. Nothing in it names a patient."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from schemas.criteria import Eligibility, Status
from schemas.vocabulary import Vocabulary
from services.trials.catalogue import is_open
from services.trials.criteria.lint import Problem
from services.trials.criteria.structured import structured
from services.trials.criteria.text import sentence
from services.trials.desk import unpublished
from services.trials.registry.report import Line, totals
from services.trials.store.catalogue import StoredTrial
from services.trials.store.desk import MatchRow

TELLABLE = frozenset({"not_eligible", "trial_closed", "trials_not_offered"})
"""Reasons of a withdrawn match that say nothing about the person but what the match said before."""


def report(lines: Sequence[Line]) -> dict[str, Any]:
    """What became of each record of an import."""
    counted = totals(lines)
    return {
        "lines": [
            {"registry_id": each.registry_id, "outcome": each.outcome, "reason": each.reason,
             "warnings": list(each.warnings)}
            for each in lines
        ],
        "totals": {outcome.value: count for outcome, count in counted.items()},
    }  # fmt: skip


def trial(each: StoredTrial) -> dict[str, Any]:
    """One line of the list. ``unparsed``: criteria that a coordinator must check, because nobody knows the answer."""
    criteria = list(each.draft.eligibility.every())
    return {
        "registry_id": each.draft.registry_id,
        "title": each.draft.title,
        "status": each.draft.status,
        "open": is_open(each.draft),
        "criteria": len(criteria),
        "unparsed": sum(one.status is Status.UNPARSED for one in criteria),
        "programs": list(each.draft.programs),
        "imported_at": each.imported_at.isoformat(),
        "published_version": each.published.version if each.published else None,
        "criteria_version": each.published.criteria_version if each.published else None,
        "unpublished_changes": unpublished(each),
        "released": each.released_at is not None,
    }


def draft_tag(each: StoredTrial) -> str:
    """Another for every draft."""
    return hashlib.sha256(each.draft.model_dump_json().encode()).hexdigest()[:32]


def trial_whole(each: StoredTrial, problems: Iterable[Problem], vocabulary: Vocabulary) -> dict[str, Any]:
    """Draft, what is published, what the registry says, and what is wrong with the draft."""
    record = each.record
    return trial(each) | {
        "draft": each.draft.model_dump(mode="json"),
        "draft_tag": draft_tag(each),
        "published": each.published.model_dump(mode="json") if each.published else None,
        "sentences": sentences(each.draft.eligibility, vocabulary),
        "record": {
            "conditions": list(record.conditions), "eligibility_text": record.eligibility_text,
            "last_update": record.last_update.isoformat() if record.last_update else None,
            "warnings": list(record.warnings),
        },
        "problems": [problem(one) for one in problems],
    }  # fmt: skip


def sentences(eligibility: Eligibility, vocabulary: Vocabulary) -> dict[str, str]:
    """By criterion in the trial's order, age and sex first; a cohort's own as ``cohort.criterion``, because two may
    have criteria of one name.
    """
    named = {each.id: each for each in (*structured(eligibility), *eligibility.criteria)}
    named |= {f"{cohort.id}.{each.id}": each for cohort in eligibility.cohorts for each in cohort.criteria}
    return {name: sentence(each, vocabulary) for name, each in named.items()}


def problem(each: Problem) -> dict[str, Any]:
    """One problem of a draft; only an error keeps it from being published."""
    return {
        "trial": each.trial, "criterion": each.criterion, "field": each.field, "reason": each.reason,
        "error": each.error,
    }  # fmt: skip


def match(row: MatchRow) -> dict[str, Any]:
    """One match. Its id stands for the patient in this trial alone: in another the same person has another."""
    stored = row.stored
    return {
        "match_id": stored.match_id,
        "program": stored.program,
        "verdict": stored.pair.verdict,
        "unknown": list(stored.pair.unknown),
        "as_of": stored.pair.stamp.as_of.isoformat(),
        "criteria_version": "{}.{}".format(*stored.pair.stamp.criteria),
        "found_at": stored.found_at.isoformat(),
        "changed_at": row.changed_at.isoformat(),
        "workflow": stored.workflow,
        "withdrawn": withdrawal(stored.withdrawn),
    }


def withdrawal(reason: str | None) -> str | None:
    """Why a match doesn't stand any more, as far as it may be told; a death or a consent taken back is silence."""
    return None if reason is None else reason if reason in TELLABLE else "withdrawn"


_STATUS: Mapping[str, str] = {
    "found": "potential-candidate", "invited": "potential-candidate", "interested": "candidate",
    "declined": "not-registered", "screening": "screening", "enrolled": "on-study", "closed": "not-registered",
}  # fmt: skip
"""FHIR R4, research-subject-status. ``closed`` ends the work on a match, which says of nobody that they took part."""


def research_subjects(registry_id: str, rows: Iterable[MatchRow], url: str) -> dict[str, Any]:
    """A searchset of FHIR R4 ``ResearchSubject``. The individual is a pseudonym: there is no Patient to refer to."""
    entries = [_research_subject(registry_id, each) for each in rows]
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(entries),
        "link": [{"relation": "self", "url": url}],
        "entry": entries,
    }


def _research_subject(registry_id: str, row: MatchRow) -> dict[str, Any]:
    match_id = row.stored.match_id
    resource = {
        "resourceType": "ResearchSubject",
        "id": match_id,
        "meta": {"lastUpdated": row.changed_at.isoformat()},
        "status": _STATUS[row.stored.workflow],
        "study": {
            "type": "ResearchStudy",
            "identifier": {"system": "https://clinicaltrials.gov", "value": registry_id},
        },
        "individual": {"type": "Patient", "identifier": {"system": "urn:upright:match", "value": match_id}},
    }
    return {"fullUrl": f"urn:uuid:{match_id}", "resource": resource, "search": {"mode": "match"}}
