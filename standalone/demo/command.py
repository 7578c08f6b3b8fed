"""``upright demo``: play the story, say what became of it, and show it in a browser until Ctrl-C."""

import asyncio
import os
import shutil
import sys
import tempfile
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from standalone.broker import BrokerUnavailableError
from standalone.demo.desks import StuckError
from standalone.demo.equation import Equation, equation
from standalone.demo.pages import add_demo_pages
from standalone.demo.show import Show
from standalone.demo.story import CAST
from standalone.demo.timeline import tell_changes, tell_seen
from standalone.process import FolderInUseError, logging_to, own_folder, run
from standalone.running import write_running
from standalone.start_page import write_header_files
from standalone.system import NotReadyError
from standalone.terminal import paint, say, step
from standalone.web import server, with_mailbox

EXPECTED = (BrokerUnavailableError, FolderInUseError, NotReadyError, StuckError, OSError)
"""What is said in one line, without a traceback."""


def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the story; its last line is the equation.")] = False,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the page's address only.")] = False,
    data: Annotated[Path | None, typer.Option(help="Keep the run's files in this folder.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the page; 0: a free one.")] = 0,
) -> None:
    """Play the story on this machine. Only the clock is simulated: events go through the broker, mail through SMTP."""
    open_browser = not (once or no_browser or "CI" in os.environ)
    try:
        with _folder(data) as folder, logging_to(folder / "upright.log"):
            status = run(lambda: perform(folder, once=once, open_browser=open_browser, port=port))
    except EXPECTED as error:
        typer.echo(f"upright demo: {error}", err=True)
        raise typer.Exit(1) from None
    raise typer.Exit(status)


@contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    """A folder of this run's own; without ``--data`` it is gone afterwards."""
    if data is None:
        with tempfile.TemporaryDirectory(prefix="upright-demo-") as made:
            yield Path(made)
        return
    folder = data.resolve()
    with own_folder(folder):
        for old in folder.glob("run-*"):
            shutil.rmtree(old)
        yield folder


async def perform(folder: Path, *, once: bool, open_browser: bool, port: int) -> int:
    """0 when the equation is balanced, 1 when not, or when the services died. Ctrl-C on the page is a good end."""
    say(f"{paint('Upright', 'bold')}: three weeks of a story. Only the clock and the people are made up.")
    show = Show(folder, tell=tell_changes, watch=tell_seen)
    try:
        await _start(show)
        say()
        seconds = await show.play_now()
        result = await equation(show.driver.system)
        _figures(show, seconds)
        if not once:
            _let_others_in(folder, show)
            await _on_page(show, result, open_browser=open_browser, port=port)
    finally:
        await show.close()
    say(paint(str(result), "bold", "green" if result.balanced else "red"))
    return 0 if result.balanced else 1


async def _start(show: Show) -> None:
    with step("broker"):
        await show.driver.system.start_broker()
    with step("services"):
        await show.open()


def _figures(show: Show, seconds: float) -> None:
    driver = show.driver
    events, mails = sum(each.events for each in driver.posted), len(driver.system.mailbox.messages)
    say(f"\n{paint('✓', 'green')} story     {paint(f'{events} events, {mails} mails, {seconds:.1f} s', 'dim')}")


def _let_others_in(folder: Path, show: Show) -> None:
    """Other commands find the system that runs now, also after a new start from the page."""

    def write() -> None:
        driver = show.driver
        write_header_files(driver.system)
        write_running(folder, driver.system, {name.lower(): driver.posts.id_of(name, "patient") for name in CAST})

    write()
    show.renewed = write
    say(f"  A patient's mails, in another terminal: upright --data {folder} plan --patient ana\n")


async def _on_page(show: Show, result: Equation, *, open_browser: bool, port: int) -> None:
    """Until Ctrl-C."""
    app = with_mailbox(show.mailbox_pages)
    add_demo_pages(app, show)
    page = server(app, port)
    url = f"http://127.0.0.1:{await page.start()}/demo"
    try:
        say(f"  {result}\n\n  {paint('Look at it', 'bold')}   {url}\n  Ctrl-C ends it.")
        if open_browser and _has_browser():
            await asyncio.to_thread(webbrowser.open, url)
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        say("\nStopping.")
    finally:
        await page.stop()


def _has_browser() -> bool:
    """A text browser would take over the terminal; a desktop is there where a display is."""
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
