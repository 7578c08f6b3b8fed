"""A coordinator over HTTP: from a registry's record to a pseudonymous match with its reasons, on a real store."""

import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from chassis.settings import StoreSettings
from schemas.patient import ConsentDecision, PatientStatus
from schemas.trial_files import load_trial_files
from tests.support.coordinating import CVF, FISTULA, Room, coordinators, study
from tests.support.research import APPROVAL, research
from tests.support.stores import store_settings as store_settings

RECORDS = Path(__file__).parent.parent / "data" / "ctgov-v2" / "spine-disc-open-88.json"


@pytest.fixture
async def room(store_settings: StoreSettings) -> AsyncIterator[Room]:
    async with research(store_settings) as desk, coordinators(desk) as opened:
        yield opened


def criteria_of(registry_id: str) -> dict[str, Any]:
    found: dict[str, Any] = load_trial_files()[registry_id].eligibility().model_dump(mode="json")
    return found


async def drafted(room: Room, registry_id: str = CVF, **changes: Any) -> None:
    """A trial that no registry has, as a draft."""
    body = {
        "title": "Invented", "status": "recruiting", "eligibility": criteria_of(registry_id),
        "approvals": [APPROVAL.model_dump(mode="json")],
    } | changes  # fmt: skip
    answer = await room.put(f"/v1/trials/{registry_id}/draft", body)
    assert answer.status_code == 200, answer.text


async def test_from_a_record_to_a_match_with_its_reasons(room: Room) -> None:
    taken = await room.post("/v1/trials/import", study(1))
    assert [line["outcome"] for line in taken.json()["lines"]] == ["new"]
    (listed,) = (await room.get("/v1/trials")).json()["trials"]
    assert (listed["registry_id"], listed["unparsed"], listed["published_version"]) == ("NCT00000001", 1, None)
    await drafted(room)
    assert (await room.post(f"/v1/trials/{CVF}/lint")).json() == {"problems": []}
    published = await room.post(f"/v1/trials/{CVF}/publish")
    assert (published.status_code, published.json()["published_version"]) == (200, 1)
    grace = await room.desk.admit(**FISTULA)
    (match,) = (await room.get(f"/v1/trials/{CVF}/matches")).json()["matches"]
    assert (match["verdict"], match["workflow"], match["withdrawn"]) == ("eligible", "found", None)
    why = await room.get(f"/v1/trials/{CVF}/matches/{match['match_id']}")
    marks = {each["id"]: each["mark"] for each in why.json()["criteria"]}
    assert marks == dict.fromkeys(["age", "i1", "i2", "i3", "i4", "e1", "e2", "e3", "e4"], "✓")
    assert grace not in why.text


async def test_all_88_records_come_in_and_again_they_are_the_same(room: Room) -> None:
    body = RECORDS.read_bytes()
    first = (await room.send("/v1/trials/import", body)).json()["totals"]
    assert (sum(first.values()), first["refused"]) == (88, 0)
    again = (await room.send("/v1/trials/import", body)).json()["totals"]
    assert again["same"] == 88
    assert len((await room.get("/v1/trials?limit=50")).json()["trials"]) == 50


async def test_counts_are_ranges_and_under_five_they_read_fewer_than_5(room: Room) -> None:
    await drafted(room)
    for _ in range(6):
        await room.desk.admit(**FISTULA)
    for _ in range(3):
        await room.desk.admit(**{**FISTULA, "anticoagulated": True})
    await room.desk.admit(consents=False, **FISTULA)
    counted = (await room.post(f"/v1/trials/{CVF}/feasibility")).json()
    assert {name: counted[name]["text"] for name in ("eligible", "possible", "ruled_out")} == {
        "eligible": "5 to 9", "possible": "fewer than 5", "ruled_out": "fewer than 5",
    }  # fmt: skip
    tried = criteria_of(CVF) | {"criteria": []}
    counted = (await room.post(f"/v1/trials/{CVF}/feasibility", {"eligibility": tried})).json()
    assert counted["eligible"]["text"] == "5 to 9"
    assert "would be eligible" in counted["problems"][0]["reason"]
    for _ in range(4):
        await room.desk.admit(consents=False, **FISTULA)
    assert (await room.post(f"/v1/trials/{CVF}/feasibility")).json()["eligible"]["at_least"] == 5


async def test_the_funnel_loses_at_the_criterion_that_rules_out(room: Room) -> None:
    await drafted(room)
    for _ in range(5):
        await room.desk.admit(**FISTULA)
    for _ in range(10):
        await room.desk.admit(**{**FISTULA, "leak_type": "type-1"})
    stages = (await room.get(f"/v1/trials/{CVF}/funnel")).json()["stages"]
    found = {each["criterion"]: (each["lost"]["text"], each["left"]["text"]) for each in stages}
    assert list(found) == ["age", "i1", "i2", "i3", "i4", "e1", "e2", "e3", "e4"]
    assert found["age"] == ("fewer than 5", "15 to 19")
    assert found["i1"] == ("10 to 14", "5 to 9")
    assert found["e4"] == ("fewer than 5", "5 to 9")


async def test_the_funnel_goes_into_each_cohort_by_itself(room: Room) -> None:
    fistula = {"id": "i1", "kind": "inclusion", "expression": FACT}
    other = {"id": "i1", "kind": "inclusion", "expression": FACT | {"value": ["type-1"]}}
    cohorts = [{"id": "a", "name": "A", "criteria": [fistula]}, {"id": "b", "name": "B", "criteria": [other]}]
    shared = [{"id": "i0", "kind": "inclusion", "text": "to be checked"}]
    await drafted(room, eligibility={"criteria": shared, "cohorts": cohorts})
    for _ in range(5):
        await room.desk.admit(**FISTULA)
    stages = (await room.get(f"/v1/trials/{CVF}/funnel")).json()["stages"]
    told = [(each["criterion"], each["cohort"], each["unparsed"], each["left"]["at_least"]) for each in stages]
    assert told == [("i0", None, True, 5), ("i1", "A", False, 5), ("i1", "B", False, 0)]
    assert [each["sentence"] for each in stages][1:] == [
        "leak type is type 3 (CSF-venous fistula)", "leak type is type 1 (ventral dural tear)",
    ]  # fmt: skip
    shown = (await room.get(f"/v1/trials/{CVF}")).json()["sentences"]
    assert shown.keys() == {"i0", "a.i1", "b.i1"}
    await room.post(f"/v1/trials/{CVF}/publish")
    await room.desk.work()
    (match, *_) = (await room.get(f"/v1/trials/{CVF}/matches")).json()["matches"]
    why = (await room.get(f"/v1/trials/{CVF}/matches/{match['match_id']}")).json()
    marks = [(each["cohort"], each["mark"], each["falsified_by"]) for each in why["criteria"]]
    assert (why["cohort"], marks) == ("a", [(None, "?", []), ("A", "✓", []), ("B", "✗", ["leak type"])])


async def test_missing_facts_are_ranked_by_how_many_patients_they_decide(room: Room) -> None:
    await drafted(room)
    without = {name: value for name, value in FISTULA.items() if name != "pregnant"}
    for _ in range(5):
        await room.desk.admit(**without)
    await room.desk.admit(**{name: value for name, value in FISTULA.items() if name != "allergies"})
    facts = (await room.get(f"/v1/trials/{CVF}/deciding")).json()["facts"]
    assert [(each["fact"], each["decides"]["text"]) for each in facts] == [
        ("pregnant", "5 to 9"), ("allergies", "fewer than 5"),
    ]  # fmt: skip
    assert facts[0]["could_make_eligible"]["text"] == "5 to 9"


# who may do what


async def test_a_second_person_releases_the_first_invitations(room: Room) -> None:
    await drafted(room)
    assert (await room.post(f"/v1/trials/{CVF}/release")).json()["detail"] == "The trial isn't published."
    await room.post(f"/v1/trials/{CVF}/publish")
    refused = await room.post(f"/v1/trials/{CVF}/release")
    assert (refused.status_code, "second person" in refused.json()["detail"]) == (409, True)
    released = await room.post(f"/v1/trials/{CVF}/release", who="bo")
    assert (released.status_code, released.json()["released"]) == (200, True)


@pytest.mark.parametrize(
    ("who", "status", "code"),
    [("staff", 403, "role_missing"), ("other", 404, "no_such_trial"), ("narrow", 404, "no_such_trial")],
)
async def test_another_role_tenant_or_program_sees_nothing(room: Room, who: str, status: int, code: str) -> None:
    await drafted(room, programs=[room.desk.program])
    await room.post(f"/v1/trials/{CVF}/publish")
    await room.desk.admit(**FISTULA)
    for path in ("", "/matches", "/funnel", "/deciding"):
        answer = await room.get(f"/v1/trials/{CVF}{path}", who)
        assert (answer.status_code, answer.json()["type"]) == (status, f"urn:upright:problem:{code}")
    for path in ("/publish", "/release", "/lint", "/feasibility"):
        assert (await room.post(f"/v1/trials/{CVF}{path}", who=who)).status_code == status
    if who != "staff":
        assert (await room.get("/v1/trials", who)).json()["trials"] == []


async def test_a_key_for_some_programs_changes_no_trial_that_is_for_all(room: Room) -> None:
    await drafted(room)
    assert (await room.get(f"/v1/trials/{CVF}", "narrow")).status_code == 200
    for path in ("publish", "release"):
        assert (await room.post(f"/v1/trials/{CVF}/{path}", who="narrow")).status_code == 403
    body = {"eligibility": criteria_of(CVF)}
    assert (await room.put(f"/v1/trials/{CVF}/draft", body, "narrow")).status_code == 403
    assert (await room.post("/v1/trials/import", study(1), "narrow")).status_code == 403
    await room.desk.admit(**FISTULA)
    counted = (await room.post(f"/v1/trials/{CVF}/feasibility", who="narrow")).json()
    assert (counted["programs"], counted["eligible"]["text"]) == ([], "fewer than 5")


async def test_a_key_for_another_program_sees_no_match_of_a_trial_that_is_for_all(room: Room) -> None:
    _, match_id = await matched(room)
    assert (await room.get(f"/v1/trials/{CVF}/matches", "narrow")).json()["matches"] == []
    assert (await room.get(f"/v1/research-subjects?trial={CVF}", "narrow")).json()["total"] == 0
    assert (await room.get(f"/v1/trials/{CVF}/matches/{match_id}", "narrow")).status_code == 404
    moved = await room.post(f"/v1/trials/{CVF}/matches/{match_id}/workflow", {"state": "closed"}, "narrow")
    assert moved.status_code == 404


# matches


async def matched(room: Room, **facts: Any) -> tuple[str, str]:
    """Patient and match of a published trial."""
    await drafted(room)
    await room.post(f"/v1/trials/{CVF}/publish")
    patient_id = await room.desk.admit(**(facts or FISTULA))
    (match,) = (await room.get(f"/v1/trials/{CVF}/matches")).json()["matches"]
    return patient_id, match["match_id"]


async def test_an_explanation_tells_facts_with_source_and_date_and_never_who_it_is(room: Room) -> None:
    patient_id, match_id = await matched(room, **{k: v for k, v in FISTULA.items() if k != "pregnant"})
    answer = await room.get(f"/v1/trials/{CVF}/matches/{match_id}")
    why = answer.json()
    criteria = {each["id"]: each for each in why["criteria"]}
    assert criteria["e1"]["mark"] == "?"
    assert (criteria["e1"]["sentence"], criteria["e1"]["decided_by"]) == ("not: pregnant", ["pregnant"])
    assert criteria["e1"]["facts"] == [
        {"fact": "pregnant", "label": "pregnant", "value": "not known", "sources": []}
    ]  # fmt: skip
    assert criteria["i1"]["facts"][0] == {
        "fact": "leak-type", "label": "leak type", "value": "type 3 (CSF-venous fistula)",
        "sources": [{"source": "chart", "observed_on": "2027-02-26"}],
    }  # fmt: skip
    assert criteria["age"]["facts"][0]["value"] == "40 to 49 years"
    assert why["deciding"] == [
        {"fact": "pregnant", "label": "pregnant", "decides": 1, "could_make_eligible": 1}
    ]  # fmt: skip
    assert {each["gate"]: each["open"] for each in why["gates"]}["consent"] is True
    for hidden in (patient_id, "1986", "05-02", "2025-11-20"):
        assert hidden not in answer.text


async def test_a_match_moves_through_its_workflow_and_into_fhir(room: Room) -> None:
    patient_id, match_id = await matched(room)
    at = f"/v1/trials/{CVF}/matches/{match_id}"
    for state, status in (("interested", "candidate"), ("screening", "screening"), ("enrolled", "on-study")):
        assert (await room.post(f"{at}/workflow", {"state": state})).json()["workflow"] == state
        bundle = await room.get(f"/v1/research-subjects?trial={CVF}")
        assert bundle.headers["content-type"] == "application/fhir+json"
        assert patient_id not in bundle.text
        (entry,) = bundle.json()["entry"]
        assert (entry["resource"]["resourceType"], entry["resource"]["status"]) == ("ResearchSubject", status)
        assert "reference" not in entry["resource"]["individual"]
    assert (await room.post(f"{at}/workflow", {"state": "cured"})).status_code == 422


@pytest.mark.parametrize(
    ("what", "told"), [("facts", "not_eligible"), ("death", "withdrawn"), ("consent", "withdrawn")]
)
async def test_a_withdrawn_match_explains_nothing_and_keeps_silent_of_deaths(room: Room, what: str, told: str) -> None:
    patient_id, match_id = await matched(room)
    desk = room.desk
    desk.clock.advance_to(desk.clock.now() + timedelta(minutes=1))
    events = {
        "facts": lambda: desk.facts(patient_id, **{**FISTULA, "anticoagulated": True}),
        "death": lambda: desk.patient(patient_id, status=PatientStatus.DECEASED),
        "consent": lambda: desk.consent(patient_id, ConsentDecision.DENY),
    }
    await desk.hear(events[what]())
    assert (await room.get(f"/v1/trials/{CVF}/matches")).json()["matches"] == []
    (gone,) = (await room.get(f"/v1/trials/{CVF}/matches?withdrawn=true")).json()["matches"]
    assert gone["withdrawn"] == told
    why = (await room.get(f"/v1/trials/{CVF}/matches/{match_id}")).json()
    assert (why["withdrawn"], why["criteria"]) == (told, [])
    assert (await room.post(f"/v1/trials/{CVF}/matches/{match_id}/workflow", {"state": "closed"})).status_code == 409
    assert (await room.get(f"/v1/research-subjects?trial={CVF}")).json()["total"] == 0


# bad input: a clear answer that names trial, criterion and field, and nothing half published


async def test_records_that_cant_be_taken_are_refused_one_by_one_with_their_reason(room: Room) -> None:
    long = study(2, "Inclusion Criteria:\n* " + "word " * 1_000_000)
    odd = study(3)
    odd["protocolSection"]["eligibilityModule"]["minimumAge"] = "about forty"
    answer = await room.post("/v1/trials/import", {"studies": [study(1), long, odd, 7, {}], "nextPageToken": "x"})
    lines = answer.json()["lines"]
    assert [each["outcome"] for each in lines] == ["new", *["refused"] * 4]
    reasons = [each["reason"] for each in lines[1:]]
    assert reasons[0].startswith("NCT00000002: protocolSection.eligibilityModule.eligibilityCriteria: is longer than")
    assert reasons[1].startswith("NCT00000003: protocolSection.eligibilityModule.minimumAge: is no age")
    assert reasons[2] == "record 4: isn't an object"
    assert "nctId" in reasons[3]
    assert [each["registry_id"] for each in (await room.get("/v1/trials")).json()["trials"]] == ["NCT00000001"]


@pytest.mark.parametrize("body", [b"", b"not json", b"[", b'{"studies": [', b"\xff\xfe", b"[" * 100_000])
async def test_what_isnt_records_is_refused_and_breaks_nothing(room: Room, body: bytes) -> None:
    answer = await room.send("/v1/trials/import", body)
    assert answer.status_code == 200
    assert all(each["outcome"] == "refused" and each["reason"] for each in answer.json()["lines"])


async def test_more_records_than_a_page_are_refused_whole(room: Room) -> None:
    answer = await room.send("/v1/trials/import", json.dumps([{}] * 1001).encode())
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:upright:problem:too_many")


async def test_a_record_with_an_unknown_status_and_no_text_comes_in_closed(room: Room) -> None:
    record = {"protocolSection": {"identificationModule": {"nctId": "NCT00000009"}, "unknown": {"keys": 1}}}
    (line,) = (await room.post("/v1/trials/import", record)).json()["lines"]
    assert line["outcome"] == "closed"
    shown = (await room.get("/v1/trials/NCT00000009")).json()
    assert (shown["open"], shown["criteria"]) == (False, 0)


FACT = {"fact": "leak-type", "op": "in", "value": ["type-3"]}


@pytest.mark.parametrize(
    ("expression", "status", "said"),
    [
        (
            {"fact": "leak-typ", "op": "in", "value": ["type-3"]},
            409,
            "criterion i1: leak-typ: isn't in the program's vocabulary",
        ),
        ({"fact": "opening-pressure", "op": "le", "value": 6, "unit": "mm[Hg]"}, 409, "criterion i1: "),
        ({"at_least": 0, "of": [FACT]}, 409, "criterion i1: at least 0 is always true"),
        ({"all_of": []}, 409, "criterion i1: is empty"),
        ({"fact": "leak-type", "op": "near", "value": 1}, 422, "criterion i1: "),
        ({"fact": "leak-type"}, 422, "criterion i1: "),
    ],
)
async def test_criteria_that_make_no_sense_are_never_published(
    room: Room, expression: dict[str, Any], status: int, said: str
) -> None:
    await drafted(room)
    bad = {"criteria": [{"id": "i1", "kind": "inclusion", "expression": expression}]}
    answer = await room.put(f"/v1/trials/{CVF}/draft", {"eligibility": bad})
    if status == 409:
        assert (answer.status_code, answer.json()["problems"][0]["error"]) == (200, True)
        answer = await room.post(f"/v1/trials/{CVF}/publish")
    assert answer.status_code == status
    (error, *_) = answer.json()["errors"]
    assert said in error["detail"]
    assert "expression" in error["pointer"]
    assert CVF in answer.text
    assert (await room.get(f"/v1/trials/{CVF}")).json()["published_version"] is None


async def test_a_tree_a_thousand_deep_is_refused_where_it_stands(room: Room) -> None:
    deep = '{"not":' * 1000 + json.dumps(FACT) + "}" * 1000
    body = (
        '{"eligibility":{"criteria":[{"id":"i1","kind":"inclusion"},{"id":"i2","kind":"inclusion","expression":%s}]}}'
    )
    for path, send in (("draft", room.http.put), ("feasibility", room.http.post)):
        await drafted(room)
        answer = await send(f"/v1/trials/{CVF}/{path}", content=(body % deep).encode(), headers=room.headers("ana"))
        assert answer.status_code == 422
        assert answer.json()["errors"] == [
            {"pointer": "#/eligibility/criteria/1/expression", "detail": "is nested too deeply"}
        ]  # fmt: skip
    shallow = '{"not":' * 40 + json.dumps(FACT) + "}" * 40
    answer = await room.http.put(
        f"/v1/trials/{CVF}/draft", content=(body % shallow).encode(), headers=room.headers("ana")
    )
    assert answer.json()["errors"][0]["detail"] == "criterion i2: the expression is more than 32 deep"


async def test_a_trial_that_shrinks_to_nothing_isnt_published_and_matches_stay(room: Room) -> None:
    await matched(room)
    empty: dict[str, Any] = {"eligibility": {"criteria": []}}
    saved = await room.put(f"/v1/trials/{CVF}/draft", empty)
    assert saved.json()["problems"][0]["reason"] == "there is none, so everybody would be eligible"
    assert (await room.post(f"/v1/trials/{CVF}/publish")).status_code == 409
    shown = (await room.get(f"/v1/trials/{CVF}")).json()
    assert (shown["published_version"], shown["unpublished_changes"]) == (1, True)
    assert len((await room.get(f"/v1/trials/{CVF}/matches")).json()["matches"]) == 1


async def test_a_published_trial_whose_record_shrinks_to_nothing_closes(room: Room) -> None:
    await room.post("/v1/trials/import", study(1))
    body = {"eligibility": criteria_of(CVF), "approvals": [APPROVAL.model_dump(mode="json")]}
    await room.put("/v1/trials/NCT00000001/draft", body)
    await room.post("/v1/trials/NCT00000001/publish")
    nothing = {"protocolSection": {"identificationModule": {"nctId": "NCT00000001"}}}
    (line,) = (await room.post("/v1/trials/import", nothing)).json()["lines"]
    assert line["outcome"] == "closed"
    shown = (await room.get("/v1/trials/NCT00000001")).json()
    assert (shown["published"]["status"], shown["open"]) == ("suspended", False)


async def test_facts_in_the_wrong_unit_from_the_future_or_in_conflict_are_unknown(room: Room) -> None:
    eligibility = {"criteria": [
        {"id": "i1", "kind": "inclusion",
         "expression": {"fact": "opening-pressure", "op": "le", "value": 6, "unit": "cm[H2O]"}},
        {"id": "i2", "kind": "inclusion", "expression": FACT},
        {"id": "i3", "kind": "inclusion", "expression": {"fact": "months-since-symptom-onset", "op": "ge", "value": 3}},
    ]}  # fmt: skip
    await drafted(room, eligibility=eligibility)
    await room.post(f"/v1/trials/{CVF}/publish")
    patient_id = await room.desk.admit(
        opening_pressure=(4, "mm[Hg]"), leak_type="type-3", symptom_onset="2031-01-01"
    )  # fmt: skip
    await room.desk.hear(room.desk.facts(patient_id, "other", leak_type="type-1"))
    (match,) = (await room.get(f"/v1/trials/{CVF}/matches")).json()["matches"]
    assert (match["verdict"], match["unknown"]) == ("possible", ["i1", "i2", "i3"])
    why = (await room.get(f"/v1/trials/{CVF}/matches/{match['match_id']}")).json()
    assert why["criteria"][1]["facts"][0]["value"] == "sources contradict each other"


async def test_the_openapi_document_shows_the_bodies_and_every_reference_in_it_leads_somewhere(room: Room) -> None:
    document = (await room.http.get("/openapi.json")).json()
    put = document["paths"]["/v1/trials/{registry_id}/draft"]["put"]["requestBody"]
    assert "eligibility" in put["content"]["application/json"]["schema"]["properties"]
    references = re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document))
    assert references
    for reference in references:
        part = document
        for step in unquote(reference).split("/"):
            part = part[step.replace("~1", "/").replace("~0", "~")]
    assert not [path for path in document["paths"] if path.startswith("/trials")], "pages are no API"
