"""``upright up``: the whole system on this machine and on real time, until Ctrl-C."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from chassis.clock import SystemClock
from standalone.broker import BrokerUnavailableError
from standalone.process import FolderInUseError, logging_to, own_folder, run
from standalone.running import write_running
from standalone.start_page import add_start_page, write_header_files
from standalone.system import Name, NotReadyError, System
from standalone.terminal import paint, say, step
from standalone.web import MailboxPages, server, with_mailbox

EXPECTED = (BrokerUnavailableError, FolderInUseError, NotReadyError, OSError)
"""What people can put right: said in one line, without a traceback."""


def default_folder() -> Path:
    """Where the platform keeps a user's data (XDG base directories)."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "upright"


def up(
    data: Annotated[Path | None, typer.Option(help="Folder for everything it keeps.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the start page and the mailbox; 0: a free one.")] = 0,
    intake_port: Annotated[int, typer.Option(min=0, max=65535, help="Of intake's API; 0: a free one.")] = 0,
    notifier_port: Annotated[int, typer.Option(min=0, max=65535, help="Of the notifier's API; 0: a free one.")] = 0,
    trials_port: Annotated[int, typer.Option(min=0, max=65535, help="Of trials' API and page; 0: a free one.")] = 0,
) -> None:
    """Run the whole system on this machine: broker, services and a mailbox. Mail goes to the mailbox only."""
    folder = (data or default_folder()).resolve()
    try:
        with own_folder(folder), logging_to(folder / "upright.log"):
            ports: dict[Name, int] = {"intake": intake_port, "notifier": notifier_port, "trials": trials_port}
            system = System(folder, SystemClock(), ports=ports)
            status = run(lambda: serve(system, port))
    except EXPECTED as error:
        typer.echo(f"upright up: {error}", err=True)
        raise typer.Exit(1) from None
    raise typer.Exit(status)


async def serve(system: System, port: int) -> int:
    """Until it is cancelled (0), or a part dies (1). Whatever was started is stopped."""
    say(paint("Upright", "bold") + " on this machine. Mail stays in its mailbox; none leaves.")
    try:
        with step("broker"):
            await system.start_broker()
        with step("services"):
            await system.start()
            await system.ready()
            await system.arm(system.clock.now())
        write_header_files(system)
        write_running(system.folder, system)
        app = with_mailbox(MailboxPages(system.mailbox))
        add_start_page(app, system)
        page = server(app, port)
        url = f"http://127.0.0.1:{await page.start()}/"
        try:
            return await _wait(system, url)
        finally:
            await page.stop()
    finally:
        await system.stop()


async def _wait(system: System, url: str) -> int:
    say(f"\n  {paint('Start here', 'bold')}   {url}")
    say(f"  Mailbox      {url}mailbox/")
    say(f"  Intake       {system.intake_url}")
    say(f"  Notifier     {system.notifier_url}")
    say(f"  Trials       {system.trials_url}")
    say(f"  Data         {system.folder}   (upright --data {system.folder} COMMAND speaks to it)")
    say("\n  Ctrl-C ends all of it.")
    try:
        await system.failed()
    except asyncio.CancelledError:
        say("\nStopping.")
        return 0
    say(paint(f"A part of a service has died; see {system.folder / 'upright.log'}", "red"))
    return 1
