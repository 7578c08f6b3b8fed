"""What became of matches of people and trials, from the trials' own store: each step of a match, once."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from services.trials.tables import matches, trials
from standalone.demo.posts import Posts
from standalone.system import System


@dataclass(frozen=True, slots=True)
class Matched:
    """A match as it stands at the civil time ``at``. Without a verdict it was withdrawn."""

    at: datetime
    match_id: str
    version: int
    person: str
    trial: str
    verdict: str | None
    unknown: int

    @property
    def said(self) -> str:
        if self.verdict is None:
            return f"the match with {self.trial} is withdrawn"
        if self.verdict == "eligible":
            return f"matches {self.trial}: every criterion is met"
        return f"may match {self.trial}: {self.unknown} {'criterion' if self.unknown == 1 else 'criteria'} not known"


async def match_changes(system: System, posts: Posts, told: Mapping[str, int], at: datetime) -> list[Matched]:
    """Matches newer than ``told`` (versions by match id), by trial, then person."""
    joined = matches.join(trials, (matches.c.tenant == trials.c.tenant) & (matches.c.trial_id == trials.c.trial_id))
    asked = select(matches, trials.c.registry_id).select_from(joined)
    async with system.trials.store.read() as connection:
        rows = (await connection.execute(asked)).all()
    found = [
        Matched(
            at, row.match_id, row.version, posts.person_of(row.patient_id) or "?", row.registry_id,
            None if row.withdrawn else row.verdict, len(json.loads(row.unknown)),
        )
        for row in rows
        if row.version > told.get(row.match_id, 0)
    ]  # fmt: skip
    return sorted(found, key=lambda each: (each.trial, each.person))
