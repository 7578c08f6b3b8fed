"""What the story's coordinators do with trials, and when. Trials and coordinators are invented, like the people.

Whoever publishes a trial can't let its invitations go: a second person does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from schemas.trial_files import TrialFile, load_trial_files
from standalone.demo.story import CEDARS, civil

PUBLISHES, RELEASES = "Nora", "Omar"
LOW_PRESSURE_TRIAL, FISTULA_TRIAL = "TEST-ICHD-1", "TEST-CVF-1"
ANCHORS: Mapping[str, frozenset[str]] = {
    LOW_PRESSURE_TRIAL: frozenset({"i1", "i2", "e1"}),
    FISTULA_TRIAL: frozenset({"e1"}),
}
"""Criteria that must be known to be met before anybody is invited; of the second trial, that nobody is pregnant."""

APPROVAL = {
    "approval_id": "DEMO-1", "text_version": "1", "language": "en", "status": "active", "valid_until": "2027-12-31",
    "text": "DEMO TEXT – not approved by any review board", "contact": "Demo Study Team, (408) 555-0150",
}  # fmt: skip


SUBSCRIPTION = {"name": "All matches", "channel": "sse", "programs": [CEDARS]}
"""What a coordinator wants to hear, as it is posted: over server-sent events, from possible matches on."""


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that a coordinator does over HTTP; ``trial``: with which, if it is with one."""

    at: datetime
    person: str
    verb: Literal["subscribe", "publish", "release"]
    said: str
    trial: str = ""


ACTS: tuple[Act, ...] = (
    Act(civil("2027-02-26 12:00"), PUBLISHES, "subscribe", "subscribes to matches"),
    Act(civil("2027-02-26 13:00"), PUBLISHES, "publish", "publishes TEST-ICHD-1", LOW_PRESSURE_TRIAL),
    Act(civil("2027-03-04 10:00"), PUBLISHES, "publish", "publishes TEST-CVF-1", FISTULA_TRIAL),
    Act(civil("2027-03-04 14:00"), RELEASES, "release", "releases the invitations to TEST-CVF-1", FISTULA_TRIAL),
)


def draft(registry_id: str) -> dict[str, Any]:
    """The shipped example with the story's anchors and words, as it is put over HTTP."""
    found: TrialFile = load_trial_files()[registry_id]
    criteria = [each.model_copy(update={"anchor": each.id in ANCHORS[registry_id]}) for each in found.criteria]
    eligibility = found.eligibility().model_copy(update={"criteria": tuple(criteria)})
    return {
        "title": found.title,
        "status": found.status,
        "eligibility": eligibility.model_dump(mode="json"),
        "programs": [CEDARS],
        "approvals": [APPROVAL],
    }
