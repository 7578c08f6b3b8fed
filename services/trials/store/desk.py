"""What coordinators look at: pages of trials, the matches of one, and how far each match has come."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.trials.store.catalogue import StoredTrial, list_trials
from services.trials.store.matches import StoredPair, load_pairs
from services.trials.tables import matches, trials


class Workflow(StrEnum):
    """How far a match has come. ``found`` until somebody says otherwise."""

    FOUND = "found"
    INVITED = "invited"
    INTERESTED = "interested"
    DECLINED = "declined"
    SCREENING = "screening"
    ENROLLED = "enrolled"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class MatchRow:
    """A match as stored. ``patient_id`` is for us alone: no coordinator sees it."""

    patient_id: str
    trial_id: str
    stored: StoredPair
    changed_at: datetime


async def list_page(
    connection: AsyncConnection, tenant: str, after: str | None, limit: int
) -> tuple[list[StoredTrial], str | None]:
    """So many trials after this registry id, and the id to go on after; None after the last."""
    query = select(trials.c.trial_id, trials.c.registry_id).where(trials.c.tenant == tenant)
    query = query if after is None else query.where(trials.c.registry_id > after)
    rows = (await connection.execute(query.order_by(trials.c.registry_id).limit(limit + 1))).all()
    found = await list_trials(connection, tenant, [row.trial_id for row in rows[:limit]])
    return found, rows[limit - 1].registry_id if len(rows) > limit else None


async def list_matches(
    connection: AsyncConnection, tenant: str, trial_id: str, programs: Iterable[str], limit: int, *, withdrawn: bool
) -> list[MatchRow]:
    """A trial's matches in these programs, the newest first; ``withdrawn`` ones, or those that stand."""
    query = (
        select(matches)
        .where(
            matches.c.tenant == tenant, matches.c.trial_id == trial_id, matches.c.program.in_(sorted(programs)),
            matches.c.withdrawn.is_not(None) if withdrawn else matches.c.withdrawn.is_(None),
        )
        .order_by(matches.c.found_at.desc(), matches.c.match_id)
        .limit(limit)
    )  # fmt: skip
    return await _rows(connection, tenant, query)


async def find_match(
    connection: AsyncConnection, tenant: str, trial_id: str, match_id: str, programs: Iterable[str]
) -> MatchRow | None:
    """One match in these programs."""
    query = select(matches).where(
        matches.c.tenant == tenant, matches.c.trial_id == trial_id, matches.c.match_id == match_id,
        matches.c.program.in_(sorted(programs)),
    )  # fmt: skip
    return next(iter(await _rows(connection, tenant, query)), None)


async def record_workflow(connection: AsyncConnection, match_id: str, workflow: Workflow) -> None:
    """How far it has come."""
    await connection.execute(update(matches).where(matches.c.match_id == match_id).values(workflow=workflow))


async def _rows(connection: AsyncConnection, tenant: str, query: Any) -> list[MatchRow]:
    rows = list(await connection.execute(query))
    pairs = await load_pairs(connection, {(tenant, row.patient_id) for row in rows})
    return [
        MatchRow(row.patient_id, row.trial_id, pairs[tenant, row.patient_id][row.trial_id], row.changed_at)
        for row in rows
    ]
