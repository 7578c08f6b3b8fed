"""``/v1/unsubscribe/<token>``: ends mail about research. Public: the link is the key, and it opens nothing else.

Links are opened by machines, so a GET changes nothing. The POST asks nothing and needs no page before it: a mail
program's own button sends it (RFC 8058).
"""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from chassis.pages import page
from services.notifier.answers import stop_trials
from services.notifier.links import Link
from services.notifier.resources import Resources


def router(resources: Resources) -> APIRouter:
    """The page and its one button."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/v1/unsubscribe/{token}")
    async def ask(token: str) -> HTMLResponse:
        link = resources.links.unsubscribing(token) if resources.links else None
        return await _shown(resources, link, done=False)

    @routes.post("/v1/unsubscribe/{token}")
    async def stop(token: str) -> HTMLResponse:
        link = resources.links.unsubscribing(token) if resources.links else None
        if link is not None:
            async with resources.store.write() as connection:
                await stop_trials(connection, resources.planner, resources.master, link)
        return await _shown(resources, link, done=True)

    return routes


async def _shown(resources: Resources, link: Link | None, *, done: bool) -> HTMLResponse:
    if link is None:
        return page("unsubscribe/no_such_link.html", status=404)
    async with resources.store.read() as connection:
        program = (await resources.programs.current(connection)).get(link.program)
    return page("unsubscribe/research.html", name=program.public_name if program else None, done=done)
