"""Counts for a trial before and after it is published: feasibility, funnel, and what is worth asking. All masked."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import APIRouter, Request

from chassis.api_keys import Caller
from schemas.criteria import Eligibility
from schemas.trials import TrialState
from schemas.vocabulary import Vocabulary
from services.trials import views
from services.trials.acts import readable
from services.trials.checking import check
from services.trials.counting import Counts, count, funnel, possible
from services.trials.drafts import CountPosted
from services.trials.explaining import labels
from services.trials.facts.picture import Picture
from services.trials.judging import see
from services.trials.masking import Range, masked
from services.trials.matching.deciding import settled
from services.trials.matching.verdict import Matcher, Verdict
from services.trials.posted import read_count
from services.trials.resources import Resources
from services.trials.routes.documented import body_of
from services.trials.routes.trials import Coordinator, RegistryId
from services.trials.scoping import reached
from services.trials.store.patients import read_patients
from services.trials.store.subjects import load_known

FEASIBILITY = "/v1/trials/{registry_id}/feasibility"

MOST_ASKED = 500
"""Patients whose missing facts are looked at one by one."""


@dataclass(frozen=True, slots=True)
class Yield:
    """A missing fact, and for how many patients it would decide; for how many of these it could say yes."""

    fact: str
    label: str
    decides: Range
    to_eligible: Range


@dataclass(frozen=True, slots=True)
class Loss:
    """One stage of the funnel, told so that nobody is found behind it."""

    criterion: str
    cohort: str | None
    sentence: str
    lost: Range
    left: Range
    unparsed: bool


def router(resources: Resources) -> APIRouter:
    """The routes of counts."""
    routes = APIRouter()

    @routes.post(FEASIBILITY, openapi_extra=body_of(CountPosted, "post", FEASIBILITY, required=False))
    async def post_feasibility(registry_id: RegistryId, request: Request, coordinator: Coordinator) -> dict[str, Any]:
        posted = read_count(registry_id, await request.body())
        draft = with_posted(await draft_of(resources, coordinator, registry_id), posted)
        counts = await counted(resources, coordinator, draft)
        problems = check(draft, coordinator.scope.tenant, resources.offers)
        return {
            "trial": registry_id,
            "programs": reached(resources.offers, coordinator.scope, draft.programs),
            "eligible": masked(counts.eligible).view(),
            "possible": masked(counts.possible).view(),
            "ruled_out": masked(counts.ruled_out).view(),
            "problems": [views.problem(each) for each in problems],
        }

    @routes.get("/v1/trials/{registry_id}/funnel")
    async def get_funnel(registry_id: RegistryId, coordinator: Coordinator) -> dict[str, Any]:
        stages = await losses(resources, coordinator, await draft_of(resources, coordinator, registry_id))
        return {
            "trial": registry_id,
            "stages": [
                {"criterion": each.criterion, "cohort": each.cohort, "sentence": each.sentence,
                 "lost": each.lost.view(), "left": each.left.view(), "unparsed": each.unparsed}
                for each in stages
            ],
        }  # fmt: skip

    @routes.get("/v1/trials/{registry_id}/deciding")
    async def get_deciding(registry_id: RegistryId, coordinator: Coordinator) -> dict[str, Any]:
        found = await yields(resources, coordinator, await draft_of(resources, coordinator, registry_id))
        return {
            "trial": registry_id,
            "looked_at_most": MOST_ASKED,
            "facts": [
                {"fact": each.fact, "label": each.label, "decides": each.decides.view(),
                 "could_make_eligible": each.to_eligible.view()}
                for each in found
            ],
        }  # fmt: skip

    return routes


async def draft_of(resources: Resources, coordinator: Caller, registry_id: str) -> TrialState:
    """What the coordinator is working on; what is published, until then."""
    async with resources.store.read() as connection:
        return (await readable(connection, coordinator, registry_id)).draft


def with_posted(draft: TrialState, posted: CountPosted) -> TrialState:
    """The draft as it would be."""
    changed = {"eligibility": posted.eligibility, "programs": posted.programs}
    return draft.model_copy(update={name: value for name, value in changed.items() if value is not None})


async def counted(resources: Resources, coordinator: Caller, draft: TrialState) -> Counts:
    """Exact counts in the caller's programs: to be masked before they are told."""
    programs = reached(resources.offers, coordinator.scope, draft.programs)
    return await resources.people.ask(lambda people: count(people, programs, draft.eligibility))


async def losses(resources: Resources, coordinator: Caller, draft: TrialState) -> list[Loss]:
    """The funnel of a draft."""
    programs = reached(resources.offers, coordinator.scope, draft.programs)
    stages = await resources.people.ask(lambda people: funnel(people, programs, draft.eligibility))
    said = views.sentences(draft.eligibility, _vocabulary(resources, programs))
    return [
        Loss(each.criterion, each.cohort, sentence, masked(each.lost), masked(each.left), each.unparsed)
        for each, sentence in zip(stages, said.values(), strict=True)
    ]


async def yields(resources: Resources, coordinator: Caller, draft: TrialState) -> list[Yield]:
    """Missing facts by the number of patients for whom each would decide this trial."""
    decides: Counter[str] = Counter()
    to_eligible: Counter[str] = Counter()
    programs = reached(resources.offers, coordinator.scope, draft.programs)
    left = MOST_ASKED
    for code in programs:
        asked = partial(possible, programs=[code], eligibility=draft.eligibility)
        ids = sorted(await resources.people.ask(asked))[:left]
        left -= len(ids)
        pictures = await _pictures(resources, coordinator.scope.tenant, code, ids)
        for verdicts in await asyncio.to_thread(_settled, draft.eligibility, pictures):
            decides.update(verdicts.keys())
            to_eligible.update(fact for fact, brings in verdicts.items() if Verdict.ELIGIBLE in brings)
    named = dict(zip(decides, labels(decides, _vocabulary(resources, programs)), strict=True))
    return [
        Yield(fact, named[fact], masked(times), masked(to_eligible[fact]))
        for fact, times in sorted(decides.items(), key=lambda item: (-masked(item[1]).at_least, item[0]))
    ]


async def _pictures(resources: Resources, tenant: str, program: str, ids: Sequence[str]) -> list[Picture]:
    async with resources.store.read() as connection:
        locked = await read_patients(connection, [(tenant, each) for each in ids], resources.master)
        known = await load_known(connection, locked.values())
    now = resources.clock.now()
    return [see(each, resources.offers[program], now).picture for each in known.values()]


def _settled(eligibility: Eligibility, pictures: Sequence[Picture]) -> list[dict[str, set[Verdict]]]:
    matcher = Matcher(eligibility)
    return [settled(matcher, each) for each in pictures]


def _vocabulary(resources: Resources, programs: Sequence[str]) -> Vocabulary:
    return resources.offers[programs[0]].vocabulary if programs else Vocabulary()
