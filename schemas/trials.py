"""Trials, their approvals and matches: what ``trials`` says on its topics. No patient is named in any of it."""

from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from schemas.base import Contract, Instant, Open
from schemas.criteria import Eligibility
from schemas.ids import Opaque, ProgramCode
from schemas.text import Address, Code, Language, Line, ReasonCode

Paragraph = Annotated[str, StringConstraints(min_length=1, max_length=4000, strip_whitespace=True)]
RegistryId = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9-]{2,30}$")]
"""A registry's number, such as ``NCT07085260``: public, so the only name of a trial in a mail or a URL."""


class RecruitmentStatus(StrEnum):
    """ClinicalTrials.gov's overall and site status. Only ``recruiting`` is open; unknown is closed."""

    NOT_YET_RECRUITING = "not-yet-recruiting"
    RECRUITING = "recruiting"
    ENROLLING_BY_INVITATION = "enrolling-by-invitation"
    ACTIVE_NOT_RECRUITING = "active-not-recruiting"
    SUSPENDED = "suspended"
    TERMINATED = "terminated"
    COMPLETED = "completed"
    WITHDRAWN = "withdrawn"
    UNKNOWN = "unknown"


class TrialSite(Contract):
    """Where a trial is run. Without a ``status`` of its own the study's counts. Degrees, WGS 84."""

    facility: Line | None = None
    city: Line | None = None
    state: Line | None = None
    country: Line | None = None
    status: Open[RecruitmentStatus] | None = None
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None


class ApprovalStatus(StrEnum):
    """Whether a review board's approval stands; unknown is treated as suspended."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    UNKNOWN = "unknown"


class Approval(Contract):
    """What a review board approved to be written to patients, word for word, in one language.

    ``valid_until`` is the last day on which it may be sent. ``voluntary`` is the board's own line about saying no.
    """

    approval_id: Line
    text_version: Line
    language: Language
    status: Open[ApprovalStatus]
    valid_until: date
    text: Paragraph
    voluntary: Paragraph | None = None
    contact: Line


class TrialState(Contract):
    """A trial as published; subject ``trial/<id>``. ``programs``: whose patients it is for; none means all that offer
    trials. ``criteria_version`` is ``major.minor``: the major grows when the meaning changed.
    """

    trial_id: Opaque
    version: Annotated[int, Field(ge=1)]
    registry_id: RegistryId
    title: Annotated[str, StringConstraints(min_length=1, max_length=600)]
    status: Open[RecruitmentStatus]
    sites: tuple[TrialSite, ...] = ()
    programs: tuple[ProgramCode, ...] = ()
    criteria_version: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,6}\.[0-9]{1,6}$")]
    eligibility: Eligibility
    approvals: tuple[Approval, ...] = ()


class MatchVerdict(StrEnum):
    """What is known of a patient, against what a trial asks. ``withdrawn`` matches keep the last one."""

    ELIGIBLE = "eligible"
    POSSIBLE = "possible"
    UNKNOWN = "unknown"


class MatchState(Contract):
    """One patient and one trial; subject ``match/<id>``, key patient id. For trials alone.

    Judged on ``as_of``, a civil date of the program; criterion ids in the trial's order.
    """

    match_id: Opaque
    patient_id: Opaque
    trial_id: Opaque
    program: ProgramCode
    version: Annotated[int, Field(ge=1)]
    verdict: Open[MatchVerdict]
    facts_version: Annotated[int, Field(ge=0)]
    criteria_version: Line
    as_of: date
    unknown: tuple[Code, ...] = ()
    withdrawn: ReasonCode | None = None
    at: Instant


class CriterionOutcome(StrEnum):
    """How one criterion stands: met, not met (only of other cohorts), or not known and to be asked."""

    MET = "met"
    NOT_MET = "not-met"
    NOT_KNOWN = "not-known"
    UNKNOWN = "unknown"


class ReportedCriterion(Contract):
    """One criterion of a trial as a coordinator sees it; never a value of the patient's."""

    criterion_id: Code
    text: Annotated[str, StringConstraints(max_length=1000)]
    outcome: Open[CriterionOutcome]


class MatchReport(Contract):
    """What a subscription's coordinator is told of one match; subject ``report/<id>``, key ``pseudonym``.

    ``pseudonym`` is an HMAC under the subscription's own key: two subscriptions can't be joined. ``summary`` counts
    the transitions of one changed trial, which come as one report.
    """

    report_id: Opaque
    subscription_id: Opaque
    sequence: Annotated[int, Field(ge=1)]
    registry_id: RegistryId
    pseudonym: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] | None = None
    verdict: Open[MatchVerdict] | None = None
    withdrawn: ReasonCode | None = None
    criteria_version: Line | None = None
    criteria: tuple[ReportedCriterion, ...] = ()
    summary: dict[str, int] | None = None
    at: Instant


class DigestLine(Contract):
    """Counts of one trial since the last digest."""

    registry_id: RegistryId
    found: Annotated[int, Field(ge=0)] = 0
    changed: Annotated[int, Field(ge=0)] = 0
    withdrawn: Annotated[int, Field(ge=0)] = 0


class DigestRequest(Contract):
    """A coordinator's digest to be mailed; subject ``digest/<id>``, key subscription id. No patient data."""

    digest_id: Opaque
    subscription_id: Opaque
    program: ProgramCode
    to: Address
    day: date
    lines: tuple[DigestLine, ...]
    expires_at: Instant
