"""What a benchmark reports, as a table and as JSON."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """``ours`` and ``limit`` in ``unit``, both measured in this run; ``goal`` is what to reach, in words.

    A unit "… per second" is a speed, where more is better; of any other unit less is.
    """

    name: str
    ours: float
    unit: str
    limit: float | None = None
    goal: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times as good as ``limit`` is ``ours``; None where nothing is compared."""
        if self.limit is None or not self.ours or not self.limit:
            return None
        return self.ours / self.limit if "/s" in self.unit else self.limit / self.ours


def table(figures: Iterable[Figure]) -> str:
    """A line for each figure."""
    lines = [f"{'what':<72} {'ours':>10} {'limit':>10} {'ratio':>8}  {'unit':<14} to reach"]
    for each in figures:
        limit = "" if each.limit is None else f"{each.limit:10.3f}"
        ratio = "" if each.ratio is None else f"{each.ratio:8.2f}"
        line = f"{each.name:<72} {each.ours:10.3f} {limit:>10} {ratio:>8}  {each.unit:<14} {each.goal}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def write(figures: Iterable[Figure], path: Path) -> None:
    """``{"name": {"ours": …, "limit": …, "ratio": …, "unit": …, "goal": …}}``, beside what earlier runs left there."""
    known = json.loads(path.read_text()) if path.exists() else {}
    for each in figures:
        known[each.name] = {**asdict(each), "ratio": each.ratio}
        del known[each.name]["name"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=2) + "\n")
