"""What a broker does between trials and its own subscriptions, without one: match events from the outbox, in order."""

import json
from typing import Any

from sqlalchemy import select

from chassis.decoding import Event, Record, decode
from schemas.registry import TRIALS_MATCHES
from services.trials.subscriptions.following import USES
from services.trials.tables import outbox, reports, subscriptions
from tests.support.coordinating import Room
from tests.support.research import Research


async def match_events(desk: Research) -> list[Event[Any]]:
    """All that trials have said of matches, as a consumer would read it."""
    async with desk.trials.store.read() as connection:
        query = select(outbox).where(outbox.c.topic == TRIALS_MATCHES).order_by(outbox.c.id)
        rows = list(await connection.execute(query))
    records = [Record(row.topic, 0, row.id, 0, row.key, row.headers, row.value) for row in rows]
    return [event for each in records if (event := decode(each, USES)) is not None]


async def follow(desk: Research, *events: Event[Any]) -> int:
    """One batch of the subscriptions' consumer: these events, or all there are. How many were no news."""
    told = events or await match_events(desk)
    async with desk.trials.store.write() as connection:
        return await desk.trials.subscribed.handlers.apply(connection, told)


async def subscribe(room: Room, channel: str = "sse", who: str = "ana", **posted: Any) -> dict[str, Any]:
    """The answer to a new subscription."""
    answer = await room.post("/v1/subscriptions", {"name": "Mine", "channel": channel, **posted}, who)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def told(room: Room, subscription_id: str, who: str = "ana") -> list[dict[str, Any]]:
    """The log as its owner reads it over HTTP."""
    answer = await room.get(f"/v1/subscriptions/{subscription_id}/reports", who)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["reports"]
    return found


async def carried(desk: Research, topic: str) -> list[dict[str, Any]]:
    """The data of what waits in the outbox for a topic."""
    async with desk.trials.store.read() as connection:
        query = select(outbox.c.value).where(outbox.c.topic == topic).order_by(outbox.c.id)
        return [json.loads(row.value) for row in await connection.execute(query)]


async def everything_told(desk: Research) -> bytes:
    """Every byte that the store keeps for coordinators."""
    async with desk.trials.store.read() as connection:
        kept = [*await connection.execute(select(reports)), *await connection.execute(select(subscriptions))]
    return repr([tuple(row) for row in kept]).encode()
