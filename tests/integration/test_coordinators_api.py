"""A coordinator over HTTP: from a registry's record to a pseudonymous match with its reasons, on a real store."""

import json
from collections.abc import AsyncIterator
from importlib.resources import files
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
