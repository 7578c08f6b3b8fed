"""The matches of a trial: who they are is nobody's to see here, why they match is.

A match is named by its own id, another in every trial, so two trials' lists can't be joined over people; pseudonyms
that last belong to subscriptions.
"""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.api_keys import Caller
from chassis.problems import Problem
from services.trials import views
from services.trials.acts import readable
from services.trials.explaining import explained, labels
from services.trials.judging import person, see
from services.trials.matching.deciding import deciding
from services.trials.matching.gates import gates
from services.trials.matching.verdict import Matcher
from services.trials.resources import Resources
from services.trials.routes.trials import Coordinator, RegistryId
from services.trials.scoping import reached
from services.trials.store.catalogue import StoredTrial, list_trials
from services.trials.store.desk import MatchRow, Workflow, find_match, list_matches, record_workflow
from services.trials.store.matches import load_pairs
from services.trials.store.patients import lock_patients, read_patients
from services.trials.store.subjects import load_known

log = structlog.get_logger(__name__)

FHIR = "application/fhir+json"


class Step(BaseModel):
    """How far the match has come now."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    state: Workflow


def router(resources: Resources) -> APIRouter:
    """The routes of matches."""
    routes = APIRouter()

    @routes.get("/v1/trials/{registry_id}/matches")
    async def get_matches(
        registry_id: RegistryId, coordinator: Coordinator, withdrawn: bool = False,
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    ) -> dict[str, Any]:  # fmt: skip
        """The newest first: those that stand, or those that were withdrawn."""
        async with resources.store.read() as connection:
            _, rows = await listed(resources, connection, coordinator, registry_id, limit, withdrawn=withdrawn)
        return {"trial": registry_id, "matches": [views.match(each) for each in rows]}

    @routes.get("/v1/trials/{registry_id}/matches/{match_id}")
    async def get_match(registry_id: RegistryId, match_id: UUID, coordinator: Coordinator) -> dict[str, Any]:
        async with resources.store.read() as connection:
            return await explanation(resources, connection, coordinator, registry_id, str(match_id))

    @routes.post("/v1/trials/{registry_id}/matches/{match_id}/workflow")
    async def post_workflow(
        registry_id: RegistryId, match_id: UUID, step: Step, coordinator: Coordinator
    ) -> dict[str, Any]:
        return views.match(await move(resources, coordinator, registry_id, str(match_id), step.state))

    @routes.get("/v1/research-subjects")
    async def get_research_subjects(
        request: Request, coordinator: Coordinator,
        trial: Annotated[str, Query(pattern=r"^[A-Z0-9][A-Z0-9-]{2,30}$")],
        limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
    ) -> JSONResponse:  # fmt: skip
        """The matches of a trial that stand, as FHIR R4."""
        async with resources.store.read() as connection:
            _, rows = await listed(resources, connection, coordinator, trial, limit)
        url = f"{request.url.path}?trial={trial}"
        return JSONResponse(views.research_subjects(trial, rows, url), media_type=FHIR)

    return routes


async def listed(
    resources: Resources, connection: AsyncConnection, coordinator: Caller, registry_id: str, limit: int,
    *, withdrawn: bool = False,
) -> tuple[StoredTrial, Sequence[MatchRow]]:  # fmt: skip
    """A trial and its matches in the caller's programs."""
    stored = await readable(connection, coordinator, registry_id)
    programs = reached(resources.offers, coordinator.scope, ())
    return stored, await list_matches(connection, stored.tenant, stored.trial_id, programs, limit, withdrawn=withdrawn)


async def _found(
    resources: Resources, connection: AsyncConnection, coordinator: Caller, registry_id: str, match_id: str
) -> tuple[StoredTrial, MatchRow]:
    stored = await readable(connection, coordinator, registry_id)
    programs = reached(resources.offers, coordinator.scope, ())
    row = await find_match(connection, stored.tenant, stored.trial_id, match_id, programs)
    if row is None:
        raise Problem(404, "no_such_match", "There is no such match in your programs.")
    return stored, row


async def move(resources: Resources, coordinator: Caller, registry_id: str, match_id: str, state: Workflow) -> MatchRow:
    """Say how far a match has come. ``Problem`` 409 for one that was withdrawn."""
    async with resources.store.write() as connection:
        _, row = await _found(resources, connection, coordinator, registry_id, match_id)
        await lock_patients(connection, [(coordinator.scope.tenant, row.patient_id)], resources.master)
        _, row = await _found(resources, connection, coordinator, registry_id, match_id)
        if row.stored.withdrawn is not None:
            raise Problem(409, "withdrawn", "This match doesn't stand any more.")
        await record_workflow(connection, match_id, state)
        _, row = await _found(resources, connection, coordinator, registry_id, match_id)
    log.info("match_moved", match_id=match_id, state=state, key_id=coordinator.key_id)
    return row


async def explanation(
    resources: Resources, connection: AsyncConnection, coordinator: Caller, registry_id: str, match_id: str
) -> dict[str, Any]:
    """Why it matches, on what is known now; of a withdrawn match nothing is told but that it was."""
    stored, row = await _found(resources, connection, coordinator, registry_id, match_id)
    shown = views.match(row) | {"trial": registry_id, "title": stored.draft.title}
    offer = resources.offers.get(row.stored.program)
    if row.stored.withdrawn is not None or offer is None or stored.published is None:
        return shown | {"criteria": [], "cohort": None, "gates": [], "deciding": []}
    key = (stored.tenant, row.patient_id)
    locked = await read_patients(connection, [key], resources.master)
    known = (await load_known(connection, locked.values()))[key]
    picture = see(known, offer, resources.clock.now()).picture
    state = stored.published
    passages = gates(person(known, offer, picture), state.status, state.sites, majority=offer.program.adult_age)
    matcher = Matcher(state.eligibility)
    others = await _possible(resources, connection, coordinator, key)
    return shown | {
        "judged_on": picture.as_of.isoformat(),
        "cohort": matcher.verdict(picture).cohort,
        "criteria": explained(state.eligibility, picture, offer.vocabulary),
        "gates": [{"gate": each.gate, "open": each.open, "note": each.note} for each in passages],
        "deciding": [
            {"fact": each.fact, "label": next(iter(labels([each.fact], offer.vocabulary))),
             "decides": len(each.settles), "could_make_eligible": len(each.to_eligible)}
            for each in deciding({registry_id: matcher} | others, picture)
            if registry_id in each.settles
        ],
    }  # fmt: skip


async def _possible(
    resources: Resources, connection: AsyncConnection, coordinator: Caller, key: tuple[str, str]
) -> dict[str, Matcher]:
    """The patient's trials, by registry id, as far as they concern the caller."""
    pairs = (await load_pairs(connection, [key])).get(key, {})
    allowed = reached(resources.offers, coordinator.scope, ())
    wanted = [name for name, each in pairs.items() if each.withdrawn is None and each.program in allowed]
    found = await list_trials(connection, key[0], wanted)
    return {each.draft.registry_id: Matcher(each.published.eligibility) for each in found if each.published}
