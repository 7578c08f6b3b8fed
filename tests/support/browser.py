"""A real Chromium for tests of pages; tests that ask for ``page`` are skipped where there is none."""

import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright

CHROMIUM = Path("/usr/bin/chromium")
HAS_CHROMIUM = CHROMIUM.exists()
ARGUMENTS = [
    "--headless",
    "--remote-debugging-port=0",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
START_SECONDS = 30.0
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where one Chromium without a window listens, for all tests of a worker: starting it costs seconds."""
    if not HAS_CHROMIUM:
        pytest.skip(f"no Chromium at {CHROMIUM}")
    profile = tmp_path_factory.mktemp("chromium")
    told = profile / "DevToolsActivePort"
    command = [str(CHROMIUM), *ARGUMENTS, f"--user-data-dir={profile}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + START_SECONDS
        while not (told.exists() and told.read_text().count("\n")):
            assert process.poll() is None, "Chromium ended"
            assert time.monotonic() < until, "Chromium doesn't start"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{told.read_text().splitlines()[0]}"
        process.terminate()


@pytest.fixture
async def browser(chromium: str) -> AsyncIterator[Browser]:
    """Our own line to it; what was opened over it is closed with it."""
    async with async_playwright() as playwright:
        connected = await playwright.chromium.connect_over_cdp(chromium)
        yield connected
        await connected.close()


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """One page at phone width, in a context of its own."""
    context = await browser.new_context(viewport={"width": PHONE["width"], "height": PHONE["height"]})
    yield await context.new_page()
    await context.close()
