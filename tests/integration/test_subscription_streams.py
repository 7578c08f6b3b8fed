"""Server-sent events over a real connection: all that was told, each as it comes, resumed where a client stopped."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
import pytest
from fastapi import routing

from chassis.http_server import HttpServer
from chassis.settings import HttpSettings, StoreSettings
from tests.support.coordinating import CVF, FISTULA, Room, coordinators
from tests.support.research import Research, research
from tests.support.subscribing import follow, subscribe, told


@dataclass(slots=True)
class Stream:
    """An open stream, read event by event as the specification of server-sent events has it."""

    answer: httpx2.Response
    lines: AsyncIterator[str]
    raw: str = ""

    async def next(self) -> dict[str, str]:
        """The next event's fields; comments are skipped. Empty at the end of the stream."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(10):
            async for line in self.lines:
                self.raw += f"{line}\n"
                if line.startswith(":"):
                    continue
                if not line and fields:
                    return fields
                name, _, value = line.partition(": ")
                if name:
                    fields[name] = value
        return fields


@pytest.fixture
async def desk(store_settings: StoreSettings) -> AsyncIterator[Research]:
    async with research(store_settings) as one:
        yield one


@pytest.fixture
async def room(desk: Research) -> AsyncIterator[Room]:
    async with coordinators(desk) as one:
        yield one


@pytest.fixture
async def client(desk: Research, room: Room) -> AsyncIterator[httpx2.AsyncClient]:
    server = HttpServer(desk.trials.app, HttpSettings(port=0))
    port = await server.start()
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=room.headers("ana")) as http:
        yield http
    await server.stop()


@asynccontextmanager
async def stream(client: httpx2.AsyncClient, subscription_id: str, last: str | None = None) -> AsyncIterator[Stream]:
    headers = {"last-event-id": last} if last else {}
    async with client.stream("GET", f"/v1/subscriptions/{subscription_id}/events", headers=headers) as answer:
        yield Stream(answer, answer.aiter_lines())


async def test_a_stream_tells_what_was_and_what_comes_and_goes_on_where_a_client_stopped(
    desk: Research, room: Room, client: httpx2.AsyncClient
) -> None:
    await desk.publish(CVF)
    mine = (await subscribe(room))["subscription_id"]
    grace = await desk.admit(**FISTULA)
    await follow(desk)
    async with stream(client, mine) as opened:
        assert opened.answer.headers["content-type"].startswith("text/event-stream")
        first = await opened.next()
        assert (first["event"], first["id"]) == ("report.found", "1")
        coming = asyncio.create_task(opened.next())
        await desk.admit(**FISTULA)
        await follow(desk)
        desk.trials.subscribed.bell.ring()
        assert (await coming)["id"] == "2"
        for secret in (grace, "1986-05-02", "2025-11-20", "type-3"):
            assert secret not in opened.raw
    await room.post(f"/v1/subscriptions/{mine}/test")
    async with stream(client, mine, last="1") as again:
        assert [(await again.next())["id"], (await again.next())["event"]] == ["2", "report.test"]
    assert len(await told(room, mine)) == 3


async def test_a_stream_ends_when_its_subscription_does(room: Room, client: httpx2.AsyncClient) -> None:
    mine = (await subscribe(room))["subscription_id"]
    await room.post(f"/v1/subscriptions/{mine}/test")
    async with stream(client, mine) as opened:
        assert (await opened.next())["event"] == "report.test"
        ending = asyncio.create_task(opened.next())
        await room.http.delete(f"/v1/subscriptions/{mine}", headers=room.headers("ana"))
        assert await ending == {}


async def test_a_silent_stream_is_kept_alive_with_comments(
    room: Room, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing, "_PING_INTERVAL", 0.05)  # the framework's own
    mine = (await subscribe(room))["subscription_id"]
    async with stream(client, mine) as opened, asyncio.timeout(10):
        assert (await anext(opened.lines)).startswith(":")


async def test_what_is_wrong_with_a_request_is_said_before_a_stream_begins(
    room: Room, client: httpx2.AsyncClient
) -> None:
    mine = (await subscribe(room))["subscription_id"]
    digest = (await subscribe(room, "digest", to="ana@research.example.org"))["subscription_id"]
    for subscription_id, last, status in ((mine, "x", 422), (mine, "9" * 40, 422), (digest, None, 409)):
        async with stream(client, subscription_id, last) as opened:
            await opened.answer.aread()
            assert opened.answer.status_code == status
            assert opened.answer.headers["content-type"] == "application/problem+json"


async def test_many_reports_come_in_order_and_without_a_gap(room: Room, client: httpx2.AsyncClient) -> None:
    mine = (await subscribe(room))["subscription_id"]
    for _ in range(120):
        await room.post(f"/v1/subscriptions/{mine}/test")
    async with stream(client, mine) as opened:
        assert [(await opened.next())["id"] for _ in range(120)] == [str(each) for each in range(1, 121)]
