"""Kleene's three values: and is the least, or the greatest, not turns the scale round."""

from enum import IntEnum


class Truth(IntEnum):
    """``UNKNOWN`` says that with more knowledge it could become either; what is true or false stays so."""

    FALSE = 0
    UNKNOWN = 1
    TRUE = 2


FALSE, UNKNOWN, TRUE = Truth
_TURNED = (TRUE, UNKNOWN, FALSE)


def turned(truth: Truth) -> Truth:
    """Kleene's not."""
    return _TURNED[truth]


def truth_of(holds: object) -> Truth:
    """Of a Python condition."""
    return TRUE if holds else FALSE


def agreed(answers: set[Truth]) -> Truth:
    """The one answer that all possible worlds give, else unknown."""
    return next(iter(answers)) if len(answers) == 1 else UNKNOWN
