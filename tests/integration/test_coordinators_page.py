"""The coordinators' page without a browser: who gets in, from where, and what its forms change."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from chassis.api_keys import ApiKeys
from chassis.settings import StoreSettings
from tests.support.coordinating import CVF, FISTULA, Room, coordinators, study
from tests.support.research import research

OWN = {"sec-fetch-site": "same-origin"}
NCT = "NCT00000001"


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with research(StoreSettings(url=f"sqlite:///{tmp_path / 'trials.db'}")) as desk, coordinators(desk) as opened:
        yield opened


async def sign_in(room: Room, who: str = "ana") -> httpx2.Response:
    room.http.cookies.clear()
    return await room.http.post("/trials/sign-in", data={"key": room.tokens[who]}, headers=OWN)


async def post(room: Room, path: str, **fields: Any) -> httpx2.Response:
    return await room.http.post(f"/trials/{path}", data=fields, headers=OWN)


def tag_of(page: httpx2.Response) -> str:
    found = re.search(r'name="tag" value="([0-9a-f]+)"', page.text)
    assert found is not None
    return found[1]


# who gets in


async def test_only_a_coordinators_key_signs_in_and_its_cookie_is_kept_from_scripts_and_other_sites(room: Room) -> None:
    assert (await room.http.get("/trials")).headers["location"] == "/trials/sign-in"
    for wrong in (room.tokens["staff"], "ana.nonsense", ""):
        answer = await room.http.post("/trials/sign-in", data={"key": wrong}, headers=OWN)
        assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
    answer = await sign_in(room)
    cookie = answer.headers["set-cookie"]
    assert answer.status_code == 303
    assert all(each in cookie for each in ("HttpOnly", "SameSite=strict", "Path=/trials", "Max-Age=28800"))
    assert room.tokens["ana"].partition(".")[2] not in cookie
    page = await room.http.get("/trials")
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"


async def test_a_session_ends_with_the_day_the_key_or_the_sign_out(room: Room) -> None:
    await sign_in(room)
    keys = room.desk.trials.app.state.api_keys
    room.desk.trials.app.state.api_keys = ApiKeys(())
    assert (await room.http.get("/trials")).status_code == 303
    room.desk.trials.app.state.api_keys = keys
    assert (await room.http.get("/trials")).status_code == 200
    room.desk.clock.advance_to(room.desk.clock.now() + timedelta(hours=8))
    assert (await room.http.get("/trials")).status_code == 303
    await sign_in(room)
    await post(room, "sign-out")
    assert (await room.http.get("/trials")).status_code == 303
    room.http.cookies.set("trials_session", "x" * 50, path="/trials")
    assert (await room.http.get("/trials")).status_code == 303


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 303),
        ({"origin": "http://trials"}, 303),
        ({"sec-fetch-site": "cross-site", "origin": "http://trials"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({}, 403),
    ],
)
async def test_another_sites_page_presses_no_button(room: Room, headers: dict[str, str], status: int) -> None:
    await sign_in(room)
    await room.desk.publish(CVF)
    answer = await room.http.post(f"/trials/{CVF}/release", headers=headers)
    assert answer.status_code == status


async def test_htmx_is_sent_to_sign_in_as_a_whole_page(room: Room) -> None:
    answer = await room.http.get(f"/trials/{CVF}/deciding", headers={"hx-request": "true"})
    assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/trials/sign-in")


# what its forms change


async def test_a_criterion_is_translated_counted_saved_and_published(room: Room) -> None:
    await sign_in(room)
    await room.post("/v1/trials/import", study(1))
    for _ in range(5):
        await room.desk.admit(**FISTULA)
    page = await room.http.get(f"/trials/{NCT}")
    assert "a coordinator must check" in page.text
    fields = {"tag": tag_of(page), "minimum_age": "18 years", "a0": "on",
              "x0": '{"fact": "leak-type", "op": "in", "value": ["type-3"]}'}  # fmt: skip
    counts = await post(room, f"{NCT}/feasibility", **fields)
    assert re.search(r"<dt>eligible</dt><dd>5 to 9</dd>", counts.text)
    kept = (await room.get(f"/v1/trials/{NCT}")).json()
    assert kept["unparsed"] == 1, "counting keeps nothing"
    assert (await post(room, f"{NCT}/draft", **fields)).status_code == 303
    draft = (await room.get(f"/v1/trials/{NCT}")).json()["draft"]["eligibility"]
    (criterion,) = draft["criteria"]
    assert (criterion["status"], criterion["anchor"], criterion["text"]) == ("manual", True, "Adults with a leak")
    assert draft["minimum_age"] == {"number": 18, "unit": "years"}
    assert (await post(room, f"{NCT}/publish")).status_code == 303
    assert "You published this trial, so a second person" in (await room.http.get(f"/trials/{NCT}")).text


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("x0", "{not json", "criterion i1: what is asked isn&#39;t JSON"),
        ("x0", '{"fact": "leak-type"}', "criterion i1: "),
        ("x0", '{"not":' * 1000 + "1" + "}" * 1000, "criterion i1: "),
        ("minimum_age", "about forty", "minimum age: is no age"),
        ("ap_text", "only a text", "approvals."),
    ],
)
async def test_what_cant_be_read_is_named_and_nothing_is_saved(room: Room, field: str, value: str, said: str) -> None:
    await sign_in(room)
    await room.post("/v1/trials/import", study(1))
    before = (await room.get(f"/v1/trials/{NCT}")).json()["draft_tag"]
    counts = await post(room, f"{NCT}/feasibility", **{field: value})
    assert (counts.status_code, said in counts.text) == (200, True), counts.text
    saved = await post(room, f"{NCT}/draft", tag=before, **{field: value})
    assert (saved.status_code, said in saved.text, "Nothing was saved" in saved.text) == (422, True, True)
    assert (await room.get(f"/v1/trials/{NCT}")).json()["draft_tag"] == before


async def test_a_draft_that_somebody_changed_meanwhile_isnt_overwritten(room: Room) -> None:
    await sign_in(room)
    await room.post("/v1/trials/import", study(1))
    old = tag_of(await room.http.get(f"/trials/{NCT}"))
    assert (await post(room, f"{NCT}/draft", tag=old, sex="female")).status_code == 303
    refused = await post(room, f"{NCT}/draft", tag=old, sex="male")
    assert (refused.status_code, "Somebody changed the draft meanwhile" in refused.text) == (412, True)
    assert (await room.get(f"/v1/trials/{NCT}")).json()["draft"]["eligibility"]["sex"] == "female"
    body: dict[str, Any] = {"eligibility": {}}
    stale = await room.http.put(
        f"/v1/trials/{NCT}/draft", json=body, headers=room.headers("ana") | {"if-match": f'"{old}"'}
    )
    assert stale.status_code == 412


async def test_approved_words_and_a_new_criterion_are_added(room: Room) -> None:
    await sign_in(room)
    await room.post("/v1/trials/import", study(1))
    tag = tag_of(await room.http.get(f"/trials/{NCT}"))
    words = {"ap_approval_id": "IRB-7", "ap_text_version": "1", "ap_language": "en", "ap_valid_until": "2027-12-31",
             "ap_text": "DEMO TEXT – not approved by any review board", "ap_contact": "Demo Study Team"}  # fmt: skip
    added = {"new_kind": "exclusion", "new_text": "On anticoagulation", "new_expression": ""}
    assert (await post(room, f"{NCT}/draft", tag=tag, **words, **added)).status_code == 303
    draft = (await room.get(f"/v1/trials/{NCT}")).json()["draft"]
    assert [each["approval_id"] for each in draft["approvals"]] == ["IRB-7"]
    assert [(each["id"], each["kind"]) for each in draft["eligibility"]["criteria"]][-1] == ("e1", "exclusion")
    page = await room.http.get(f"/trials/{NCT}")
    changed = {"tag": tag_of(page), "ap0_status": "suspended", "ap0_valid_until": "2027-06-30"}
    assert (await post(room, f"{NCT}/draft", **changed)).status_code == 303
    (approval,) = (await room.get(f"/v1/trials/{NCT}")).json()["draft"]["approvals"]
    assert (approval["status"], approval["valid_until"], approval["text"]) == (
        "suspended", "2027-06-30", words["ap_text"],
    )  # fmt: skip


async def test_lint_errors_keep_a_draft_from_being_published_and_stand_on_the_page(room: Room) -> None:
    await sign_in(room)
    await room.post("/v1/trials/import", study(1))
    tag = tag_of(await room.http.get(f"/trials/{NCT}"))
    await post(room, f"{NCT}/draft", tag=tag, x0='{"fact": "leak-typ", "op": "eq", "value": "x"}')
    refused = await post(room, f"{NCT}/publish")
    assert refused.status_code == 409
    assert "leak-typ: isn&#39;t in the program&#39;s vocabulary" in refused.text


async def test_no_page_names_a_patient(room: Room) -> None:
    await sign_in(room)
    await room.desk.publish(CVF)
    patient_id = await room.desk.admit(**FISTULA)
    (match,) = (await room.get(f"/v1/trials/{CVF}/matches")).json()["matches"]
    at = f"/trials/{CVF}/matches/{match['match_id']}"
    await post(room, f"{CVF}/matches/{match['match_id']}/workflow", state="interested")
    for path in ("/trials", f"/trials/{CVF}", at, f"/trials/{CVF}/deciding"):
        page = await room.http.get(path)
        assert page.status_code == 200
        for hidden in (patient_id, "1986", "2025-11-20"):
            assert hidden not in page.text
    assert "interested" in (await room.http.get(at)).text
    assert (await room.http.get(f"/trials/{CVF}/matches/{patient_id}")).status_code == 404


async def test_a_subscription_stands_on_the_page_and_its_test_event_is_sent(room: Room) -> None:
    await sign_in(room)
    made = await room.post("/v1/subscriptions", {"name": "My matches", "channel": "sse"})
    assert made.status_code == 201, made.text
    name = made.json()["subscription_id"]
    page = await room.http.get("/trials")
    assert "My matches" in page.text
    assert "server-sent events" in page.text
    assert (await post(room, f"subscriptions/{name}/test")).status_code == 303
    assert len((await room.get(f"/v1/subscriptions/{name}/reports")).json()["reports"]) == 1
    await sign_in(room, "bo")
    assert "My matches" not in (await room.http.get("/trials")).text
    assert (await post(room, f"subscriptions/{name}/test")).status_code == 404
