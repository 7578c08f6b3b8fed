"""The registry's client against a server that plays the API, with its faults."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from services.trials.registry.api import Pace, RegistryError, fetch_pages
from services.trials.registry.records import Read
from services.trials.registry.trial import RegistryTrial
from tests.support.registry_server import Body, RegistryServer, Status, cut, http, silence

QUICK = Pace(between=0.0, timeout=10.0, attempts=3, first_wait=0.01, longest_wait=1.0)


def study(number: int) -> dict[str, Any]:
    return {"protocolSection": {"identificationModule": {"nctId": f"NCT{number:08}"}}}


@pytest.fixture
async def server() -> AsyncIterator[RegistryServer]:
    async with RegistryServer([study(number) for number in range(25)]) as running:
        yield running


async def fetch(
    server: RegistryServer, *, token: str | None = None, pace: Pace = QUICK, page_size: int = 10
) -> tuple[list[Read], list[str | None]]:
    records: list[Read] = []
    tokens = []
    async with httpx2.AsyncClient() as http_client:
        pages = fetch_pages(
            http_client, server.url, query={"query.cond": "headache"}, token=token, page_size=page_size, pace=pace
        )
        async for page, next_token in pages:
            records += page.records
            tokens.append(next_token)
    return records, tokens


def ids(records: list[Read]) -> list[str]:
    return [each.registry_id for each in records if isinstance(each, RegistryTrial)]


ALL = [f"NCT{number:08}" for number in range(25)]


async def test_all_pages_are_read_in_order_with_the_token_to_save_after_each(server: RegistryServer) -> None:
    records, tokens = await fetch(server)
    assert ids(records) == ALL
    assert tokens == ["t10", "t20", None]
    assert [asked.get("pageToken") for asked in server.asked] == [None, "t10", "t20"]
    assert {asked["query.cond"] for asked in server.asked} == {"headache"}


async def test_a_saved_token_goes_on_where_it_was_saved(server: RegistryServer) -> None:
    records, tokens = await fetch(server, token="t20")
    assert ids(records) == ALL[20:]
    assert tokens == [None]


@pytest.mark.parametrize(("wanted", "asked"), [(5000, "1000"), (0, "1")])
async def test_no_page_is_asked_for_that_the_registry_wouldnt_give(
    server: RegistryServer, wanted: int, asked: str
) -> None:
    server.script(Body(b'{"studies": []}'))
    await fetch(server, page_size=wanted)
    assert server.asked[0]["pageSize"] == asked


async def test_requests_keep_their_pace(server: RegistryServer) -> None:
    begun = asyncio.get_running_loop().time()
    await fetch(server, pace=replace(QUICK, between=0.25))
    _, second, third = (each - begun for each in server.times)
    assert second >= 0.25
    assert third >= 0.5


async def test_a_server_that_asks_to_wait_is_waited_for(server: RegistryServer) -> None:
    server.script(Status("429 Too Many Requests", retry_after="1"))
    records, _ = await fetch(server)
    assert ids(records) == ALL
    assert server.times[1] - server.times[0] > 0.95


async def test_a_server_that_asks_for_hours_isnt_waited_for(server: RegistryServer) -> None:
    server.script(Status("503 Busy", retry_after="7200"))
    with pytest.raises(RegistryError, match="503 and asks to wait 7200 s"):
        await fetch(server)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Status("500 Oops"),
        Status("429 Too Many Requests", retry_after="Wed, 21 Oct 2026 07:28:00 GMT"),
        cut,
        silence,
        Body(b"<html>Maintenance</html>"),
        lambda *_: b"",
        lambda *_: http("200 OK", b"no gzip", "Content-Encoding: gzip"),
    ],
    ids=["500", "429", "cut", "silent", "no JSON", "hangs up", "not as packed as it says"],
)
async def test_a_passing_fault_costs_no_record(server: RegistryServer, fault: Any) -> None:
    server.script(lambda playing, asked: http("200 OK", playing.page(asked)), fault)
    records, _ = await fetch(server, pace=replace(QUICK, timeout=0.5))
    assert ids(records) == ALL
    assert [asked.get("pageToken") for asked in server.asked] == [None, "t10", "t10", "t20"]


async def test_a_lasting_fault_ends_with_the_token_to_go_on_from(server: RegistryServer) -> None:
    server.script(lambda playing, asked: http("200 OK", playing.page(asked)), *[Status("500 Oops")] * 3)
    with pytest.raises(RegistryError, match="answered 500") as failed:
        await fetch(server)
    assert failed.value.token == "t10"
    assert len(server.asked) == 4
    records, _ = await fetch(server, token=failed.value.token)
    assert ids(records) == ALL[10:]


@pytest.mark.parametrize("line", ["400 Bad Request", "403 Forbidden", "404 Not Found", "301 Moved"])
async def test_what_the_server_wont_answer_is_asked_once(server: RegistryServer, line: str) -> None:
    server.script(Status(line))
    with pytest.raises(RegistryError, match=f"answered {line[:3]}"):
        await fetch(server)
    assert len(server.asked) == 1


async def test_a_token_that_comes_again_ends_the_loop(server: RegistryServer) -> None:
    server.script(*[Body(json.dumps({"studies": [study(1)], "nextPageToken": token}).encode()) for token in "abca"])
    with pytest.raises(RegistryError, match="same token twice") as failed:
        await fetch(server)
    assert failed.value.token == "c"


async def test_an_empty_page_ends_nothing_while_there_is_a_token(server: RegistryServer) -> None:
    server.script(Body(b'{"studies": [], "nextPageToken": "t20"}'))
    records, tokens = await fetch(server)
    assert ids(records) == ALL[20:]
    assert tokens == ["t20", None]


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"studies": {}}', b'{"studies": [], "nextPageToken": 7}'])
async def test_json_that_is_no_page_is_an_error(server: RegistryServer, body: bytes) -> None:
    server.script(*[Body(body)] * 3)
    with pytest.raises(RegistryError, match="answered with what"):
        await fetch(server)


@pytest.mark.parametrize("packed", [False, True])
async def test_an_answer_is_bounded_also_when_it_is_packed(server: RegistryServer, packed: bool) -> None:
    body = b'{"studies": [' + b" " * 100_000 + b"]}"
    sent = http("200 OK", gzip.compress(body), "Content-Encoding: gzip") if packed else http("200 OK", body)
    server.script(lambda *_: sent)
    with pytest.raises(RegistryError, match="more than 50,000 bytes"):
        await fetch(server, pace=replace(QUICK, largest=50_000))
    assert len(server.asked) == 1


@pytest.mark.parametrize("base", ["http://127.0.0.1:1", "ftp://127.0.0.1"])
async def test_nobody_at_the_address_is_an_error_in_words(base: str) -> None:
    async with httpx2.AsyncClient() as client:
        with pytest.raises(RegistryError, match="can't be read"):
            await anext(fetch_pages(client, base, pace=QUICK))
