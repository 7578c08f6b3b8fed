"""``upright trials subscribe`` and its siblings, as typed at a terminal against a real service that listens."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis.http_server import HttpServer
from chassis.settings import HttpSettings, StoreSettings
from tests.support.cli import Said, Terminal
from tests.support.coordinating import CVF, FISTULA, Room, coordinators
from tests.support.research import research
from tests.support.subscribing import follow


class Counter:
    """A coordinator's terminal beside a service that listens."""

    def __init__(self, room: Room, port: int) -> None:
        self.room = room
        url = f"http://127.0.0.1:{port}"
        self._terminal = Terminal({"UPRIGHT_TRIALS_URL": url, "UPRIGHT_API_KEY": room.tokens["ana"]})

    async def run(self, *arguments: str) -> Said:
        return await self._terminal.beside("trials", *arguments)


@pytest.fixture
async def counter(tmp_path: Path) -> AsyncIterator[Counter]:
    store = StoreSettings(url=f"sqlite:///{tmp_path / 'trials.db'}")
    async with research(store) as desk, coordinators(desk) as room:
        server = HttpServer(desk.trials.app, HttpSettings(port=0))
        try:
            yield Counter(room, await server.start())
        finally:
            await server.stop()


async def test_a_coordinator_subscribes_tests_watches_and_ends(counter: Counter) -> None:
    desk = counter.room.desk
    await desk.publish(CVF)
    made = await counter.run("subscribe", "Fistulas", "--trial", CVF, "--least", "possible")
    rows = dict(line.split("\t") for line in made.out.splitlines())
    mine = rows["subscription"]
    assert rows["events"] == f"/v1/subscriptions/{mine}/events"
    patient = await desk.admit(**{name: value for name, value in FISTULA.items() if name != "pregnant"})
    await follow(desk)
    assert (await counter.run("test-event", mine)).status == 0
    watched = await counter.run("watch", mine, "--from-beginning", "-n", "2")
    first, asked, second = watched.out.splitlines()
    assert first.split("\t")[:3] == ["1", "found", CVF]
    assert asked.strip().startswith("? e1: ")
    assert second.split("\t")[:2] == ["2", "test"]
    assert patient not in watched.out
    listed = (await counter.run("subscriptions")).out
    assert listed.split("\t") == [mine, "Fistulas", "sse", "active", "2", CVF, "possible\n"]
    assert (await counter.run("unsubscribe", mine)).status == 0
    assert (await counter.run("subscriptions")).out == ""


async def test_a_webhooks_secret_is_printed_and_what_is_wrong_is_said_by_field(counter: Counter) -> None:
    webhook = ("subscribe", "Hook", "--channel", "webhook")
    assert "secret\twhsec_" in (await counter.run(*webhook, "--webhook", "https://hooks.example.org/x")).out
    wrong = await counter.run(*webhook, "--webhook", "https://10.0.0.1/")
    assert (wrong.status, wrong.err.strip()) == (1, "#/url: must be an address of the public internet")
    assert (await counter.run("watch", "17")).status == 2
    unknown = await counter.run("test-event", "5f0c6a3e-3b1e-4a39-9d4f-1c7be4a6a1d2")
    assert (unknown.status, unknown.err.strip()) == (1, "You have no such subscription.")
