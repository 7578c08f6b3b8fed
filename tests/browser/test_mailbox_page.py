"""The mailbox's pages in a real browser: usable at phone and desk width, and inert whatever a mail contains."""

import asyncio
import socket
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import pytest
import uvicorn
from fastapi import FastAPI
from playwright.async_api import Page

from standalone.mailbox import Mailbox, router
from tests.support.browser import DESK, PHONE
from tests.support.eventually import eventually

pytestmark = pytest.mark.browser

HOSTILE = """<!doctype html><html><head><title>x</title></head><body>
<h1>Tuesday, March 16</h1><a id="link" href="{target}">See how to get ready</a>
<script>top.document.title = "hacked"; parent.location = "about:blank"</script>
<img src="x" onerror="top.document.title='hacked'"><img src="{beacon}"><link rel="stylesheet" href="{beacon}">
<form action="{beacon}"><button id="post">Send</button></form></body></html>"""


@pytest.fixture
async def mailbox(tmp_path: Path) -> AsyncIterator[Mailbox]:
    async with Mailbox(tmp_path) as running:
        yield running


@pytest.fixture
async def site(mailbox: Mailbox) -> AsyncIterator[str]:
    """The address of the mailbox's pages, served under a prefix by a real server."""
    app = FastAPI()
    app.include_router(router(mailbox), prefix="/mailbox")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        serving = asyncio.create_task(server.serve([listening]))
        await eventually(lambda: server.started)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/mailbox/"
        server.should_exit = True
        await serving


async def send(mailbox: Mailbox, subject: str, html: str | None = None) -> None:
    mail = EmailMessage()
    mail["From"] = "Cedars-Sinai <reminders@clinic.example.org>"
    mail["To"] = "ana@example.org"
    mail["Subject"] = subject
    mail["Date"] = "Tue, 09 Mar 2027 10:00:00 -0800"
    mail["X-Upright-Simulated"] = "true"
    mail.set_content("Hello,\n\nYou have an appointment with Cedars-Sinai.\n")
    if html is not None:
        mail.add_alternative(html, subtype="html")
    mail.add_attachment(b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", maintype="text", subtype="calendar")
    await aiosmtplib.send(mail, hostname="127.0.0.1", port=mailbox.port)


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
async def test_nothing_is_wider_than_the_screen(mailbox: Mailbox, site: str, page: Page, size: dict[str, int]) -> None:
    await send(mailbox, "Unbroken" * 40, "<p>Hello</p>")
    await page.set_viewport_size({"width": size["width"], "height": size["height"]})
    own = f"{site}messages/{mailbox.messages[0].id}"
    for address in (site, own, f"{own}?tab=text", f"{own}?tab=source", f"{own}?tab=calendar"):
        await page.goto(address)
        assert await page.evaluate("document.documentElement.scrollWidth") <= size["width"]


async def test_from_the_list_one_tap_opens_a_mail_and_its_tabs(mailbox: Mailbox, site: str, page: Page) -> None:
    await send(mailbox, "Appointment reminder", "<p>The HTML part</p>")
    await page.goto(site)
    await page.get_by_role("link", name="Appointment reminder").click()
    assert await page.frame_locator("iframe").get_by_text("The HTML part").is_visible()
    await page.get_by_role("link", name="Text", exact=True).click()
    assert await page.get_by_text("You have an appointment with Cedars-Sinai.").is_visible()
    await page.get_by_role("link", name="Calendar", exact=True).click()
    async with page.expect_download() as loading:
        await page.get_by_role("link", name="Download .ics").click()
    assert (await loading.value).suggested_filename == "calendar.ics"


async def test_a_mail_can_neither_run_scripts_nor_load_post_or_leave_its_frame_but_its_links_open(
    mailbox: Mailbox, site: str, page: Page
) -> None:
    asked: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readline()).decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as other:
        elsewhere = f"http://127.0.0.1:{other.sockets[0].getsockname()[1]}"
        await send(mailbox, "Reminder", HOSTILE.format(beacon=f"{elsewhere}/beacon", target=f"{elsewhere}/page"))
        own = f"{site}messages/{mailbox.messages[0].id}"
        await page.goto(own)
        frame = page.frame_locator("iframe")
        await frame.locator("#post").click()
        async with page.expect_popup() as opening:
            await frame.locator("#link").click()
        await (await opening.value).wait_for_load_state()
        assert (await page.title(), page.url) == ("Reminder – Upright", own)
        await page.goto(f"{own}/html")  # also alone, without our frame around it
        assert await page.title() == "x"
    assert {line.split()[1] for line in asked} - {"/favicon.ico"} == {"/page"}


async def test_the_pages_own_style_passes_their_own_policy_in_light_and_dark(
    mailbox: Mailbox, site: str, page: Page
) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    grounds = set()
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        await page.goto(site)
        assert await page.evaluate("getComputedStyle(document.documentElement).fontSize") == "18px"
        grounds.add(await page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 2
    assert complaints == []


async def test_deleting_takes_two_taps_and_leaves_an_empty_mailbox(mailbox: Mailbox, site: str, page: Page) -> None:
    await send(mailbox, "Appointment reminder")
    await page.goto(site)
    await page.get_by_text("Delete all mails").click()
    await page.get_by_role("button", name="Delete 1 now").click()
    assert await page.get_by_role("heading", name="No mail yet").is_visible()
    assert mailbox.messages == []
