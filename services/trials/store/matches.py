"""Pairs of patients and trials: the eligible and the possible ones, and tombstones of those withdrawn."""

import json
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.store import insert
from services.trials.matching.transitions import Pair, Stamp
from services.trials.matching.verdict import Verdict
from services.trials.store.patients import PatientKey
from services.trials.tables import matches

NAMES = uuid.UUID("b41e2f6c-2a55-5d0d-9a3e-6d6d1f0c9b72")
"""Namespace of match ids: the same pair has the same id in every store."""

_PATIENT = tuple_(matches.c.tenant, matches.c.patient_id)


@dataclass(frozen=True, slots=True)
class StoredPair:
    """A pair as stored. ``withdrawn`` is the reason of a tombstone."""

    match_id: str
    program: str
    version: int
    pair: Pair
    found_at: datetime
    withdrawn: str | None = None
    workflow: str = "found"


def match_id(tenant: str, patient_id: str, trial_id: str) -> str:
    return str(uuid.uuid5(NAMES, f"{tenant}/{patient_id}/{trial_id}"))


async def load_pairs(
    connection: AsyncConnection, keys: Iterable[PatientKey]
) -> dict[PatientKey, dict[str, StoredPair]]:
    """Every pair of these patients, by trial id."""
    rows = await connection.execute(select(matches).where(_PATIENT.in_(sorted(set(keys)))))
    found: defaultdict[PatientKey, dict[str, StoredPair]] = defaultdict(dict)
    for row in rows:
        found[row.tenant, row.patient_id][row.trial_id] = _stored(row)
    return found


async def list_patients(connection: AsyncConnection, tenant: str, trial_id: str) -> list[PatientKey]:
    """Who matches this trial as stored."""
    mine = (matches.c.tenant == tenant) & (matches.c.trial_id == trial_id) & matches.c.withdrawn.is_(None)
    return [(tenant, row.patient_id) for row in await connection.execute(select(matches.c.patient_id).where(mine))]


@dataclass(frozen=True, slots=True)
class PairRow:
    """What to store of one pair."""

    key: PatientKey
    trial_id: str
    stored: StoredPair


async def record_pairs(connection: AsyncConnection, rows: Sequence[PairRow], now: datetime) -> None:
    """Insert or replace pairs of locked patients."""
    if not rows:
        return
    statement = insert(connection, matches)
    new = statement.excluded
    names = (
        "program", "version", "verdict", "unknown", "facts_version", "criteria_version", "as_of", "found_at",
        "changed_at", "withdrawn",
    )  # fmt: skip
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=[matches.c.tenant, matches.c.patient_id, matches.c.trial_id],
            set_={name: new[name] for name in names},
        ),
        [_row(each, now) for each in rows],
    )


async def record_invited(connection: AsyncConnection, key: PatientKey, trial_id: str) -> None:
    """An invitation went out; what a coordinator noted since then stays."""
    mine = (matches.c.tenant == key[0]) & (matches.c.patient_id == key[1]) & (matches.c.trial_id == trial_id)
    await connection.execute(update(matches).where(mine, matches.c.workflow == "found").values(workflow="invited"))


def _row(each: PairRow, now: datetime) -> dict[str, Any]:
    stored, pair = each.stored, each.stored.pair
    return {
        "tenant": each.key[0], "patient_id": each.key[1], "trial_id": each.trial_id, "match_id": stored.match_id,
        "program": stored.program, "version": stored.version, "verdict": pair.verdict or "",
        "unknown": json.dumps(pair.unknown), "facts_version": pair.stamp.facts,
        "criteria_version": "{}.{}".format(*pair.stamp.criteria), "as_of": pair.stamp.as_of,
        "found_at": stored.found_at, "changed_at": now, "withdrawn": stored.withdrawn,
    }  # fmt: skip


def _stored(row: Any) -> StoredPair:
    stamp = Stamp(row.facts_version, criteria_version(row.criteria_version), row.as_of)
    pair = Pair(Verdict(row.verdict) if row.verdict else None, tuple(json.loads(row.unknown)), stamp)
    return StoredPair(row.match_id, row.program, row.version, pair, row.found_at, row.withdrawn, row.workflow)


def criteria_version(text: str) -> tuple[int, int]:
    """``1.2`` → (1, 2)."""
    major, _, minor = text.partition(".")
    return int(major), int(minor)
