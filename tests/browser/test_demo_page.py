"""The demo's page in a real browser: what it shows, its buttons, and that nothing is loaded from elsewhere."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, Request, expect

from standalone.demo.pages import add_demo_pages
from standalone.demo.show import Show
from standalone.demo.story import civil
from standalone.web import server, with_mailbox
from tests.support.browser import HAS_CHROMIUM

pytestmark = [pytest.mark.browser, pytest.mark.skipif(not HAS_CHROMIUM, reason="no Chromium"), pytest.mark.timeout(180)]


@asynccontextmanager
async def demo_page(folder: Path) -> AsyncIterator[tuple[Show, str]]:
    """The show and its page's address; the story hasn't begun."""
    show = Show(folder, tell=lambda changes: None, watch=lambda posted: None)
    try:
        await show.open()
        app = with_mailbox(show.mailbox_pages)
        add_demo_pages(app, show)
        listening = server(app, 0)
        try:
            yield show, f"http://127.0.0.1:{await listening.start()}/demo"
        finally:
            await listening.stop()
    finally:
        await show.close()


async def test_the_page_tells_the_story_and_why(page: Page, tmp_path: Path) -> None:
    complaints, outside = watch(page)
    async with demo_page(tmp_path) as (show, url):
        await page.goto(url)
        banner = page.locator(".banner.fixed")
        await expect(banner).to_contain_text("Simulated clock: Fri 26 Feb 2027, 09:00 PST.")
        await expect(banner).to_contain_text(
            "Only the clock is simulated: every event went through the broker, every mail through SMTP."
        )
        await expect(page.locator("body")).to_contain_text("not affiliated with or endorsed by the hospitals")
        await page.get_by_role("button", name="Next event").click()
        await expect(page.locator(".story")).to_contain_text("is asked for four forms", timeout=30_000)
        await expect(page.get_by_role("button", name="Next event")).to_be_enabled(timeout=30_000)
        await page.get_by_role("button", name="Next event").click()
        await page.get_by_text("You have a form to complete").click(timeout=30_000)
        await expect(page.locator(".detail")).to_contain_text("Sent")
        await expect(page.locator(".detail")).to_contain_text("when the forms were requested")
        mail = page.frame_locator("iframe.mail")
        await expect(mail.get_by_text("Medical record release authorization").first).to_be_visible()
        await page.locator(".detail").get_by_role("link", name="Text").click()
        await expect(page.locator(".detail .written")).to_contain_text("Hello Ana")
        await page.locator(".detail").get_by_role("link", name="Source").click()
        await expect(page.locator(".detail .written")).to_contain_text("X-Upright-Simulated: true")
        await expect(page.locator(".sum")).to_contain_text("balanced")
        wide = await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        assert not wide
        assert not show.trouble
        assert not complaints
        assert not outside


async def test_the_page_shows_trials_and_why_somebody_matches(page: Page, tmp_path: Path) -> None:
    complaints, outside = watch(page)
    async with demo_page(tmp_path) as (show, url):
        while show.driver.clock.now() < civil("2027-03-04 14:00"):
            await show.driver.step()
        await page.goto(url)
        trials = page.get_by_role("region", name="Trials")
        await expect(trials).to_contain_text("invitations released")
        await expect(trials).to_contain_text("invitations wait for a second person")
        await expect(trials).to_contain_text("Frank withdrawn")
        await expect(page.locator(".story")).not_to_contain_text("Ivan matches")
        await expect(trials).not_to_contain_text("Ivan")
        await trials.get_by_text("What Nora’s subscription was told (6)").click()
        await expect(trials).to_contain_text("TEST-ICHD-1: withdrawn")
        await trials.get_by_role("link", name="Hana possible").first.click()
        why = page.get_by_role("complementary", name="Why it matches")
        await expect(why).to_contain_text("Hana and TEST-CVF-1")
        await expect(why).to_contain_text("To be asked: pregnant.")
        await expect(why.get_by_role("listitem").filter(has_text="not: pregnant")).to_contain_text("?")
        await expect(why.get_by_role("listitem").filter(has_text="leak type is")).to_contain_text("✓")
        await expect(why).not_to_contain_text("1994")
        assert not await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        await why.get_by_role("link", name="Close").click()
        await trials.get_by_role("link", name="Frank withdrawn").click()
        await expect(why).to_contain_text("doesn’t stand any more")
        await page.goto(f"{url}?person=Ivan")
        await expect(trials).to_contain_text("Ivan is in no match.")
        assert not complaints
        assert not outside


async def test_mail_waits_while_smtp_is_stopped_and_the_story_starts_again(
    page: Page,
    tmp_path: Path,
) -> None:
    async with demo_page(tmp_path) as (show, url):
        await show.driver.step()
        await page.goto(url)
        await page.get_by_text("Break something").click()
        await page.get_by_role("button", name="Stop SMTP").click()
        await expect(page.locator(".banner.warn")).to_contain_text("SMTP is stopped")
        await page.get_by_role("button", name="Next event").click()
        await expect(page.locator(".banner.fixed")).to_contain_text("09:15 PST", timeout=30_000)
        assert not show.driver.system.mailbox.messages
        await page.get_by_role("button", name="Start SMTP").click()  # what was opened is still open
        await expect(page.locator(".story")).to_contain_text("You have a form to complete", timeout=60_000)
        assert len(show.driver.system.mailbox.messages) == 1
        await page.get_by_role("button", name="Start again").click()
        await expect(page.locator(".story")).to_contain_text("Nothing has happened yet", timeout=30_000)
        assert show.driver.clock.now() == civil("2027-02-26 09:00")
        assert show.driver.system.folder.name == "run-2"


def watch(page: Page) -> tuple[list[str], list[str]]:
    """What the browser complains of (its policy included), and requests to other hosts."""
    complaints: list[str] = []
    outside: list[str] = []

    def asked(request: Request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:", "about:")):
            outside.append(request.url)

    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", asked)
    return complaints, outside
