"""``/v1/subscriptions``: a coordinator's own, and nobody else's. Secrets are shown once, when they are made."""

import json
import re
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from chassis.api_keys import Caller, caller
from chassis.errors import Unavailable
from chassis.problems import FieldError, Problem
from schemas.topics import subscription_topic
from services.trials.routes import COORDINATOR
from services.trials.store.reports import LoggedReport, find_report, list_reports
from services.trials.store.subscriptions import find_subscription, get_state, list_subscriptions
from services.trials.subscription import Channel, State, Subscription
from services.trials.subscriptions.desk import SubscriptionDesk
from services.trials.subscriptions.posted import SubscriptionPosted, read_posted, within

Coordinator = Annotated[Caller, Depends(caller(COORDINATOR))]

PAGE = 100
LOOK_SECONDS = 2.0
"""How often a stream looks by itself: another instance's reports don't ring here."""


def router(desk: SubscriptionDesk) -> APIRouter:
    """The routes of subscriptions."""
    routes = APIRouter()

    async def mine(subscription_id: UUID, who: Coordinator) -> Subscription:
        """A dependency: one of the caller's own, all of whose programs the caller may still see."""
        tenant, owner = who.scope.tenant, who.key_id
        async with desk.store.read() as connection:
            found = await find_subscription(connection, tenant, owner, str(subscription_id), desk.master)
        if found is None or not within(found.filter, who.scope):
            raise Problem(404, "no_such_subscription", "You have no such subscription.")
        return found

    Mine = Annotated[Subscription, Depends(mine)]  # noqa: N806 - a type

    @routes.post("/v1/subscriptions", status_code=201)
    async def post_subscription(posted: SubscriptionPosted, who: Coordinator, response: Response) -> dict[str, Any]:
        wanted = read_posted(posted, who.scope, desk.offers, desk.places)
        try:
            new = await desk.subscribe(who.scope.tenant, who.key_id, wanted)
        except Unavailable:
            raise Problem(503, "unavailable", "Kafka is away for the moment; nothing was done.") from None
        response.headers["location"] = f"/v1/subscriptions/{new.subscription_id}"
        secret = {"secret": new.secrets.secret} if new.secrets.secret else {}
        return _shown(new) | secret

    @routes.get("/v1/subscriptions")
    async def get_subscriptions(who: Coordinator) -> dict[str, Any]:
        async with desk.store.read() as connection:
            found = await list_subscriptions(connection, who.scope.tenant, who.key_id, desk.master)
        return {"subscriptions": [_shown(each) for each in found if within(each.filter, who.scope)]}

    @routes.get("/v1/subscriptions/{subscription_id}")
    async def get_subscription(own: Mine) -> dict[str, Any]:
        return _shown(own)

    @routes.delete("/v1/subscriptions/{subscription_id}", status_code=204)
    async def delete_subscription(own: Mine) -> None:
        await desk.end(own.subscription_id)

    @routes.post("/v1/subscriptions/{subscription_id}/test", status_code=202)
    async def post_test(own: Mine) -> dict[str, Any]:
        sequence = await desk.test(own.subscription_id)
        if sequence is None:
            raise Problem(409, "disabled", "This subscription is disabled; make a new one.")
        return {"subscription_id": own.subscription_id, "sequence": sequence}

    @routes.get("/v1/subscriptions/{subscription_id}/reports")
    async def get_reports(
        own: Mine, after: Annotated[int, Query(ge=0)] = 0, limit: Annotated[int, Query(ge=1, le=1000)] = PAGE
    ) -> dict[str, Any]:
        async with desk.store.read() as connection:
            found = await list_reports(connection, own.subscription_id, after, limit)
        return {"reports": [_told(each) for each in found]}

    @routes.get("/v1/subscriptions/{subscription_id}/reports/{sequence}")
    async def get_report(own: Mine, sequence: int) -> dict[str, Any]:
        async with desk.store.read() as connection:
            found = await find_report(connection, own.subscription_id, sequence)
        if found is None:
            raise Problem(404, "no_such_report", "There is no such report.")
        return _told(found)

    async def start(
        own: Mine,
        last_event_id: Annotated[str | None, Header()] = None,
        after: Annotated[int, Query(ge=0)] = 0,
    ) -> tuple[str, int]:
        """A dependency: whose events, after which number; problems are told before the stream begins."""
        if own.channel is not Channel.SSE:
            raise Problem(409, "other_channel", "This subscription has another channel than server-sent events.")
        if own.state is not State.ACTIVE:
            raise Problem(409, "disabled", "This subscription is disabled; make a new one.")
        if not last_event_id:
            return own.subscription_id, after
        if not re.fullmatch("[0-9]{1,15}", last_event_id):
            wrong = FieldError("header/last-event-id", "must be the id of an event of this stream")
            raise Problem(422, "invalid", "The request has fields that are not valid.", errors=[wrong])
        return own.subscription_id, int(last_event_id)

    @routes.get("/v1/subscriptions/{subscription_id}/events", response_class=EventSourceResponse)
    async def get_events(where: Annotated[tuple[str, int], Depends(start)]) -> AsyncIterator[ServerSentEvent]:
        """All reports after ``Last-Event-ID``, then each as it comes; ends when the subscription does."""
        subscription_id, after = where
        while True:
            async with desk.store.read() as connection:
                active = await get_state(connection, subscription_id) is State.ACTIVE
                found = await list_reports(connection, subscription_id, after, PAGE)
            if not active:
                return
            for each in found:
                yield ServerSentEvent(raw_data=each.body, event=each.name, id=str(each.sequence))
                after = each.sequence
            if not found:
                await desk.bell.wait(LOOK_SECONDS)

    return routes


def _shown(of: Subscription) -> dict[str, Any]:
    """Without its secrets, its URL and its address among them."""
    shown: dict[str, Any] = {
        "subscription_id": of.subscription_id, "name": of.name, "channel": of.channel, "state": of.state,
        "filter": of.filter.model_dump(mode="json"), "created_at": of.created_at.isoformat(),
        "reports": of.sequence,
    }  # fmt: skip
    if of.channel is Channel.KAFKA:
        shown["topic"] = subscription_topic(of.subscription_id).name
    elif of.channel is Channel.SSE:
        shown["events"] = f"/v1/subscriptions/{of.subscription_id}/events"
    elif of.channel is Channel.WEBHOOK:
        shown |= {"delivered": of.delivered, "failed_attempts": of.attempts}
    return shown


def _told(each: LoggedReport) -> dict[str, Any]:
    return {"type": each.name, **json.loads(each.body)}
