"""Stop and start any part in the middle of the demo's events: the same mails and matches come out, none twice."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.notifier import refusing
from standalone.demo.driver import Driver
from standalone.demo.equation import equation
from standalone.demo.story import civil
from standalone.system import Name
from tests.support.eventually import eventually
from tests.support.stage import STAGES, on_stage
from tests.support.story import (
    EQUATION,
    MAILS,
    MATCHED,
    MATCHES,
    NOT_SENT,
    REPORTS,
    mails_of,
    matched,
    matches_of,
    not_sent,
    reported,
)

PATIENCE = 150.0
"""Seconds: a broker that is new takes up to 20 to divide its topics, and what the guard then calls stale waits 30."""

Telling = Callable[[Driver], Awaitable[None]]
"""Tells one step of the story, with trouble in it."""


def restarts(name: Name) -> Telling:
    async def telling(driver: Driver) -> None:
        async with in_the_middle(driver):
            await driver.system.stop_service(name)
            await driver.system.start_service(name)

    return telling


async def broker_dies(driver: Driver) -> None:
    async with in_the_middle(driver):
        await driver.system.broker.kill()
        await driver.system.broker.start()


async def smtp_away(driver: Driver) -> None:
    await driver.system.mailbox.stop()
    async with in_the_middle(driver):
        sender = driver.system.notifier.sender
        await eventually(lambda: sender.status()["smtp"] != "ready", within=20)
        await driver.system.mailbox.start()


@asynccontextmanager
async def in_the_middle(driver: Driver) -> AsyncIterator[None]:
    """One step, with the block in it: the clock has moved, or something was posted."""
    before, posted = driver.clock.now(), len(driver.posted)
    step = asyncio.create_task(driver.step(PATIENCE))
    await eventually(lambda: driver.clock.now() > before or len(driver.posted) > posted)
    yield
    await step


TROUBLES: dict[str, Telling] = {
    "2027-02-26 09:00": restarts("intake"),
    "2027-02-26 13:00": restarts("trials"),
    "2027-03-02 10:00": smtp_away,
    "2027-03-04 10:00": restarts("trials"),
    "2027-03-04 14:00": restarts("notifier"),
    "2027-03-08 09:30": restarts("trials"),
    "2027-03-09 11:00": restarts("notifier"),
    "2027-03-12 11:15": restarts("notifier"),
}
"""What goes wrong, by the simulated time at which it does."""

WITHOUT_MEMORY = {"2027-03-02 08:00": broker_dies}
"""The embedded broker comes back empty; a real one isn't ours to kill here."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("stage", STAGES)
async def test_the_same_mails_come_out_whatever_is_restarted(
    stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusing, "AGAIN_SECONDS", 2.0)  # a service that comes back knows the truth in a few seconds
    troubles = TROUBLES | (WITHOUT_MEMORY if stage == "embedded" else {})
    async with on_stage(stage, tmp_path) as driver:
        for moment, telling in sorted(troubles.items()):
            while await driver.next_moment() < civil(moment):
                await driver.step()
            await telling(driver)
        await driver.play()
        assert await mails_of(driver) == MAILS
        assert await not_sent(driver) == NOT_SENT
        assert await matches_of(driver) == MATCHES
        assert await reported(driver) == REPORTS
        assert str(await equation(driver.system)) == EQUATION


@pytest.mark.skipif("CI" not in os.environ, reason="the whole story once more: CI asks for it")
async def test_every_event_may_come_twice(tmp_path: Path) -> None:
    async with on_stage("embedded", tmp_path) as driver:
        driver.twice = True
        await driver.play()
        assert await mails_of(driver) == MAILS
        assert matched(driver) == MATCHED
        assert await reported(driver) == REPORTS
        assert str(await equation(driver.system)) == EQUATION
