"""Failures that are to be expected, said in one line with what to do, and the exit status of each.

0: done. 1: the answer is no (refused, not found, differs, unbalanced). 2: asked wrongly (an option, a setting, a key,
a file). 3: something that is needed doesn't answer; the same command may work later. 130: Ctrl-C.
"""

from typing import NoReturn

import typer

NO, WRONG, AWAY = 1, 2, 3


class Failure(Exception):  # noqa: N818 - an answer to who asked, not an error of the program
    """An expected failure; its text says what is wrong and what to do, without protected data."""

    def __init__(self, text: str, status: int = NO) -> None:
        super().__init__(text)
        self.status = status


def end(failure: Failure) -> NoReturn:
    """Say it on standard error and leave."""
    typer.secho(str(failure), fg=typer.colors.RED, err=True)
    raise typer.Exit(failure.status)
