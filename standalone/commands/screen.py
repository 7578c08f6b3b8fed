"""What the commands print. Tables for a terminal, tab-separated lines for a pipe; nothing that could steer a terminal.

Results go to standard output, progress and complaints to standard error.
"""

from collections.abc import Iterable, Sequence

import typer
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

UNSAFE = "\N{REPLACEMENT CHARACTER}"

SENTENCE = 40
"""Characters: a longer text may be wrapped; ids and times stay in one piece, so that they can be copied."""

GAP = 3


def out() -> Console:
    """Standard output as it is now; tests and pipes exchange it."""
    return Console(highlight=False, soft_wrap=True)


def err() -> Console:
    """Standard error."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def clean(text: object) -> str:
    """One line, without control characters, escape sequences or marks that turn the reading direction."""
    return "".join(each if each.isprintable() else UNSAFE for each in str(text))


def say(text: str, style: str = "", indent: int = 0) -> None:
    """One line of the result, wrapped at words where somebody reads it; ``text`` is no markup."""
    console = out()
    if not console.is_terminal:
        typer.echo(" " * indent + clean(text))
        return
    console.print(Padding(Text(clean(text), style), (0, 0, 0, indent)), soft_wrap=False)


def row(texts: Sequence[object], style: str = "") -> None:
    """One row of a result that grows line by line; to a pipe tab-separated."""
    if not out().is_terminal:
        typer.echo("\t".join(map(clean, texts)).rstrip("\t"))
        return
    say("  ".join(f"{each:<12}" if at == 0 else str(each) for at, each in enumerate(texts)), style)


def note(text: str, style: str = "dim") -> None:
    """One line for the person at the terminal, not for a pipe."""
    err().print(Text(clean(text), style))


def table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows under names, or row by row where they are too wide; to a pipe tab-separated and without the names."""
    console = out()
    texts = [[clean(each) for each in row] for row in rows]
    if not console.is_terminal:
        for row in texts:
            typer.echo("\t".join(row))
        return
    longest = [max(map(len, column)) for column in zip(names, *texts, strict=True)]
    if sum(min(each, SENTENCE) + GAP for each in longest) <= console.width:
        shown = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
        for name, width in zip(names, longest, strict=True):
            shown.add_column(name, no_wrap=width <= SENTENCE)
        for row in texts:
            shown.add_row(*(Text(each) for each in row))
        console.print(shown, soft_wrap=False)
        return
    for row in texts:
        _print_below_each_other(console, names, row)


def _print_below_each_other(console: Console, names: Sequence[str], row: Sequence[str]) -> None:
    width = max(map(len, names))
    for name, text in zip(names, row, strict=True):
        if text:
            console.print(Text(f"{name:>{width}}  ", "dim").append(text, "default not dim"))
    console.print()
