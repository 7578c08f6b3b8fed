"""A service in the process of others: however its end begins, nothing of it is left open."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import event

from chassis.clock import SimulatedClock
from chassis.http_server import HttpServer
from chassis.process import Service
from chassis.settings import HttpSettings, StoreSettings
from services.intake.app import Intake, build
from standalone.serving import Serving, listen
from tests.support.intake import NOW, PROGRAMS, settings

HTTP = HttpSettings(port=0)


@pytest.fixture
def intake(tmp_path: Path) -> Intake:
    return build(settings(StoreSettings(url=f"sqlite:///{tmp_path / 'intake.db'}"), []), SimulatedClock(NOW), PROGRAMS)


@pytest.fixture
async def serving(intake: Intake) -> AsyncIterator[Serving]:
    running = await listen(intake, "services.intake", HTTP)
    yield running
    await running.stop()


class StuckServer(HttpServer):
    """Its end never comes."""

    async def stop(self) -> None:
        await asyncio.Event().wait()


class FailingServer(HttpServer):
    async def stop(self) -> None:
        raise LookupError("no such server")


def disconnections(service: Service) -> list[object]:
    """Each connection of its store that is closed from now on."""
    closed: list[object] = []
    event.listen(service.store._writer.sync_engine.pool, "close", lambda *which: closed.append(which))
    return closed


async def test_what_listens_answers_until_it_is_stopped(serving: Serving) -> None:
    url = f"http://127.0.0.1:{serving.port}/readyz"
    async with httpx2.AsyncClient() as http:
        assert (await http.get(url)).status_code == 200
        await serving.stop()
        with pytest.raises(httpx2.ConnectError):
            await http.get(url)


async def test_a_server_that_fails_to_stop_keeps_neither_parts_nor_connections(serving: Serving) -> None:
    closed, intake = disconnections(serving.service), serving.service
    await intake.supervisor.start()
    with pytest.raises(LookupError):
        await Serving(intake, FailingServer(intake.app, HTTP), 0).stop()
    assert {each["state"] for each in intake.supervisor.status().values()} == {"stopped"}
    assert closed


async def test_who_gives_up_waiting_for_the_end_leaves_no_connection_behind(serving: Serving) -> None:
    closed, intake = disconnections(serving.service), serving.service
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await Serving(intake, StuckServer(intake.app, HTTP), 0).stop()
    assert closed


async def test_a_service_that_cannot_listen_is_closed(serving: Serving, tmp_path: Path) -> None:
    store = StoreSettings(url=f"sqlite:///{tmp_path / 'second.db'}")
    second = build(settings(store, []), SimulatedClock(NOW), PROGRAMS)
    closed = disconnections(second)
    with pytest.raises(OSError, match="in use"):
        await listen(second, "services.intake", HttpSettings(port=serving.port))
    assert closed
