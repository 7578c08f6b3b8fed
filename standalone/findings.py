"""What ``upright doctor`` says, line by line."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """``note``: it works as it was set up, and somebody should know."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the answer; ``todo`` is empty where there is nothing to do."""

    verdict: Verdict
    service: str
    what: str
    said: str
    todo: str = ""
