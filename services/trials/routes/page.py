"""The coordinators' page: trials, one trial with its draft and live counts, matches and why, funnel, subscriptions.

Every link and button works without scripts; htmx keeps counts alive while a draft is edited and opens reasons in place.
"""

from importlib import resources as packaged
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from chassis.api_keys import Caller
from chassis.pages import FIXED_HEADERS, page
from chassis.problems import Problem
from services.trials import acts
from services.trials.form import FormError, Posted
from services.trials.resources import Resources
from services.trials.routes import matches
from services.trials.routes.shown import Pages
from services.trials.routes.trials import RegistryId
from services.trials.session import SIGN_IN, Sessions, own_page
from services.trials.store.desk import Workflow
from services.trials.subscriptions.desk import SubscriptionDesk


def router(resources: Resources, subscribed: SubscriptionDesk, sessions: Sessions) -> APIRouter:
    """The pages and their buttons."""
    routes = APIRouter(include_in_schema=False)
    routes.include_router(_sign_in(sessions))
    pages = Pages(resources, subscribed)
    Coordinator = Annotated[Caller, Depends(sessions.caller)]  # noqa: N806 - a type
    own = [Depends(own_page)]

    @routes.get("/trials")
    async def get_list(who: Coordinator, after: Annotated[str | None, Query(max_length=40)] = None) -> HTMLResponse:
        return await pages.overview(who, after)

    @routes.get("/trials/{registry_id}")
    async def get_one(registry_id: RegistryId, who: Coordinator) -> HTMLResponse:
        return await pages.one(who, registry_id)

    @routes.post("/trials/{registry_id}/draft", dependencies=own)
    async def post_draft(registry_id: RegistryId, request: Request, who: Coordinator) -> Response:
        return await pages.save(who, registry_id, await request.body())

    @routes.post("/trials/{registry_id}/feasibility", dependencies=own)
    async def post_counts(registry_id: RegistryId, request: Request, who: Coordinator) -> HTMLResponse:
        return await pages.counts(who, registry_id, await request.body())

    @routes.post("/trials/{registry_id}/publish", dependencies=own)
    async def post_publish(registry_id: RegistryId, who: Coordinator) -> Response:
        return await pages.act(who, registry_id, acts.publish)

    @routes.post("/trials/{registry_id}/release", dependencies=own)
    async def post_release(registry_id: RegistryId, who: Coordinator) -> Response:
        return await pages.act(who, registry_id, acts.release)

    @routes.get("/trials/{registry_id}/deciding")
    async def get_deciding(registry_id: RegistryId, request: Request, who: Coordinator) -> HTMLResponse:
        return await pages.deciding(who, registry_id, _fragment(request))

    @routes.get("/trials/{registry_id}/matches/{match_id}")
    async def get_match(registry_id: RegistryId, match_id: UUID, request: Request, who: Coordinator) -> HTMLResponse:
        return await pages.match(who, registry_id, str(match_id), _fragment(request))

    @routes.post("/trials/{registry_id}/matches/{match_id}/workflow", dependencies=own)
    async def post_workflow(registry_id: RegistryId, match_id: UUID, request: Request, who: Coordinator) -> Response:
        posted = (await _form(request)).text("state")
        if posted not in {*Workflow}:
            raise Problem(422, "invalid", "There is no such state.")
        await matches.move(resources, who, registry_id, str(match_id), Workflow(posted))
        return RedirectResponse(f"/trials/{registry_id}/matches/{match_id}", 303)

    @routes.post("/trials/subscriptions/{subscription_id}/test", dependencies=own)
    async def post_test(subscription_id: UUID, who: Coordinator) -> Response:
        await pages.test(who, str(subscription_id))
        return RedirectResponse("/trials?tested=1#subscriptions", 303)

    return routes


async def _form(request: Request) -> Posted:
    try:
        return Posted.of(await request.body())
    except FormError as error:
        raise Problem(400, "not_a_form", str(error)) from None


def _fragment(request: Request) -> bool:
    return "hx-request" in request.headers


def _sign_in(sessions: Sessions) -> APIRouter:
    routes = APIRouter()

    @routes.get("/trials/htmx.min.js")
    async def get_script() -> Response:
        text = packaged.files("templates").joinpath("pages/trials/htmx.min.js").read_bytes()
        headers = FIXED_HEADERS | {"Cache-Control": "max-age=86400"}
        return Response(text, media_type="text/javascript; charset=utf-8", headers=headers)

    @routes.get(SIGN_IN)
    async def get_sign_in() -> HTMLResponse:
        return page("trials/sign_in.html", wrong=False)

    @routes.post(SIGN_IN, dependencies=[Depends(own_page)])
    async def post_sign_in(request: Request) -> Response:
        response = RedirectResponse("/trials", 303)
        if sessions.begin(request, response, (await _form(request)).text("key")):
            return response
        return page("trials/sign_in.html", wrong=True, status=403)

    @routes.post("/trials/sign-out", dependencies=[Depends(own_page)])
    async def post_sign_out() -> Response:
        response = RedirectResponse(SIGN_IN, 303)
        sessions.end(response)
        return response

    return routes
