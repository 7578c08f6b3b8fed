"""What the commands print. Tables for a terminal, tab-separated lines for a pipe; nothing that could steer a terminal.

Results go to standard output, progress and complaints to standard error.
"""

from collections.abc import Iterable, Sequence

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

UNSAFE = "\N{REPLACEMENT CHARACTER}"
NO_WRAP_UP_TO = 40
"""Characters: ids and times stay in one piece, so that they can be copied."""


def out() -> Console:
    """Standard output as it is now; tests and pipes exchange it."""
    return Console(highlight=False, soft_wrap=True)


def err() -> Console:
    """Standard error."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def clean(text: object) -> str:
    """One line, without control characters, escape sequences or marks that turn the reading direction."""
    return "".join(each if each.isprintable() else UNSAFE for each in str(text))


def say(text: str, style: str = "") -> None:
    """One line of the result; ``text`` is no markup."""
    out().print(Text(clean(text), style))


def note(text: str, style: str = "dim") -> None:
    """One line for the person at the terminal, not for a pipe."""
    err().print(Text(clean(text), style))


def table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows under names; to a pipe without the names."""
    console = Console(highlight=False)
    texts = [[clean(each) for each in row] for row in rows]
    if not console.is_terminal:
        for row in texts:
            typer.echo("\t".join(row))
        return
    shown = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for index, name in enumerate(names):
        short = all(len(row[index]) <= NO_WRAP_UP_TO for row in texts)
        shown.add_column(name, no_wrap=short, overflow="fold")
    for row in texts:
        shown.add_row(*(Text(each) for each in row))
    console.print(shown)
