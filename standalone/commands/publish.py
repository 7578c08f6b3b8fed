"""``upright publish FILE|-``."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from standalone.commands.errors import NO, WRONG, Failure
from standalone.commands.http import KeyFile, open_client

if TYPE_CHECKING:
    from standalone.publishing.lines import Bad
    from standalone.publishing.sending import Post, Tally

Url = Annotated[str | None, typer.Option(envvar="UPRIGHT_INTAKE_URL", help="Where intake is.", show_default=False)]


def publish(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A CloudEvent a line; - is standard input.")],
    url: Url = None,
    key_file: KeyFile = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check the lines here; nothing is sent.")] = False,
) -> None:
    """Post a file of events to intake.

    Lines are JSON, one structured CloudEvent each. They go in batches, in their order; a line that is refused is named
    and left out, and so are later lines of its patient. Running it again takes nothing twice. Exit status 1 when a
    line was refused.

    The key is read from UPRIGHT_API_KEY or from a file, so that no list of processes shows it.
    """
    from standalone.publishing.lines import read_lines
    from standalone.publishing.sending import Sending, Tally

    began = time.monotonic()
    tally = Tally()
    try:
        with _opened(file) as source, _sender(url, key_file, dry_run) as post, _progress(file) as progress:
            Sending(post, _report, progress, tally).send(read_lines(source))
    except Failure as failure:
        if not tally.accepted:
            raise
        done = f"{tally.accepted} lines had been accepted; the same command again takes nothing twice."
        raise Failure(f"{failure}\n{done}", failure.status) from failure
    _close(tally, "valid" if dry_run else "accepted", time.monotonic() - began)


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        with Path(file).open("rb") as opened:
            yield opened
    except OSError as error:
        raise Failure(f"{file} can't be read: {error.strerror}", WRONG) from None


@contextmanager
def _sender(url: str | None, key_file: Path | None, dry_run: bool) -> "Iterator[Post]":
    if dry_run:
        yield lambda lines: []
        return
    from standalone.publishing.intake import Intake

    with open_client(url, key_file, "intake") as client:
        yield Intake(client).post


@contextmanager
def _progress(file: str) -> "Iterator[Callable[[Tally], None]]":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from standalone.commands import screen

    console = screen.err()
    with Progress(
        "posting", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console, transient=True,
        disable=not console.is_terminal,
    ) as bar:  # fmt: skip
        task = bar.add_task("posting", total=None if file == "-" else _count(file))
        yield lambda tally: bar.update(task, completed=tally.lines)


def _count(file: str) -> int:
    with Path(file).open("rb") as opened:
        return sum(1 for line in opened if line.strip())


def _report(bad: "Bad") -> None:
    from standalone.commands import screen

    screen.note(f"line {bad.line.number}: {bad.where} {bad.why}".replace(":  ", ": "), "red")


def _close(tally: "Tally", well: str, seconds: float) -> None:
    from standalone.commands import screen

    said = f"{tally.accepted} {well}, {tally.refused} refused"
    if tally.kept_back:
        said += f", {tally.kept_back} not sent because an earlier line of their patient was refused"
    if tally.accepted < tally.lines:
        raise Failure(said, NO)
    screen.note(f"{said} ({seconds:.1f} s)", "green")
