"""One change as it was posted, checked by its model, and what all of its appliers share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

ADAPTER = "console"
T = TypeVar("T")


class UnknownSubject(Exception):  # noqa: N818  # an answer to who posted it
    """The change is about a subject that this patient doesn't have."""


@dataclass(frozen=True, slots=True)
class Posted:
    """One change: ``name`` without prefix and major, ``data`` its validated posted model."""

    name: str
    subject_id: str
    data: Any

    @property
    def family(self) -> str:
        return self.name.partition(".")[0]


def put(known: Sequence[T], new: T, same: Callable[[T], bool]) -> tuple[T, ...]:
    """What is known with ``new`` in the place of what is the ``same``, or added."""
    return (*(each for each in known if not same(each)), new)
