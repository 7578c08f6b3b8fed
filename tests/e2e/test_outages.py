"""Real processes on real servers, killed and started again in the middle of things: nothing lost, nothing twice.

The one thing that is waited for by the clock is an outage, which has a length.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from chassis.freshness import CAUGHT_UP_WITHIN
from services.notifier.smtp import SmtpSettings
from tests.support.eventually import eventually
from tests.support.installation import PATIENCE, Installation
from tests.support.installing import installed
from tests.support.processes import ServiceProcess
from tests.support.servers import CRASHES_SERVERS, Pair, Server
from tests.support.smtp_server import Deed

CONNECTIONS = SmtpSettings(host="127.0.0.1").connections
SETTLE_SECONDS = 15
"""Long enough, on a busy machine too, to crash a server between a booking and its mail."""
STALE_SECONDS = CAUGHT_UP_WITHIN.total_seconds()

pytestmark = [*CRASHES_SERVERS, pytest.mark.timeout(800)]


async def all_well(installation: Installation, patients: list[str]) -> None:
    """Everybody has had exactly one mail, everybody knows it, and nothing was buried on the way."""
    await eventually(lambda: installation.finished(patients), within=PATIENCE)
    assert installation.mails() == dict.fromkeys(patients, 1)
    assert set((await installation.states()).values()) == {"sent"}
    await nothing_is_buried(installation)


async def nothing_is_buried(installation: Installation) -> None:
    report = await installation.reconcile()
    assert report.balanced, report
    assert await installation.dead_letters() == 0
    assert await installation.dead_letters_on_topics() == 0


async def test_services_come_up_without_a_broker_and_work_once_it_is_there(pair: Pair, tmp_path: Path) -> None:
    pair.kill("kafka")
    async with installed(pair, tmp_path) as installation:
        await installation.start()
        patients = await installation.poster.book(5)
        assert await installation.states() == {}
        await asyncio.to_thread(pair.up, "kafka")
        for each in installation.services:
            assert await each.answers("/livez")
            assert await each.answers("/readyz")
        await installation.make_topics()
        await all_well(installation, patients)


async def test_a_store_that_is_away_for_a_minute_costs_time_and_nothing_else(pair: Pair, tmp_path: Path) -> None:
    async with installed(pair, tmp_path, settle=SETTLE_SECONDS) as installation:
        pair.up()
        await installation.open()
        before = await installation.poster.book(8)
        await eventually(lambda: installation.planned(before))
        unread = await published_and_not_read(installation, 8)
        async with away(pair, "postgres", seconds=60):
            assert not installation.mails(), "they fall due while the store is away"
            installation.notifier.resume()
            posting = asyncio.create_task(installation.poster.book(8))
            await eventually(lambda: installation.poster.answers["503 unavailable"], within=PATIENCE)
            assert not await installation.notifier.answers("/readyz")
            assert await installation.notifier.answers("/livez")
            await eventually(lambda: says(installation.notifier, "unavailable"), within=PATIENCE)
        meanwhile = await posting
        await all_well(installation, before + unread + meanwhile)
        assert installation.poster.answers.keys() == {"202", "503 unavailable"}


async def published_and_not_read(installation: Installation, how_many: int) -> list[str]:
    """The notifier is paused, so that it finds their events when its store is away."""
    installation.notifier.pause()
    patients = await installation.poster.book(how_many)
    await eventually(installation.relayed, within=PATIENCE)
    return patients


async def test_a_broker_that_is_away_holds_up_no_mail_that_is_due_and_loses_no_event(
    pair: Pair, tmp_path: Path
) -> None:
    async with installed(pair, tmp_path, settle=SETTLE_SECONDS) as installation:
        pair.up()
        await installation.open()
        before = await installation.poster.book(8)
        await eventually(lambda: installation.planned(before))
        async with away(pair, "kafka", seconds=20):
            assert not installation.mails(), "they fall due while the broker is away"
            meanwhile = await installation.poster.book(8)
            await eventually(lambda: installation.mails().keys() == set(before), within=STALE_SECONDS)
            assert not await installation.planned(meanwhile)
        await all_well(installation, before + meanwhile)
        assert installation.poster.answers.keys() == {"202"}


async def test_services_that_are_killed_in_the_middle_of_a_burst_lose_nothing_and_repeat_nothing(
    pair: Pair, tmp_path: Path
) -> None:
    async with installed(pair, tmp_path) as installation:
        pair.up()
        await installation.open()
        installation.smtp.script("dot", Deed.STALL, times=2)
        burst = asyncio.create_task(installation.poster.book(50))
        await eventually(lambda: installation.poster.answers["202"] > 10)
        await installation.intake.kill()
        await installation.leases_run_out(installation.intake)
        await installation.intake.start()
        patients = await burst
        await eventually(lambda: installation.smtp.stalled == 2 and installation.mails().total() > 10, within=PATIENCE)
        await installation.notifier.kill()
        installation.smtp.release()
        await installation.leases_run_out(installation.notifier)
        await installation.notifier.start()
        await eventually(lambda: installation.finished(patients), within=PATIENCE)
        await only_what_was_in_flight_is_uncertain(installation, patients)


async def only_what_was_in_flight_is_uncertain(installation: Installation, patients: list[str]) -> None:
    states, mails = await installation.states(), installation.mails()
    uncertain = {patient for patient, state in states.items() if state == "uncertain"}
    assert set(mails.values()) == {1}
    assert mails.keys() | uncertain == set(patients)
    assert 2 <= len(uncertain) <= CONNECTIONS
    await nothing_is_buried(installation)
    assert len((await installation.reconcile()).uncertain) == len(uncertain)


async def test_a_rolling_restart_of_two_notifiers_under_load_loses_nothing_and_repeats_nothing(
    pair: Pair, tmp_path: Path
) -> None:
    async with installed(pair, tmp_path, notifiers=2, smtp_delay=0.1) as installation:
        pair.up()
        await installation.open()
        rolled = asyncio.Event()
        load = asyncio.create_task(booking_until(rolled, installation))
        for each in installation.notifiers:
            assert await each.stop() == 0
            await each.start()
            await each.ready()
            await installation.reading()
        rolled.set()
        await all_well(installation, await load)


async def booking_until(over: asyncio.Event, installation: Installation) -> list[str]:
    """About two patients a second."""
    patients: list[str] = []
    while not over.is_set():
        patients += await installation.poster.book(1)
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), 0.5)
    return patients


async def says(process: ServiceProcess, state: str) -> bool:
    """Whether ``/status`` says so of its consumer."""
    return bool((await process.part(f"consumer {process.group}"))["state"] == state)


@asynccontextmanager
async def away(pair: Pair, server: Server, *, seconds: float) -> AsyncIterator[None]:
    """Crashed when the block begins, up again that long afterwards, when it has ended."""
    since = time.monotonic()
    await asyncio.to_thread(pair.kill, server)
    yield
    await asyncio.sleep(since + seconds - time.monotonic())
    await asyncio.to_thread(pair.up, server)
