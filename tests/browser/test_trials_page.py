"""The coordinators' page in a real browser: live counts, reasons in place, no script needed, nothing from elsewhere."""

import re
from itertools import product
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.test_demo_page import watch
from tests.support.browser import DESK, HAS_CHROMIUM
from tests.support.coordinating import CVF
from tests.support.trials_page import sign_in, trials_page

pytestmark = [pytest.mark.browser, pytest.mark.skipif(not HAS_CHROMIUM, reason="no Chromium"), pytest.mark.timeout(180)]

ASKED = '{"fact": "ichd-3-met", "op": "eq", "value": true}'


async def test_counts_follow_the_draft_while_it_is_edited(page: Page, tmp_path: Path) -> None:
    complaints, outside = watch(page)
    async with trials_page(tmp_path) as (room, url):
        await sign_in(page, url, room.tokens["ana"])
        await page.get_by_role("link", name=re.compile("Study 1")).click()
        await expect(page.locator(".criterion.unparsed")).to_have_count(3)
        counts = page.locator("#counts")
        await expect(counts).to_contain_text("10 to 14")
        await page.locator(".criterion summary").first.click()
        await page.locator("textarea[name=x0]").fill('{"fact": "leak-type", "op": "eq", "value": "type-1"}')
        await expect(counts.locator("dd").nth(2)).to_have_text("10 to 14", timeout=10_000)
        await page.locator("textarea[name=x0]").fill("{")
        await expect(counts).to_contain_text("criterion i1: what is asked isn't JSON", timeout=10_000)
        await page.locator("textarea[name=x0]").fill(ASKED)
        await expect(counts.locator("dd").nth(2)).to_have_text("fewer than 5", timeout=10_000)
        await page.get_by_role("button", name="Save draft").click()
        await expect(page.locator(".criterion.unparsed")).to_have_count(2)
        await expect(page.locator("#draft")).to_contain_text("ICHD-3 criteria met")
        wide = await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        assert not wide
        assert not complaints
        assert not outside


async def test_a_match_opens_in_place_with_its_signs_and_sentences(page: Page, tmp_path: Path) -> None:
    complaints, outside = watch(page)
    async with trials_page(tmp_path) as (room, url):
        await sign_in(page, url, room.tokens["bo"])
        await page.goto(f"{url}/{CVF}")
        await page.locator("details.match", has_text="? e1").first.locator("summary").click()
        opened = page.locator(".judged li")
        await expect(opened).to_have_count(9)
        await expect(opened.nth(1)).to_contain_text("✓")
        await expect(page.locator(".judged .not-known")).to_contain_text("not: pregnant")
        await expect(page.locator(".reasons").filter(has_text="Ask about")).to_contain_text("decides 1 of")
        await page.get_by_text("Which missing facts would decide?").click()
        await expect(page.locator("#deciding")).to_contain_text("pregnant: decides for fewer than 5 patients")
        await page.get_by_role("button", name="Invite now").click()
        await expect(page.get_by_text("invitations released")).to_be_visible()
        assert not complaints
        assert not outside


async def test_without_scripts_everything_is_still_there(browser: Browser, tmp_path: Path) -> None:
    context = await browser.new_context(
        viewport={"width": DESK["width"], "height": DESK["height"]}, java_script_enabled=False
    )
    plain = await context.new_page()
    async with trials_page(tmp_path) as (room, url):
        await sign_in(plain, url, room.tokens["ana"])
        await plain.goto(f"{url}/NCT00000001")
        await plain.locator(".criterion summary").first.click()
        await plain.locator("textarea[name=x0]").fill(ASKED)
        await plain.get_by_role("button", name="Save draft").click()
        await expect(plain.locator("#counts")).to_contain_text("fewer than 5")
        await expect(plain.locator(".criterion.unparsed")).to_have_count(2)
        await plain.goto(f"{url}/{CVF}")
        await plain.locator("details.match summary").first.click()
        await plain.get_by_role("link", name="Open this match").first.click()
        await expect(plain.locator(".judged li")).to_have_count(9)
    await context.close()


async def test_axe_finds_nothing_serious(browser: Browser, tmp_path: Path) -> None:
    axe = pytest.importorskip("axe_playwright_python.async_playwright")
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    async with trials_page(tmp_path) as (room, url):
        for width, scheme in product((390, 1280), schemes):
            context = await browser.new_context(
                viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
            )
            await _visit_all(axe, await context.new_page(), url, room.tokens["bo"])
            await context.close()


async def _visit_all(axe: object, seen: Page, url: str, token: str) -> None:
    await seen.goto(url)
    await _nothing_serious(axe, seen)
    await sign_in(seen, url, token)
    await _nothing_serious(axe, seen)
    for path in ("NCT00000001", CVF):
        await seen.goto(f"{url}/{path}")
        for summary in await seen.locator("summary:visible").all():
            await summary.click()
        if path == CVF:
            await expect(seen.locator(".judged").last).to_be_visible()
        await _nothing_serious(axe, seen)
    await seen.get_by_role("link", name="Open this match").first.click()
    await _nothing_serious(axe, seen)


async def _nothing_serious(axe: object, seen: Page) -> None:
    found = await axe.Axe().run(seen)  # type: ignore[attr-defined]  # imported only where it is installed
    serious = [each for each in found.response["violations"] if each["impact"] in ("serious", "critical")]
    assert [(each["id"], [node["target"] for node in each["nodes"]][:3]) for each in serious] == [], seen.url
