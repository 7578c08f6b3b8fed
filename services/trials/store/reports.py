"""The logs of subscriptions, and how far each has followed every match and every change of a trial."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, bindparam, exists, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.store import insert
from schemas.trials import MatchReport, MatchState, MatchVerdict
from services.trials.subscription import Filter, State
from services.trials.tables import matches, reports, revisions, subscriptions, told, trials

PairKey = tuple[str, str]
"""Subscription id, and match id or trial id."""


@dataclass(frozen=True, slots=True)
class Followed:
    """Up to which version a match was followed, and the verdict that its coordinator knows."""

    version: int
    verdict: str | None


@dataclass(frozen=True, slots=True)
class Revision:
    """The newest criteria of a trial that a subscription has seen, and what they have moved while collecting."""

    criteria_version: str
    collecting: bool = False
    found: int = 0
    changed: int = 0
    withdrawn: int = 0


@dataclass(frozen=True, slots=True)
class LoggedReport:
    """One report of a log. ``name`` is the event's, such as ``report.found``; ``body`` is JSON."""

    sequence: int
    name: str
    body: str


async def load_followed(
    connection: AsyncConnection, subscription_ids: Iterable[str], match_ids: Iterable[str]
) -> dict[PairKey, Followed]:
    mine = told.c.subscription_id.in_(sorted(set(subscription_ids))) & told.c.match_id.in_(sorted(set(match_ids)))
    rows = await connection.execute(select(told).where(mine))
    return {(row.subscription_id, row.match_id): Followed(row.version, row.verdict) for row in rows}


async def record_followed(connection: AsyncConnection, changed: Mapping[PairKey, Followed]) -> None:
    if not changed:
        return
    statement = insert(connection, told)
    new = statement.excluded
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=[told.c.subscription_id, told.c.match_id],
            set_={"version": new.version, "verdict": new.verdict},
        ),
        [
            {"subscription_id": key[0], "match_id": key[1], "version": each.version, "verdict": each.verdict}
            for key, each in changed.items()
        ],
    )


async def load_revisions(
    connection: AsyncConnection, subscription_ids: Iterable[str], trial_ids: Iterable[str]
) -> dict[PairKey, Revision]:
    of_these = revisions.c.subscription_id.in_(sorted(set(subscription_ids)))
    rows = await connection.execute(select(revisions).where(of_these, revisions.c.trial_id.in_(sorted(set(trial_ids)))))
    return {(row.subscription_id, row.trial_id): _revision(row) for row in rows}


async def record_revisions(connection: AsyncConnection, changed: Mapping[PairKey, Revision]) -> None:
    if not changed:
        return
    statement = insert(connection, revisions)
    new = statement.excluded
    names = ("criteria_version", "collecting", "found", "changed", "withdrawn")
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=[revisions.c.subscription_id, revisions.c.trial_id],
            set_={name: new[name] for name in names},
        ),
        [
            {"subscription_id": key[0], "trial_id": key[1], **{name: getattr(each, name) for name in names}}
            for key, each in changed.items()
        ],
    )


async def list_whole_revisions(connection: AsyncConnection) -> list[PairKey]:
    """Changes of trials which all patients have been compared with, and of which nothing is on its way any more.

    A match is on its way to a subscription while its row is of a newer version than what was followed. Filters by
    program are the caller's to ask (``is_awaited``).
    """
    of_trial = and_(trials.c.trial_id == revisions.c.trial_id, trials.c.tenant == subscriptions.c.tenant)
    query = (
        select(revisions.c.subscription_id, revisions.c.trial_id)
        .join(subscriptions, subscriptions.c.subscription_id == revisions.c.subscription_id)
        .join(trials, of_trial)
        .where(
            revisions.c.collecting.is_(True),
            subscriptions.c.state == State.ACTIVE,
            trials.c.drained >= trials.c.version,
        )
        .order_by(revisions.c.subscription_id, revisions.c.trial_id)
    )
    return [(row.subscription_id, row.trial_id) for row in await connection.execute(query)]


async def is_awaited(connection: AsyncConnection, key: PairKey, tenant: str, wanted: Filter) -> bool:
    """Whether a match of this trial has a newer version than this subscription has followed."""
    known = exists().where(
        told.c.subscription_id == key[0], told.c.match_id == matches.c.match_id, told.c.version >= matches.c.version
    )
    mine = (matches.c.tenant == tenant) & (matches.c.trial_id == key[1]) & ~known
    if wanted.programs is not None:
        mine &= matches.c.program.in_(wanted.programs)
    return (await connection.execute(select(matches.c.match_id).where(mine).limit(1))).first() is not None


async def add_reports(connection: AsyncConnection, rows: Sequence[tuple[str, str | None, MatchReport]]) -> None:
    """Name, match and numbered report of each; the caller holds the subscriptions' locks."""
    if rows:
        await connection.execute(
            reports.insert(),
            [
                {
                    "subscription_id": each.subscription_id, "sequence": each.sequence, "report_id": each.report_id,
                    "name": name, "match_id": match_id, "body": each.model_dump_json(exclude_none=True),
                }
                for name, match_id, each in rows
            ],
        )  # fmt: skip


async def list_reports(connection: AsyncConnection, subscription_id: str, after: int, limit: int) -> list[LoggedReport]:
    """What follows this number."""
    mine = (reports.c.subscription_id == subscription_id) & (reports.c.sequence > after)
    rows = await connection.execute(select(reports).where(mine).order_by(reports.c.sequence).limit(limit))
    return [LoggedReport(row.sequence, row.name, row.body) for row in rows]


async def find_report(connection: AsyncConnection, subscription_id: str, sequence: int) -> LoggedReport | None:
    mine = (reports.c.subscription_id == subscription_id) & (reports.c.sequence == sequence)
    row = (await connection.execute(select(reports).where(mine))).first()
    return LoggedReport(row.sequence, row.name, row.body) if row else None


async def purge_explanations(connection: AsyncConnection, keys: Iterable[PairKey]) -> None:
    """Take the criteria out of what was told of these matches: who they are about has withdrawn consent, or died."""
    cleaned = []
    for subscription_id, match_id in sorted(set(keys)):
        mine = (reports.c.subscription_id == subscription_id) & (reports.c.match_id == match_id)
        for row in await connection.execute(select(reports.c.sequence, reports.c.body).where(mine)):
            bare = MatchReport.tolerant_json(row.body).model_copy(update={"criteria": (), "verdict": None})
            text = bare.model_dump_json(exclude_none=True)
            cleaned.append({"of_subscription": subscription_id, "of_sequence": row.sequence, "text": text})
    if cleaned:
        this = (reports.c.subscription_id == bindparam("of_subscription")) & (
            reports.c.sequence == bindparam("of_sequence")
        )
        await connection.execute(update(reports).where(this).values(body=bindparam("text")), cleaned)


async def list_matches(connection: AsyncConnection, tenant: str, wanted: Filter) -> list[MatchState]:
    """Every match of the tenant that could be any of a new subscription's business, tombstones among them."""
    mine = matches.c.tenant == tenant
    if wanted.programs is not None:
        mine &= matches.c.program.in_(wanted.programs)
    rows = await connection.execute(select(matches).where(mine).order_by(matches.c.found_at, matches.c.match_id))
    return [_match(row) for row in rows]


def _match(row: Any) -> MatchState:
    return MatchState(
        match_id=row.match_id, patient_id=row.patient_id, trial_id=row.trial_id, program=row.program,
        version=row.version, verdict=MatchVerdict(row.verdict or MatchVerdict.POSSIBLE),
        facts_version=row.facts_version, criteria_version=row.criteria_version, as_of=row.as_of,
        unknown=tuple(json.loads(row.unknown)), withdrawn=row.withdrawn, at=row.changed_at,
    )  # fmt: skip


def _revision(row: Any) -> Revision:
    return Revision(row.criteria_version, bool(row.collecting), row.found, row.changed, row.withdrawn)
