"""One record of ClinicalTrials.gov's API v2 → a trial. Keys that aren't read here are ignored: contacts among them.

What decides who may take part (ages, sex, eligibility, sites) must read, or the record is refused; the rest may be
missing or odd, and becomes a warning. A status that nobody knows is closed.
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import Literal

from schemas.criteria import AgeLimit, Criterion
from schemas.trials import RecruitmentStatus, TrialSite
from services.trials.registry.ages import parse_age, passed, reached, standard_ages
from services.trials.registry.eligibility import LONGEST, TooMuch, criteria_of, split_eligibility
from services.trials.registry.fields import FieldError, Fields
from services.trials.registry.trial import RegistryTrial

_NCT = re.compile(r"NCT\d{8}", re.IGNORECASE)
_BORN = date(2001, 1, 1)  # a day like any other, to put ages in order
_LINE = 200
_TITLE = 600
_NO_TEXTS: tuple[str, ...] = ()


def registry_id(record: Mapping[str, object]) -> str:
    """``NCT`` and eight digits. ``FieldError`` if there is none."""
    found = Fields(record).section("protocolSection").section("identificationModule")
    written = found.text("nctId") or ""
    if not _NCT.fullmatch(written):
        raise FieldError(found.at("nctId"), "is no NCT number" if written else "is missing")
    return written.upper()


def read_record(record: Mapping[str, object]) -> RegistryTrial:
    """``FieldError`` names the field that can't be taken."""
    name = registry_id(record)
    protocol = Fields(record).section("protocolSection")
    identity, status = protocol.section("identificationModule"), protocol.section("statusModule")
    conditions, design = protocol.section("conditionsModule"), protocol.section("designModule")
    who, where = protocol.section("eligibilityModule"), protocol.section("contactsLocationsModule")
    minimum, maximum = _age(who, "minimumAge"), _age(who, "maximumAge")
    text = _eligibility_text(who)
    return RegistryTrial(
        registry_id=name,
        brief_title=identity.or_warn(lambda: identity.text("briefTitle", _TITLE), None),
        official_title=identity.or_warn(lambda: identity.text("officialTitle", _TITLE), None),
        conditions=conditions.or_warn(lambda: conditions.texts("conditions"), _NO_TEXTS),
        overall_status=_status(status, "overallStatus") or RecruitmentStatus.UNKNOWN,
        study_type=design.or_warn(lambda: design.text("studyType", _LINE), None),
        sites=tuple(map(_site, where.sections("locations"))),
        minimum_age_written=who.text("minimumAge"),
        maximum_age_written=who.text("maximumAge"),
        minimum_age=minimum,
        maximum_age=maximum,
        sex=_sex(who),
        healthy_volunteers=who.or_warn(lambda: who.yes_or_no("healthyVolunteers"), None),
        std_ages=_standard_ages(who, minimum, maximum),
        eligibility_text=text,
        criteria=_criteria(who, text),
        last_update=status.or_warn(lambda: _last_update(status), None),
        warnings=tuple(protocol.warnings),
    )


def _status(fields: Fields, name: str) -> RecruitmentStatus | None:
    """None if nobody knows it."""
    try:
        return RecruitmentStatus(re.sub(r"[^a-z]+", "-", (fields.text(name) or "").lower()))
    except ValueError:  # no such status, or no text at all
        fields.warnings.append(f"{fields.at(name)}: isn't known, so it counts as closed")
        return None


def _site_status(fields: Fields) -> RecruitmentStatus | None:
    """None if the site has none, so that the study's counts."""
    if fields.values.get("status") is None:
        return None
    known = _status(fields, "status") or RecruitmentStatus.UNKNOWN
    return RecruitmentStatus.SUSPENDED if known is RecruitmentStatus.UNKNOWN else known


def _site(fields: Fields) -> TrialSite:
    point = fields.or_warn(lambda: fields.section("geoPoint"), Fields({}))
    latitude = fields.or_warn(lambda: point.number("lat", 90), None)
    longitude = fields.or_warn(lambda: point.number("lon", 180), None)
    known = latitude is not None and longitude is not None
    names = {
        name: fields.or_warn(lambda name=name: fields.text(name, _LINE), None)  # type: ignore[misc]
        for name in ("facility", "city", "state", "country")
    }
    return TrialSite(
        **{name: " ".join(text.split()) if text else None for name, text in names.items()},
        status=_site_status(fields),
        latitude=latitude if known else None,
        longitude=longitude if known else None,
    )


def _age(fields: Fields, name: str) -> AgeLimit | None:
    try:
        return parse_age(fields.text(name) or "")
    except FieldError:
        raise
    except ValueError:
        raise FieldError(fields.at(name), "is no age such as '18 Years'") from None


def _sex(fields: Fields) -> Literal["female", "male"] | None:
    written = (fields.text("sex") or "ALL").upper()
    if written in ("ALL", "BOTH"):
        return None
    if written in ("FEMALE", "MALE"):
        return "female" if written == "FEMALE" else "male"
    raise FieldError(fields.at("sex"), "is none of ALL, FEMALE, MALE")


def _standard_ages(fields: Fields, minimum: AgeLimit | None, maximum: AgeLimit | None) -> tuple[str, ...]:
    written = fields.or_warn(lambda: fields.texts("stdAges"), _NO_TEXTS)
    if written and set(written) != standard_ages(minimum, maximum):
        fields.warnings.append(f"{fields.at('stdAges')}: contradicts the ages")
    if minimum and maximum and passed(_BORN, maximum) <= reached(_BORN, minimum):
        fields.warnings.append(f"{fields.at('maximumAge')}: is below the minimum, so nobody may take part")
    return written


def _eligibility_text(fields: Fields) -> str | None:
    written = fields.values.get("eligibilityCriteria")
    if isinstance(written, str) and len(written) > LONGEST:
        raise FieldError(fields.at("eligibilityCriteria"), f"is longer than {LONGEST:,} characters")
    return fields.text("eligibilityCriteria")


def _criteria(fields: Fields, text: str | None) -> tuple[Criterion, ...]:
    try:
        found = criteria_of(split_eligibility(text or ""))
    except TooMuch as error:
        raise FieldError(fields.at("eligibilityCriteria"), str(error)) from None
    if not found:
        fields.warnings.append(f"{fields.at('eligibilityCriteria')}: says of nobody who may take part")
    return found


def _last_update(status: Fields) -> date | None:
    posted = status.section("lastUpdatePostDateStruct")
    written = posted.text("date") or status.text("lastUpdateSubmitDate")
    if written is None:
        return None
    try:
        return date.fromisoformat(f"{written}-01" if len(written) == len("2025-01") else written[:10])
    except ValueError:
        raise FieldError(posted.at("date"), "isn't a date") from None
