"""Refusals: which field, and why, in words. A detail never holds what stood in the field."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """``pointer`` is a JSON pointer into the event (``/data/start``), empty for the event as a whole."""

    pointer: str
    detail: str


class Refused(Exception):  # noqa: N818  # refusing is an answer, not an error of the program
    """A posted event that makes no sense, with all that is wrong with it."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(f"refused: {', '.join(problem.pointer or 'event' for problem in problems)}")
        self.problems = problems


def refuse(pointer: str, detail: str) -> Refused:
    """The refusal with one problem."""
    return Refused(Problem(pointer, detail))


def refuse_all(problems: Iterable[Problem | None]) -> None:
    """Raise ``Refused`` when there is any problem; None is none."""
    found = tuple(problem for problem in problems if problem is not None)
    if found:
        raise Refused(*found)
