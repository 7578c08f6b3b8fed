"""Records of the registry → trials: what is kept, what is tolerated, what is refused in words."""

import io
import json
from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.criteria import AgeLimit, AgeUnit
from schemas.trials import RecruitmentStatus
from services.trials.registry.contacts import REMOVED
from services.trials.registry.records import Read, Refused, read_page, read_records
from services.trials.registry.trial import RegistryTrial

FILE = Path(__file__).parents[1] / "data/ctgov-v2/spine-disc-open-88.json"
STUDIES = json.loads(FILE.read_text("utf-8"))
EMPTY = {"protocolSection": {"identificationModule": {"nctId": "NCT00000001"}}}
PATHS = {
    "status": "statusModule",
    "who": "eligibilityModule",
    "where": "contactsLocationsModule",
    "name": "identificationModule",
    "what": "conditionsModule",
    "design": "designModule",
}


def record(**modules: dict[str, Any]) -> dict[str, Any]:
    """A whole record with parts of its modules replaced: ``who={"sex": "MALE"}``."""
    made: dict[str, Any] = deepcopy(STUDIES[0])
    for name, fields in modules.items():
        made["protocolSection"].setdefault(PATHS[name], {}).update(fields)
    return made


def read(*records: object) -> list[Read]:
    return list(read_records(json.dumps(list(records)).encode()))


def trial(**modules: dict[str, Any]) -> RegistryTrial:
    (found,) = read(record(**modules))
    assert isinstance(found, RegistryTrial), found
    return found


def reason(document: object) -> str:
    (found,) = read(document)
    assert isinstance(found, Refused)
    return found.reason


def test_all_records_of_the_file_are_read_without_a_warning() -> None:
    with FILE.open("rb") as stream:
        found = list(read_records(stream))
    assert len(found) == 88
    assert all(isinstance(each, RegistryTrial) and not each.warnings and not each.closed for each in found)


def test_what_decides_who_may_take_part_is_kept() -> None:
    found = trial()
    assert found.registry_id == "NCT05287867"
    assert found.overall_status is RecruitmentStatus.RECRUITING
    assert (found.minimum_age, found.maximum_age) == (
        AgeLimit(number=25, unit=AgeUnit.YEARS),
        AgeLimit(number=65, unit=AgeUnit.YEARS),
    )
    assert (found.minimum_age_written, found.maximum_age_written) == ("25 Years", "65 Years")
    assert (found.sex, found.healthy_volunteers, found.std_ages) == (None, False, ("ADULT", "OLDER_ADULT"))
    assert found.study_type == "INTERVENTIONAL"
    assert found.last_update == date.fromisoformat(
        STUDIES[0]["protocolSection"]["statusModule"]["lastUpdatePostDateStruct"]["date"]
    )
    site = found.sites[0]
    assert (site.facility, site.city, site.state, site.country) == (
        "Centeno-Schultz Clinic",
        "Broomfield",
        "Colorado",
        "United States",
    )
    assert (site.status, site.latitude, site.longitude) == (RecruitmentStatus.RECRUITING, 39.92054, -105.08665)
    assert [each.id for each in found.eligibility.criteria][:2] == ["i1", "i2"]
    assert found.eligibility.minimum_age == found.minimum_age


def test_a_trial_comes_back_from_its_json_as_it_was() -> None:
    for each in read(*STUDIES):
        assert isinstance(each, RegistryTrial)
        assert RegistryTrial.strict_json(each.model_dump_json()) == each


def test_no_contact_of_a_record_is_kept() -> None:
    secret = "canary@example.org"
    person = {"name": "Canary Person", "role": "CONTACT", "phone": "310-555-0142", "email": secret}
    found = trial(
        where={
            "centralContacts": [person],
            "overallOfficials": [person],
            "locations": [{"facility": f"Clinic {secret}", "contacts": [person], "country": "Peru"}],
        },
        who={"eligibilityCriteria": f"* Call 310-555-0142 or {secret}\n* Adult"},
        name={"briefTitle": f"Write to {secret}"},
        what={"conditions": [secret]},
    )
    kept = found.model_dump_json()
    assert not any(word in kept for word in ("canary", "Canary", "310-555-0142"))
    assert found.criteria[0].text == f"Call {REMOVED} or {REMOVED}"


def test_a_nearly_empty_record_is_accepted_as_closed() -> None:
    (found,) = read(EMPTY)
    assert isinstance(found, RegistryTrial)
    assert found.closed
    assert found.overall_status is RecruitmentStatus.UNKNOWN
    assert (found.minimum_age, found.maximum_age, found.sex, found.sites, found.criteria) == (None, None, None, (), ())


@pytest.mark.parametrize(
    ("status", "closed"),
    [
        ("RECRUITING", False),
        ("NOT_YET_RECRUITING", False),
        ("ENROLLING_BY_INVITATION", False),
        ("COMPLETED", True),
        ("Active, not recruiting", True),
        ("SUSPENDED", True),
        ("AVAILABLE", True),
        ("NEVER_HEARD_OF", True),
        (None, True),
        (7, True),
        ([], True),
        ({}, True),
        ("UNKNOWN", True),
    ],
)
def test_a_status_that_nobody_knows_is_closed(status: object, closed: bool) -> None:
    assert trial(status={"overallStatus": status}).closed is closed


def test_a_site_whose_status_nobody_knows_never_counts_as_open() -> None:
    sites = [{"status": "OPEN"}, {"status": "UNKNOWN"}, {"status": 7}, {"status": None}, {}]
    suspended = RecruitmentStatus.SUSPENDED
    assert [each.status for each in trial(where={"locations": sites}).sites] == [suspended] * 3 + [None] * 2


def test_half_a_place_is_none() -> None:
    (site,) = trial(where={"locations": [{"geoPoint": {"lat": 1.5}}]}).sites
    assert (site.latitude, site.longitude) == (None, None)


def test_an_unknown_status_is_published_as_suspended() -> None:
    assert trial(status={"overallStatus": "UNKNOWN"}).status is RecruitmentStatus.SUSPENDED
    assert trial().status is RecruitmentStatus.RECRUITING


@pytest.mark.parametrize("text", [None, "", " \n", "Inclusion Criteria:\n\nExclusion Criteria:"])
def test_an_open_study_that_says_of_nobody_who_may_take_part_is_closed(text: str | None) -> None:
    found = trial(who={"eligibilityCriteria": text})
    assert found.closed
    assert "says of nobody who may take part" in found.warnings[0]


@pytest.mark.parametrize(
    ("modules", "field", "value"),
    [
        ({"who": {"maximumAge": None}}, "maximum_age", None),
        ({"who": {"maximumAge": "N/A"}}, "maximum_age", None),
        ({"who": {"sex": None}}, "sex", None),
        ({"who": {"sex": "female"}}, "sex", "female"),
        ({"who": {"healthyVolunteers": "No"}}, "healthy_volunteers", False),
        ({"who": {"stdAges": None}}, "std_ages", ()),
        ({"what": {"conditions": "Headache"}}, "conditions", ("Headache",)),
        ({"what": {"conditions": ["a", None, "", 7]}}, "conditions", ("a", "7")),
        ({"name": {"officialTitle": 7}}, "official_title", "7"),
        ({"name": {"briefTitle": "a\u0000b\u202ec\ud800d"}}, "brief_title", "a bc d"),
        ({"name": {"briefTitle": "x" * 700}}, "brief_title", "x" * 599 + "…"),
        ({"status": {"lastUpdatePostDateStruct": {"date": "2024-09"}}}, "last_update", date(2024, 9, 1)),
        (
            {"status": {"lastUpdatePostDateStruct": None, "lastUpdateSubmitDate": "2024-09-03"}},
            "last_update",
            date(2024, 9, 3),
        ),
        ({"where": {"locations": None}}, "sites", ()),
        ({"who": {"eligibilityCriteria": ["* Adult", "* Able"]}}, "eligibility_text", "* Adult\n* Able"),
    ],
)
def test_a_wrong_type_or_a_missing_key_is_taken_where_its_meaning_survives(
    modules: dict[str, Any], field: str, value: object
) -> None:
    found = trial(**modules)
    assert getattr(found, field) == value
    assert not found.warnings


@pytest.mark.parametrize(
    ("modules", "field"),
    [
        ({"name": {"briefTitle": {}}}, "identificationModule.briefTitle"),
        ({"status": {"lastUpdatePostDateStruct": {"date": "soon"}}}, "statusModule.lastUpdatePostDateStruct.date"),
        ({"status": {"lastUpdatePostDateStruct": 7}}, "statusModule.lastUpdatePostDateStruct"),
        ({"who": {"healthyVolunteers": 7}}, "eligibilityModule.healthyVolunteers"),
        ({"who": {"stdAges": ["CHILD"]}}, "eligibilityModule.stdAges"),
        ({"who": {"minimumAge": "66 Years"}}, "eligibilityModule.maximumAge"),
        ({"where": {"locations": [{"facility": {}}]}}, "contactsLocationsModule.locations[0].facility"),
        ({"where": {"locations": [{"geoPoint": {"lat": 91, "lon": 0}}]}}, "locations[0].geoPoint.lat"),
        ({"where": {"locations": [{"geoPoint": {"lat": 1, "lon": float("nan")}}]}}, "locations[0].geoPoint.lon"),
        ({"where": {"locations": [{"geoPoint": "here"}]}}, "locations[0].geoPoint"),
        ({"where": {"locations": [{"status": "OPEN"}]}}, "locations[0].status"),
    ],
)
def test_what_a_trial_can_do_without_becomes_a_warning_that_names_the_field(
    modules: dict[str, Any], field: str
) -> None:
    assert any(f"{field}: " in warning for warning in trial(**modules).warnings)


@pytest.mark.parametrize(
    ("modules", "said"),
    [
        ({"who": {"minimumAge": "18"}}, "eligibilityModule.minimumAge: is no age"),
        ({"who": {"maximumAge": {}}}, "eligibilityModule.maximumAge: isn't text"),
        ({"who": {"sex": "OTHER"}}, "eligibilityModule.sex: is none of ALL, FEMALE, MALE"),
        ({"who": {"eligibilityCriteria": {}}}, "eligibilityModule.eligibilityCriteria: isn't text"),
        (
            {"who": {"eligibilityCriteria": "a" * 5_000_000}},
            "eligibilityModule.eligibilityCriteria: is longer than 200,000",
        ),
        (
            {"who": {"eligibilityCriteria": ["a" * 100_000] * 50}},
            "eligibilityModule.eligibilityCriteria: is longer than",
        ),
        (
            {"who": {"eligibilityCriteria": "* a\n" * 1001}},
            "eligibilityModule.eligibilityCriteria: holds more than 1,000",
        ),
        ({"where": {"locations": ["here"]}}, "contactsLocationsModule.locations[0]: isn't an object"),
        ({"where": {"locations": True}}, "contactsLocationsModule.locations: isn't a list"),
    ],
)
def test_what_decides_who_may_take_part_must_read(modules: dict[str, Any], said: str) -> None:
    assert reason(record(**modules)).startswith(f"NCT05287867: protocolSection.{said}")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "record 1: protocolSection.identificationModule.nctId: is missing"),
        ({"protocolSection": 7}, "record 1: protocolSection: isn't an object"),
        ({"protocolSection": {"identificationModule": {"nctId": "ISRCTN1"}}}, "nctId: is no NCT number"),
        ("NCT00000001", "record 1: isn't an object"),
        ({"protocolSection": {**EMPTY["protocolSection"], "statusModule": []}}, "statusModule: isn't an object"),
    ],
)
def test_a_record_without_a_number_or_a_form_is_refused(document: object, said: str) -> None:
    assert said in reason(document)


def test_a_refusal_never_repeats_what_the_record_holds() -> None:
    assert "secret" not in reason(record(who={"minimumAge": "secret", "sex": "secret"}))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.data())
def test_any_field_may_be_anything_and_the_answer_is_a_trial_or_a_reason(data: st.DataObject) -> None:
    made = deepcopy(data.draw(st.sampled_from(STUDIES[:5])))
    place = made
    while True:
        name = data.draw(st.sampled_from(sorted(place)))
        if not isinstance(place[name], dict) or not place[name] or data.draw(st.integers(0, 5)) == 0:
            break
        place = place[name]
    place[name] = data.draw(ANYTHING)
    (found,) = read(made)
    assert isinstance(found, RegistryTrial) or found.reason


PAGE = {"studies": STUDIES[:3], "nextPageToken": "t"}
ONE = json.dumps(STUDIES[0])


@pytest.mark.parametrize(
    ("source", "count"),
    [
        (ONE, 1),
        (json.dumps(STUDIES[0], indent=2), 1),
        (json.dumps(STUDIES[:3], indent=2), 3),
        (json.dumps(PAGE), 3),
        (json.dumps(PAGE, indent=2), 3),
        ("\n\n" + "\n".join(map(json.dumps, STUDIES[:3])) + "\n\n", 3),
        (f"{json.dumps(PAGE)}\n{json.dumps(PAGE)}\n", 6),
        (f"\ufeff{ONE}", 1),
        (f"[\n{ONE},\n{ONE}\n]", 2),
        ("", 0),
        ("[]", 0),
        ('{"studies": []}', 0),
    ],
)
@pytest.mark.parametrize("as_stream", [False, True])
def test_a_record_a_list_a_page_and_lines_are_all_read(source: str, count: int, as_stream: bool) -> None:
    data = source.encode()
    found = list(read_records(io.BytesIO(data) if as_stream else data))
    assert len(found) == count
    assert all(isinstance(each, RegistryTrial) for each in found)


@pytest.mark.parametrize(
    "text", [b"no", b"{", ONE.encode()[:-1], b"[" * 100_000, b"\xff\xfe{", b'{"a": ' + b"1" * 5000 + b"}", b"[\n{},\n{"]
)
def test_what_isnt_json_is_refused_as_a_whole(text: bytes) -> None:
    (found,) = read_records(text)
    assert isinstance(found, Refused)
    assert found.reason == "the input isn't JSON, or is nested too deeply"


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_a_broken_line_spoils_no_other(bad: int) -> None:
    lines = [json.dumps(each) for each in STUDIES[:3]]
    lines[bad] = lines[bad][:-40]
    found = list(read_records("\n".join(lines).encode()))
    assert [isinstance(each, Refused) for each in found] == [number == bad for number in range(3)]
    refused = found[bad]
    assert isinstance(refused, Refused)
    assert refused.reason.startswith(f"line {bad + 1} isn't JSON")


def test_a_page_holds_its_records_and_the_next_token() -> None:
    page = read_page(json.dumps(PAGE).encode())
    assert (len(page.records), page.next_token) == (3, "t")
    assert read_page(b'{"studies": []}').next_token is None
