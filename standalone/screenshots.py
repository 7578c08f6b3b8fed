"""Takes the pictures in ``docs/images``: the demo's page and its mails. Needs Playwright and a Chromium.

Mails are shown at a phone's width, with images off. ``python -m standalone.screenshots [FOLDER]``.
"""

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Browser, Page, Route, async_playwright

from standalone.demo.ledger import Entry, entries
from standalone.demo.pages import add_demo_pages
from standalone.demo.show import Show
from standalone.mailbox import Message
from standalone.process import logging_to
from standalone.web import server, with_mailbox

IMAGES = Path(__file__).parents[1] / "docs" / "images"
DESK, PHONE, MAIL = (1280, 1080), (390, 844), (390, 400)
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run")
SHOWN = ("Ana", "appointment-reminder", "P14D")
"""The row that is chosen on the page."""

MATCHED = ("Hana", "TEST-ICHD-1")
"""The match whose reasons are shown."""

MAILS = {
    "mail-reminder-tier0": ("Ben", "appointment-reminder", "P7D"),
    "mail-reminder-tier1": ("Ana", "appointment-reminder", "P3D"),
    "mail-reminder-with-forms": ("Ana", "appointment-reminder", "P14D"),
    "mail-forms": ("Ana", "paperwork-request", "request"),
    "mail-late-booking": ("David", "late-booking", "P3D"),
    "mail-change": ("David", "appointment-change", None),
    "mail-cancellation": ("David", "appointment-cancellation", None),
    "mail-invitation-tier0": ("Grace", "trial-invitation", None),
    "mail-invitation-tier1": ("Hana", "trial-invitation", None),
}


async def take(folder: Path) -> None:
    """All pictures, anew, into ``folder``."""
    with tempfile.TemporaryDirectory() as work, logging_to(Path(work) / "upright.log"):
        show = Show(Path(work), tell=lambda changes: None, watch=lambda posted: None)
        try:
            await show.open()
            await show.play_now()
            app = with_mailbox(show.mailbox_pages)
            add_demo_pages(app, show)
            listening = server(app, 0)
            try:
                await _browse(show, f"http://127.0.0.1:{await listening.start()}", folder)
            finally:
                await listening.stop()
        finally:
            await show.close()


async def _browse(show: Show, url: str, folder: Path) -> None:
    ledger = await entries(show.driver.system, show.driver.posts)
    row = _find(ledger, SHOWN).delivery_id
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        match = next(each.match_id for each in show.driver.matched if (each.person, each.trial) == MATCHED)
        pages = {
            "demo": (f"?row={row}#row-{row}", DESK),
            "demo-phone": ("?person=David", PHONE),
            "demo-trials": (f"?match={match}#trials", DESK),
        }
        for name, (query, size) in pages.items():
            page = await _open(browser, f"{url}/demo{query}", size)
            await page.screenshot(path=folder / f"{name}.png")
        for name, wanted in MAILS.items():
            message = _mail(show, _find(ledger, wanted))
            page = await _open(browser, f"{url}/mailbox/messages/{message.id}/html", MAIL)
            await page.screenshot(path=folder / f"{name}.png", full_page=True)
        await browser.close()


async def _open(browser: Browser, url: str, size: tuple[int, int]) -> Page:
    """A page in a context of its own, with images off."""
    context = await browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme="light")
    page = await context.new_page()
    await page.route("**/*", _without_images)
    await page.goto(url, wait_until="networkidle")
    return page


async def _without_images(route: Route) -> None:
    if route.request.resource_type == "image":
        await route.abort()
    else:
        await route.continue_()


def _find(ledger: list[Entry], wanted: tuple[str, str, str | None]) -> Entry:
    return next(each for each in ledger if (each.person, each.kind, each.step) == wanted and each.message_id)


def _mail(show: Show, entry: Entry) -> Message:
    messages = show.driver.system.mailbox.messages
    return next(each for each in messages if each.header("Message-ID").strip() == entry.message_id)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(take(folder))
    for picture in sorted(folder.glob("*.png")):
        print(f"{picture.name}: {picture.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
