"""The table of a run, on the screen and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.chaos.rounds import Row

BAD = ("waits", "lost", "doubled", "stale", "after_cancellation", "wrong")
HEAD = (
    f"{'fault':<44}{'patients':>9}{'owed':>6}{'sent':>6}{'missed':>7}{'unc.':>5}{'rep.':>5}{'waits':>6}{'lost':>5}"
    f"{'twice':>6}{'stale':>6}{'s':>6}"
)


def line(row: Row) -> str:
    """One row; below it whatever is wrong."""
    if row.skipped:
        return f"{row.name:<44}  skipped: {row.skipped}"
    one = row.outcome
    stale = len(one.stale) + len(one.after_cancellation)
    numbers = (
        f"{one.patients:>9}{one.owed:>6}{one.sent:>6}{one.missed:>7}{one.uncertain:>5}{one.repeated:>5}"
        f"{len(one.waits):>6}{len(one.lost):>5}{len(one.doubled):>6}{stale:>6}{row.seconds:>6.0f}"
    )
    faults = [f"    {name}: {each}" for name in BAD for each in getattr(one, name)]
    return "\n".join([f"{row.name:<44}{numbers}  {row.note}".rstrip(), *faults])


def as_json(rows: Sequence[Row], **about: Any) -> dict[str, Any]:
    """``well`` is the one answer."""
    return {"well": well(rows), **about, "rounds": [asdict(each) for each in rows]}


def well(rows: Sequence[Row]) -> bool:
    """Whether every round was."""
    return bool(rows) and all(each.skipped or each.outcome.well for each in rows)


def write(path: Path, report: dict[str, Any]) -> None:
    """As ``build/chaos.json``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")
