"""Counts of people, told so that nobody is found behind them. Pure.

Every count is told as a range of five; under five it reads "fewer than 5", none at all among them. Exact neighbours of
a masked count would give it away (all minus possible minus ruled out), and so would the same question asked twice with
one criterion changed: ranges leave at least three answers open in the first case, and mostly hide one person in the
second.
"""

from dataclasses import dataclass

STEP = 5


@dataclass(frozen=True, slots=True)
class Range:
    """Both ends included."""

    at_least: int
    at_most: int

    def __str__(self) -> str:
        return f"fewer than {STEP}" if self.at_least == 0 else f"{self.at_least:,} to {self.at_most:,}"

    def view(self) -> dict[str, int | str]:
        """As JSON."""
        return {"at_least": self.at_least, "at_most": self.at_most, "text": str(self)}


def masked(count: int) -> Range:
    """The range in which a count lies."""
    low = count - count % STEP
    return Range(low, low + STEP - 1)
