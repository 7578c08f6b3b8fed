"""A trial as the registry describes it: what is kept of a record. It holds no contact."""

import hashlib
from datetime import date
from typing import Literal

from schemas.base import Contract
from schemas.criteria import AgeLimit, Criterion, Eligibility
from schemas.trials import RecruitmentStatus, RegistryId, TrialSite

_WATCHED = (
    RecruitmentStatus.RECRUITING,
    RecruitmentStatus.NOT_YET_RECRUITING,
    RecruitmentStatus.ENROLLING_BY_INVITATION,
)


class RegistryTrial(Contract):
    """``sex`` is FHIR's code, None for all. No maximum is no limit. ``study_type`` is the registry's word.

    ``criteria`` are the split ``eligibility_text``, all unparsed. ``healthy_volunteers`` excludes nobody. ``warnings``
    say what in the record was left out or looks wrong.
    """

    registry_id: RegistryId
    brief_title: str | None = None
    official_title: str | None = None
    conditions: tuple[str, ...] = ()
    overall_status: RecruitmentStatus = RecruitmentStatus.UNKNOWN
    study_type: str | None = None
    sites: tuple[TrialSite, ...] = ()
    minimum_age_written: str | None = None
    maximum_age_written: str | None = None
    minimum_age: AgeLimit | None = None
    maximum_age: AgeLimit | None = None
    sex: Literal["female", "male"] | None = None
    healthy_volunteers: bool | None = None
    std_ages: tuple[str, ...] = ()
    eligibility_text: str | None = None
    criteria: tuple[Criterion, ...] = ()
    last_update: date | None = None
    warnings: tuple[str, ...] = ()

    @property
    def closed(self) -> bool:
        """Nobody can be matched: it neither recruits nor will, or it says of nobody who may take part."""
        return self.overall_status not in _WATCHED or not self.criteria

    @property
    def status(self) -> RecruitmentStatus:
        """As it can be published, where nothing is unknown: suspended, which is as closed."""
        unknown = self.overall_status is RecruitmentStatus.UNKNOWN
        return RecruitmentStatus.SUSPENDED if unknown else self.overall_status

    @property
    def eligibility(self) -> Eligibility:
        """Ages, sex and the split criteria, as a draft begins."""
        return Eligibility(
            minimum_age=self.minimum_age, maximum_age=self.maximum_age, sex=self.sex, criteria=self.criteria
        )

    @property
    def digest(self) -> str:
        """SHA-256 of what is kept, in hexadecimal; the date of the last update isn't part of it, nor are warnings.

        Registries put a new date on records of which only contacts have changed.
        """
        return hashlib.sha256(self.model_dump_json(exclude={"last_update", "warnings"}).encode()).hexdigest()
