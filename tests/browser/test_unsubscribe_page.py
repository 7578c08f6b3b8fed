"""The page behind "Stop research messages" in a real browser: one button, and it says when it is done.

``PICTURES=<folder> pytest tests/browser/test_unsubscribe_page.py`` also saves its pictures.
"""

import os
from pathlib import Path

import pytest
from fastapi import FastAPI
from playwright.async_api import Page

from chassis.http_server import HttpServer
from chassis.settings import HttpSettings, StoreSettings
from services.notifier.links import Link
from tests.browser.test_mails import CONTRAST
from tests.support.browser import DESK, PHONE
from tests.support.clinic import Clinic, clinic, new_id

pytestmark = pytest.mark.browser
NO_SMTP = 1


async def save(page: Page, name: str) -> None:
    if folder := os.environ.get("PICTURES"):
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def path_to(desk: Clinic, patient_id: str) -> str:
    links = desk.notifier.sender.checker.links
    assert links is not None
    return links.unsubscribe(Link(desk.tenant, patient_id, desk.program)).removeprefix(links.url)


async def served(app: FastAPI) -> tuple[HttpServer, str]:
    server = HttpServer(app, HttpSettings(port=0))
    return server, f"http://127.0.0.1:{await server.start()}"


async def test_one_button_ends_it_and_the_page_fits_phone_and_desk(page: Page, tmp_path: Path) -> None:
    async with clinic(StoreSettings(url=f"sqlite:///{tmp_path / 'store.db'}"), NO_SMTP) as desk:
        patient = new_id()
        await desk.hear(desk.patient(patient))
        server, url = await served(desk.notifier.app)
        try:
            for size, name in ((PHONE, "phone"), (DESK, "desk")):
                await page.set_viewport_size({"width": size["width"], "height": size["height"]})
                await page.goto(url + path_to(desk, patient))
                assert await page.evaluate("document.documentElement.scrollWidth") <= size["width"]
                assert await page.evaluate(CONTRAST) >= 4.5  # WCAG 2.2, 1.4.3
                assert await page.get_by_role("button").count() == 1
                await save(page, f"unsubscribe-{name}")
                await page.get_by_role("button", name="Stop research messages").click()
                await page.get_by_role("status").wait_for()
                assert await page.get_by_role("heading", name="Research messages have stopped").is_visible()
                await save(page, f"unsubscribed-{name}")
            await page.goto(url + "/v1/unsubscribe/nothing")
            assert await page.get_by_role("heading", name="This link does not work").is_visible()
            await save(page, "unsubscribe-bad-link")
        finally:
            await server.stop()
