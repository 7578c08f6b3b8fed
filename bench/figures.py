"""What a benchmark reports, as a table and as JSON."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """``ours`` and ``limit`` in ``unit``; ``ratio``: how many times ``limit`` is ``ours``, where both are measured."""

    name: str
    ours: float
    unit: str
    limit: float | None = None

    @property
    def ratio(self) -> float | None:
        """None where nothing is compared."""
        return None if self.limit is None or not self.ours else self.limit / self.ours


def table(figures: Iterable[Figure]) -> str:
    """A line for each figure."""
    lines = [f"{'what':<66} {'ours':>10} {'limit':>10} {'ratio':>8}  unit"]
    for each in figures:
        limit = "" if each.limit is None else f"{each.limit:10.3f}"
        ratio = "" if each.ratio is None else f"{each.ratio:8.1f}"
        lines.append(f"{each.name:<66} {each.ours:10.3f} {limit:>10} {ratio:>8}  {each.unit}")
    return "\n".join(lines)


def write(figures: Iterable[Figure], path: Path) -> None:
    """``{"name": {"ours": …, "limit": …, "ratio": …, "unit": …}}``."""
    found = {each.name: {**asdict(each), "ratio": each.ratio} for each in figures}
    for each in found.values():
        del each["name"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n")
