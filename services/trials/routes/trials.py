"""The catalogue over HTTP: import, list, draft, lint, publish, release."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request

from chassis.api_keys import Caller, caller
from chassis.problems import Problem
from services.trials import views
from services.trials.acts import publish, readable, release, save, take
from services.trials.checking import check
from services.trials.drafts import DraftPosted
from services.trials.posted import read_draft
from services.trials.registry.records import Read, read_records
from services.trials.resources import Resources
from services.trials.routes import COORDINATOR
from services.trials.routes.documented import RECORDS, body_of
from services.trials.scoping import may_read, vocabularies
from services.trials.store.catalogue import StoredTrial
from services.trials.store.desk import list_page

Coordinator = Annotated[Caller, Depends(caller(COORDINATOR))]
RegistryId = Annotated[str, Path(pattern=r"^[A-Z0-9][A-Z0-9-]{2,30}$")]
"""Public, and the only name of a trial in a URL."""

DRAFT = "/v1/trials/{registry_id}/draft"

MOST_RECORDS = 1_000
"""In one request: as many as the registry gives on a page."""


def router(resources: Resources) -> APIRouter:
    """The routes of the catalogue."""
    routes = APIRouter()

    @routes.post("/v1/trials/import", openapi_extra=RECORDS)
    async def post_import(request: Request, coordinator: Coordinator) -> dict[str, Any]:
        if coordinator.scope.programs is not None:
            raise Problem(403, "whole_tenant", "Records are for all programs of a tenant: this key is for some.")
        reads = await asyncio.to_thread(_records, await request.body())  # a thousand records take seconds
        lines = await take(resources, coordinator, reads)
        return views.report(lines)

    @routes.get("/v1/trials")
    async def get_trials(
        coordinator: Coordinator,
        after: Annotated[str | None, Query(max_length=40)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    ) -> dict[str, Any]:
        """By registry id; ``next`` is what to ask for ``after``."""
        async with resources.store.read() as connection:
            found, following = await list_page(connection, coordinator.scope.tenant, after, limit)
        mine = [each for each in found if may_read(coordinator.scope, each.draft.programs)]
        return {"trials": [views.trial(each) for each in mine], "next": following}

    @routes.get("/v1/trials/{registry_id}")
    async def get_trial(registry_id: RegistryId, coordinator: Coordinator) -> dict[str, Any]:
        async with resources.store.read() as connection:
            return whole(resources, await readable(connection, coordinator, registry_id))

    @routes.put(DRAFT, openapi_extra=body_of(DraftPosted, "put", DRAFT))
    async def put_draft(
        registry_id: RegistryId, request: Request, coordinator: Coordinator,
        if_match: Annotated[str | None, Header(max_length=100)] = None,
    ) -> dict[str, Any]:  # fmt: skip
        """``If-Match``: the ``draft_tag`` that was read, so that nobody's work is overwritten unseen."""
        posted = read_draft(registry_id, await request.body())
        seen = if_match.strip('"') if if_match else None
        return whole(resources, await save(resources, coordinator, registry_id, posted, seen))

    @routes.post("/v1/trials/{registry_id}/lint")
    async def post_lint(registry_id: RegistryId, coordinator: Coordinator) -> dict[str, Any]:
        async with resources.store.read() as connection:
            stored = await readable(connection, coordinator, registry_id)
        return {"problems": [views.problem(each) for each in check(stored.draft, stored.tenant, resources.offers)]}

    @routes.post("/v1/trials/{registry_id}/publish")
    async def post_publish(registry_id: RegistryId, coordinator: Coordinator) -> dict[str, Any]:
        return whole(resources, await publish(resources, coordinator, registry_id))

    @routes.post("/v1/trials/{registry_id}/release")
    async def post_release(registry_id: RegistryId, coordinator: Coordinator) -> dict[str, Any]:
        return whole(resources, await release(resources, coordinator, registry_id))

    return routes


def whole(resources: Resources, stored: StoredTrial) -> dict[str, Any]:
    """The trial with its problems, in the words of the first of its programs."""
    spoken = vocabularies(resources.offers, stored.tenant, stored.draft.programs)
    problems = check(stored.draft, stored.tenant, resources.offers)
    return views.trial_whole(stored, problems, next(iter(spoken.values())))


def _records(body: bytes) -> list[Read]:
    reads: list[Read] = []
    for each in read_records(body):
        reads.append(each)
        if len(reads) > MOST_RECORDS:
            raise Problem(413, "too_many", f"One request may hold at most {MOST_RECORDS} records; nothing was taken.")
    return reads
