"""Trials as they are stored, and the lock under which the published ones change."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.store import insert
from schemas.trials import TrialState
from services.trials.registry.report import Stored
from services.trials.registry.trial import RegistryTrial
from services.trials.store.past import record_past_trials
from services.trials.tables import catalogue, trials

TrialKey = tuple[str, str]
"""Tenant and trial id."""


@dataclass(frozen=True, slots=True)
class StoredTrial:
    """A trial in all its forms. ``draft`` is what a coordinator works on, ``published`` what counts, if any does."""

    tenant: str
    trial_id: str
    record: RegistryTrial
    draft: TrialState
    published: TrialState | None
    imported_at: datetime
    published_by: str | None
    published_at: datetime | None
    released_by: str | None
    released_at: datetime | None


async def share(connection: AsyncConnection) -> int:
    """The catalogue's number; nobody publishes before this transaction ends."""
    return await _number(connection, shared=True)


async def hold(connection: AsyncConnection) -> int:
    """The catalogue's number, for its only writer: whoever judges patients has ended, or waits."""
    return await _number(connection, shared=False)


async def _number(connection: AsyncConnection, *, shared: bool) -> int:
    query = select(catalogue.c.change).where(catalogue.c.id == 1).with_for_update(read=shared)
    found = (await connection.execute(query)).scalar_one_or_none()
    if found is None:
        await connection.execute(insert(connection, catalogue).on_conflict_do_nothing(), {"id": 1, "change": 0})
        found = (await connection.execute(query)).scalar_one()
    return int(found)


async def list_published(connection: AsyncConnection, after: int, limit: int) -> list[tuple[int, str, str]]:
    """So many of the published trials that changed after this number, in its order: number, tenant, JSON."""
    query = select(trials.c.change, trials.c.tenant, trials.c.published)
    changed = query.where(trials.c.change > after, trials.c.published.is_not(None)).order_by(trials.c.change)
    return [(row.change, row.tenant, row.published) for row in await connection.execute(changed.limit(limit))]


async def get_stored(connection: AsyncConnection, tenant: str, registry_ids: Iterable[str]) -> dict[str, Stored]:
    """Digest and date of what is stored, by registry id."""
    mine = (trials.c.tenant == tenant) & trials.c.registry_id.in_(sorted(set(registry_ids)))
    rows = await connection.execute(select(trials.c.registry_id, trials.c.digest, trials.c.record).where(mine))
    return {row.registry_id: Stored(row.digest, RegistryTrial.tolerant_json(row.record).last_update) for row in rows}


async def list_trials(
    connection: AsyncConnection, tenant: str, trial_ids: Iterable[str] | None = None
) -> list[StoredTrial]:
    """All trials of a tenant, or those with these ids, by registry id."""
    query = select(trials).where(trials.c.tenant == tenant).order_by(trials.c.registry_id)
    rows = await connection.execute(
        query if trial_ids is None else query.where(trials.c.trial_id.in_(sorted(trial_ids)))
    )
    return [_stored(row) for row in rows]


async def find_trial(connection: AsyncConnection, tenant: str, name: str, *, lock: bool = False) -> StoredTrial | None:
    """The trial with this id or registry id."""
    query = select(trials).where(
        trials.c.tenant == tenant, (trials.c.trial_id == name) | (trials.c.registry_id == name)
    )
    row = (await connection.execute(query.with_for_update() if lock else query)).first()
    return _stored(row) if row else None


async def record_trials(connection: AsyncConnection, tenant: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert or replace record, digest and draft; what is published stays as it is."""
    if not rows:
        return
    statement = insert(connection, trials)
    new = statement.excluded
    kept = {name: new[name] for name in ("digest", "record", "draft", "imported_at")}
    await connection.execute(
        statement.on_conflict_do_update(index_elements=[trials.c.tenant, trials.c.trial_id], set_=kept),
        [{"tenant": tenant, **row} for row in rows],
    )


async def record_draft(connection: AsyncConnection, tenant: str, draft: TrialState) -> None:
    mine = (trials.c.tenant == tenant) & (trials.c.trial_id == draft.trial_id)
    await connection.execute(update(trials).where(mine).values(draft=draft.model_dump_json()))


async def record_published(
    connection: AsyncConnection, tenant: str, states: Sequence[TrialState], by: str | None, now: datetime
) -> None:
    """Make these what counts: under ``hold``, with the next numbers of the catalogue.

    ``by`` None: only the registry said something new, so who published them stays, and so does the draft.
    """
    change = await hold(connection)
    mine = (trials.c.tenant == bindparam("of_tenant")) & (trials.c.trial_id == bindparam("of_trial"))
    rows = [
        {
            "of_tenant": tenant, "of_trial": each.trial_id, "state": each.model_dump_json(),
            "number": change + index, "to_version": each.version,
        }
        for index, each in enumerate(states, 1)
    ]  # fmt: skip
    values = {
        "published": bindparam("state"), "change": bindparam("number"), "version": bindparam("to_version"),
        "published_at": now,
    }  # fmt: skip
    if by is not None:
        values |= {"draft": bindparam("state"), "published_by": by}
    await connection.execute(update(trials).where(mine).values(values), rows)
    await record_past_trials(connection, tenant, states, now)
    await connection.execute(update(catalogue).where(catalogue.c.id == 1).values(change=change + len(rows)))


async def record_release(connection: AsyncConnection, key: TrialKey, by: str, now: datetime) -> None:
    """Invitations to this trial may go out."""
    mine = (trials.c.tenant == key[0]) & (trials.c.trial_id == key[1])
    await connection.execute(update(trials).where(mine).values(released_by=by, released_at=now))


async def list_undrained(connection: AsyncConnection) -> list[tuple[TrialKey, int]]:
    """Published trials whose newest version not all patients have been compared with, the oldest change first."""
    query = select(trials.c.tenant, trials.c.trial_id, trials.c.version).where(trials.c.drained < trials.c.version)
    return [
        ((row.tenant, row.trial_id), row.version) for row in await connection.execute(query.order_by(trials.c.change))
    ]


async def record_drained(connection: AsyncConnection, key: TrialKey, version: int) -> None:
    """All patients have been compared with this version."""
    mine = (trials.c.tenant == key[0]) & (trials.c.trial_id == key[1]) & (trials.c.drained < version)
    await connection.execute(update(trials).where(mine).values(drained=version))


def _stored(row: Any) -> StoredTrial:
    return StoredTrial(
        tenant=row.tenant,
        trial_id=row.trial_id,
        record=RegistryTrial.tolerant_json(row.record),
        draft=TrialState.tolerant_json(row.draft),
        published=TrialState.tolerant_json(row.published) if row.published else None,
        imported_at=row.imported_at,
        published_by=row.published_by,
        published_at=row.published_at,
        released_by=row.released_by,
        released_at=row.released_at,
    )
