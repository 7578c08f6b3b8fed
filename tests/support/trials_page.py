"""The coordinators' page in a real browser, over a trials service that listens."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Page

from chassis.http_server import HttpServer
from chassis.settings import HttpSettings, StoreSettings
from tests.support.coordinating import CVF, FISTULA, Room, coordinators, study
from tests.support.research import research

WITHOUT = ("pregnant", "allergies")


@asynccontextmanager
async def trials_page(folder: Path) -> AsyncIterator[tuple[Room, str]]:
    """An imported trial, a published one with matches; the address of the page."""
    async with research(StoreSettings(url=f"sqlite:///{folder / 'trials.db'}")) as desk, coordinators(desk) as room:
        await room.post("/v1/trials/import", [study(1, TEXT), study(2)])
        await desk.publish(CVF)
        for _ in range(6):
            await desk.admit(**FISTULA)
        for name in WITHOUT:
            for _ in range(3):
                await desk.admit(**{fact: value for fact, value in FISTULA.items() if fact != name})
        server = HttpServer(desk.trials.app, HttpSettings(port=0))
        try:
            yield room, f"http://127.0.0.1:{await server.start()}/trials"
        finally:
            await server.stop()


async def sign_in(page: Page, url: str, key: str) -> None:
    await page.goto(url)
    await page.get_by_label("Your API key").fill(key)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("heading", name="Trials", exact=True).wait_for()


TEXT = """Inclusion Criteria:
* Spontaneous intracranial hypotension by ICHD-3
* Able to lie flat for two hours

Exclusion Criteria:
* Pregnancy
"""
