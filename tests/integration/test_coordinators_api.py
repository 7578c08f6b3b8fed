"""A coordinator over HTTP: from a registry's record to a pseudonymous match with its reasons, on a real store."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chassis.settings import StoreSettings
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
