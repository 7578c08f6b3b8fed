"""The mails in a real browser: the date is seen at once on a small phone, nothing overflows, everything is readable.

``PICTURES=<folder> pytest tests/browser/test_mails.py`` also saves their pictures at each width, light and dark.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser, Page, ViewportSize

from schemas.outcomes import Kind
from services.notifier.digest_mail import DIGEST
from services.notifier.digests.making import say
from services.notifier.render import render
from services.notifier.template_set import template_set
from tests.support.digest_mails import MAIL as DIGEST_MAIL
from tests.support.mails import KINDS, a_mail, every_shape

pytestmark = pytest.mark.browser

SHAPES = every_shape()
STORY = {f"{kind}-{tier}": a_mail(kind, tier) for kind in KINDS for tier in (0, 1)}
SIZES: dict[str, ViewportSize] = {
    "small": {"width": 320, "height": 568},
    "phone": {"width": 390, "height": 844},
    "desk": {"width": 1280, "height": 900},
}
CONTRAST = """() => {
  const parse = text => { const m = text.match(/[\\d.]+/g).map(Number); return m.length > 3 && m[3] === 0 ? null : m };
  const linear = c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = rgb => rgb.slice(0, 3).map(c => linear(c / 255))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = node => { for (let n = node; n; n = n.parentElement) {
    const color = parse(getComputedStyle(n).backgroundColor); if (color) return color } return [255, 255, 255] };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let worst = 21;
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !parent.checkVisibility() || parent.closest('style')) continue;
    const [a, b] = [light(parse(getComputedStyle(parent).color)), light(behind(parent))];
    worst = Math.min(worst, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
  }
  return worst }"""
SMALLEST_TEXT = """() => Math.min(...[...document.querySelectorAll('p, li, h2')]
  .map(node => parseFloat(getComputedStyle(node).fontSize)))"""


@asynccontextmanager
async def opened(browser: Browser, scheme: Literal["light", "dark"] = "light") -> AsyncIterator[Page]:
    """A page without a network, on a small phone."""
    context = await browser.new_context(color_scheme=scheme, offline=True, viewport=SIZES["small"])
    yield await context.new_page()
    await context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_mail_fits_its_width_and_can_be_read(browser: Browser, scheme: Literal["light", "dark"]) -> None:
    async with opened(browser, scheme) as page:
        for size, viewport in SIZES.items():
            await page.set_viewport_size(viewport)
            pages = {name: render(mail).html for name, mail in (SHAPES if size == "small" else STORY).items()}
            for name, html in (pages | {DIGEST: say(DIGEST_MAIL, template_set(DIGEST, "en")).html}).items():
                await page.set_content(html)
                assert await page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], name
                # WCAG 2.2, 1.4.3 asks for 4.5; 1.4.6 for 7.
                assert await page.evaluate(CONTRAST) >= 7, name
                assert await page.evaluate(SMALLEST_TEXT) >= 16, name
                await save_picture(page, f"{name}-{size}-{scheme}")


async def test_the_date_is_seen_without_scrolling_on_a_small_phone(browser: Browser) -> None:
    async with opened(browser) as page:
        for name, mail in SHAPES.items():
            if mail.kind in (Kind.PAPERWORK, Kind.CANCELLATION, Kind.TRIAL_INVITATION):
                continue  # their date stands in the first sentence, or they have none
            await page.set_content(render(mail).html)
            box = await page.locator(".when").bounding_box()
            # A mail program's own header takes the upper part of the screen.
            assert box
            assert box["y"] + box["height"] < 568 * 0.6, name


async def test_a_name_stays_a_name(browser: Browser) -> None:
    mail = a_mail(tier=1, given_name="<img src=x onerror=\"document.title='hacked'\">")
    async with opened(browser) as page:
        await page.set_content(render(mail).html)
        assert await page.title() == "Appointment reminder"
        assert await page.locator("img").count() == 0


async def save_picture(page: Page, name: str) -> None:
    if folder := os.environ.get("PICTURES"):
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
