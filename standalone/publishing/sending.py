"""Sends lines in batches and goes on past what is refused, without ever putting a patient's events out of order.

Once a line is refused, the later lines of its patient are kept back: what they say may only be true after it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from standalone.publishing.intake import TooLarge
from standalone.publishing.lines import Bad, Line

Post = Callable[[Sequence[Line]], Sequence[Bad]]

MAX_LINES = 500
MAX_BYTES = 900_000
"""Below the body limit of 1 MiB; where intake takes less, it says so, and the batch is halved."""


@dataclass(slots=True)
class Tally:
    """Lines, by what became of them. ``kept_back``: good, but after a refused one of the same patient."""

    accepted: int = 0
    refused: int = 0
    kept_back: int = 0

    @property
    def lines(self) -> int:
        return self.accepted + self.refused + self.kept_back


@dataclass(slots=True)
class Sending:
    """``post`` says what is wrong with a batch, of which nothing was taken then; ``report`` is told of each refusal.

    ``progress`` is called whenever the tally has changed.
    """

    post: Post
    report: Callable[[Bad], None]
    progress: Callable[[Tally], None]
    tally: Tally = field(default_factory=Tally)
    _refused_at: dict[str, int] = field(default_factory=dict)

    def send(self, lines: Iterable[tuple[Line, Sequence[Bad]]]) -> None:
        """All of them; ``tally`` says what became of them, also when ``post`` raises."""
        for batch in _batches(self._good(lines)):
            self._send(self._in_order(batch))
            self.progress(self.tally)
        self.progress(self.tally)

    def _good(self, lines: Iterable[tuple[Line, Sequence[Bad]]]) -> Iterator[Line]:
        for line, bad in lines:
            if bad:
                self._refuse(bad)
            else:
                yield line

    def _send(self, batch: list[Line]) -> None:
        while batch:
            try:
                bad = self.post(batch)
            except TooLarge:
                if len(batch) > 1:
                    half = len(batch) // 2
                    self._send(batch[:half])
                    self._send(self._in_order(batch[half:]))
                    return
                bad = [Bad(batch[0], "", "is larger than intake takes")]
            if not bad:
                self.tally.accepted += len(batch)
                return
            refused = self._refuse(bad)
            batch = self._in_order([line for line in batch if line.number not in refused])

    def _refuse(self, bad: Sequence[Bad]) -> set[int]:
        for each in bad:
            self.report(each)
            if (patient := each.line.patient_id) is not None:
                self._refused_at[patient] = min(each.line.number, self._refused_at.get(patient, each.line.number))
        numbers = {each.line.number for each in bad}
        self.tally.refused += len(numbers)
        return numbers

    def _in_order(self, lines: Sequence[Line]) -> list[Line]:
        """Without those that come after a refused line of their patient."""
        kept = [line for line in lines if line.number < self._refused_at.get(line.patient_id or "", line.number + 1)]
        self.tally.kept_back += len(lines) - len(kept)
        return kept


def _batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    batch: list[Line] = []
    size = 0
    for line in lines:
        if batch and (len(batch) == MAX_LINES or size + len(line.text) > MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line.text) + 1
    if batch:
        yield batch
