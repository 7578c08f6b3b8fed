"""Subscriptions as stored: their locks, their channels' cursors, their secrets sealed under the master ring."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sealing import Keyring
from chassis.store import database_now
from schemas.sealed import Sealed
from services.trials.subscription import Channel, Filter, Secrets, State, Subscription
from services.trials.tables import reports, revisions, subscriptions, told

_ACTIVE = subscriptions.c.state == State.ACTIVE


def _subject(subscription_id: str) -> str:
    return f"subscription/{subscription_id}"


async def add_subscription(connection: AsyncConnection, new: Subscription, master: Keyring) -> None:
    sealed = master.seal(new.secrets, tenant=new.tenant, subject=_subject(new.subscription_id))
    row = {
        "subscription_id": new.subscription_id, "tenant": new.tenant, "owner": new.owner, "name": new.name,
        "channel": new.channel, "state": new.state, "filter": new.filter.model_dump_json(),
        "secrets": sealed.model_dump_json(), "created_at": new.created_at,
    }  # fmt: skip
    await connection.execute(subscriptions.insert(), row)


async def lock_active(connection: AsyncConnection, tenants: Iterable[str], master: Keyring) -> list[Subscription]:
    """All that are told of these tenants' matches, their logs ours until the transaction ends; in the order of ids."""
    mine = _ACTIVE & subscriptions.c.tenant.in_(sorted(set(tenants)))
    query = select(subscriptions).where(mine).order_by(subscriptions.c.subscription_id).with_for_update()
    return [_read(row, master) for row in await connection.execute(query)]


async def lock_subscription(connection: AsyncConnection, subscription_id: str, master: Keyring) -> Subscription | None:
    """One and its log, if it is still active."""
    mine = _ACTIVE & (subscriptions.c.subscription_id == subscription_id)
    row = (await connection.execute(select(subscriptions).where(mine).with_for_update())).first()
    return _read(row, master) if row else None


async def find_subscription(
    connection: AsyncConnection, tenant: str, owner: str, subscription_id: str, master: Keyring
) -> Subscription | None:
    """One of this owner's."""
    mine = (subscriptions.c.tenant == tenant) & (subscriptions.c.owner == owner)
    query = select(subscriptions).where(mine, subscriptions.c.subscription_id == subscription_id)
    row = (await connection.execute(query)).first()
    return _read(row, master) if row else None


async def list_subscriptions(
    connection: AsyncConnection, tenant: str, owner: str, master: Keyring
) -> list[Subscription]:
    """All of this owner's, the oldest first."""
    mine = (subscriptions.c.tenant == tenant) & (subscriptions.c.owner == owner)
    query = select(subscriptions).where(mine).order_by(subscriptions.c.created_at, subscriptions.c.subscription_id)
    return [_read(row, master) for row in await connection.execute(query)]


async def list_of_channel(connection: AsyncConnection, channel: Channel, master: Keyring) -> list[Subscription]:
    """The active ones with this channel."""
    rows = await connection.execute(select(subscriptions).where(_ACTIVE, subscriptions.c.channel == channel))
    return [_read(row, master) for row in rows]


async def get_state(connection: AsyncConnection, subscription_id: str) -> State | None:
    """None when it was deleted."""
    query = select(subscriptions.c.state).where(subscriptions.c.subscription_id == subscription_id)
    found = (await connection.execute(query)).scalar_one_or_none()
    return State(found) if found else None


async def delete_subscription(connection: AsyncConnection, subscription_id: str) -> None:
    """With its log, and all that could tell which of its pseudonyms is whose."""
    for table in (subscriptions, reports, told, revisions):
        await connection.execute(delete(table).where(table.c.subscription_id == subscription_id))


async def record_sequence(connection: AsyncConnection, subscription_id: str, sequence: int) -> None:
    """The log has grown to here."""
    await connection.execute(_update(subscription_id).values(sequence=sequence))


# webhooks


@dataclass(frozen=True, slots=True)
class Due:
    """The next report of a webhook. ``at`` is the database's clock."""

    subscription: Subscription
    report_id: str
    name: str
    body: str
    at: datetime

    @property
    def sequence(self) -> int:
        return self.subscription.delivered + 1


async def list_due_webhooks(connection: AsyncConnection, limit: int, master: Keyring) -> list[Due]:
    """The next report of each webhook that has one and isn't waiting to be tried again."""
    c = subscriptions.c
    waits = c.not_before.is_not(None) & (c.not_before > database_now())
    following = (reports.c.subscription_id == c.subscription_id) & (reports.c.sequence == c.delivered + 1)
    query = (
        select(subscriptions, reports.c.report_id, reports.c.name.label("report"), reports.c.body,
               database_now().label("now"))
        .join(reports, following)
        .where(_ACTIVE, c.channel == Channel.WEBHOOK, ~waits)
        .order_by(c.subscription_id)
        .limit(limit)
    )  # fmt: skip
    return [
        Due(_read(row, master), row.report_id, row.report, row.body, row.now) for row in await connection.execute(query)
    ]


async def record_delivered(connection: AsyncConnection, subscription_id: str, sequence: int) -> None:
    """The channel has carried all up to here."""
    later = subscriptions.c.delivered < sequence
    values = {"delivered": sequence, "attempts": 0, "not_before": None}
    await connection.execute(_update(subscription_id).where(later).values(values))


async def record_failure(connection: AsyncConnection, due: Due, again_in: float) -> None:
    """The next try is ``again_in`` seconds away."""
    same = subscriptions.c.delivered == due.subscription.delivered
    values = {"attempts": due.subscription.attempts + 1, "not_before": database_now(again_in)}
    await connection.execute(_update(due.subscription.subscription_id).where(same).values(values))


async def disable(connection: AsyncConnection, due: Due) -> bool:
    """Whether it was active, and at this report, until now."""
    same = _ACTIVE & (subscriptions.c.delivered == due.subscription.delivered)
    statement = _update(due.subscription.subscription_id).where(same).values(state=State.DISABLED)
    return (await connection.execute(statement.returning(subscriptions.c.subscription_id))).first() is not None


# digests


async def record_digest(connection: AsyncConnection, subscription_id: str, day: date, delivered: int) -> None:
    """This day's digest is made, of all up to here."""
    await connection.execute(_update(subscription_id).values(digest_day=day, delivered=delivered))


def _update(subscription_id: str) -> Any:
    return update(subscriptions).where(subscriptions.c.subscription_id == subscription_id)


def _read(row: Any, master: Keyring) -> Subscription:
    sealed = Sealed.model_validate_json(row.secrets)
    secrets = master.open(sealed, Secrets, tenant=row.tenant, subject=_subject(row.subscription_id))
    return Subscription(
        subscription_id=row.subscription_id, tenant=row.tenant, owner=row.owner, name=row.name,
        channel=Channel(row.channel), filter=Filter.model_validate_json(row.filter), created_at=row.created_at,
        secrets=secrets, state=State(row.state), sequence=row.sequence, delivered=row.delivered,
        attempts=row.attempts, digest_day=row.digest_day,
    )  # fmt: skip
