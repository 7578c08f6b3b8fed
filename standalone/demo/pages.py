"""The page ``/demo``: the story by simulated day, its mailbox, why for the chosen row, the equation, and the buttons.

A button posts a plain form and comes back; the one script reloads the page when something has changed.
"""

from importlib import resources
from typing import Annotated, Literal

from fastapi import FastAPI, Header, HTTPException
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from chassis.pages import FIXED_HEADERS, page
from standalone.demo import view
from standalone.demo.equation import equation
from standalone.demo.ledger import Entry, entries
from standalone.demo.research import explained, reports, shown_trials
from standalone.demo.show import Show
from standalone.demo.story import CAST, CEDARS
from standalone.mailbox import Message
from standalone.mailbox.view import source
from standalone.start_page import header_file

Tab = Literal["html", "text", "source", "calendar"]
Button = Literal["next", "play", "again", "smtp", "twice"]


def add_demo_pages(app: FastAPI, show: Show) -> None:
    """``/demo`` and what it needs; ``/`` leads to it."""

    @app.get("/")
    async def home() -> RedirectResponse:
        return RedirectResponse("/demo")

    @app.get("/demo", response_class=HTMLResponse)
    async def demo(row: str = "", match: str = "", person: str = "", tab: Tab = "html") -> HTMLResponse:
        return await _page(show, row, match, person if person in CAST else "", tab)

    @app.get("/demo/state")
    async def state() -> JSONResponse:
        return JSONResponse({"version": show.version}, headers=FIXED_HEADERS)

    @app.get("/demo/page.js")
    async def script() -> Response:
        text = resources.files("templates").joinpath("pages/demo/page.js").read_text("utf-8")
        return Response(text, media_type="text/javascript; charset=utf-8", headers=FIXED_HEADERS)

    @app.post("/demo/{button}")
    async def press(
        button: Button, back: str = "", sec_fetch_site: Annotated[str | None, Header()] = None
    ) -> RedirectResponse:
        if sec_fetch_site not in (None, "same-origin", "none"):
            raise HTTPException(403, "Only the demo's own page may press its buttons.")
        await _press(show, button)
        return RedirectResponse("/demo" + (f"?person={back}" if back in CAST else ""), 303)


async def _press(show: Show, button: Button) -> None:
    if button == "next":
        show.next()
    elif button == "play":
        show.play()
    elif button == "again":
        await show.again()
    elif button == "smtp":
        await show.turn_smtp()
    else:
        show.turn_twice()


async def _page(show: Show, row: str, match: str, person: str, tab: Tab) -> HTMLResponse:
    driver, version = show.driver, show.version  # before anything is read, so that a change meanwhile is noticed
    ledger, messages = await entries(driver.system, driver.posts), driver.system.mailbox.messages
    chosen = next((each for each in ledger if each.delivery_id == row), None)
    mail = _mail_of(chosen, messages)
    key_file = header_file(driver.system, driver.system.programs[CEDARS].tenant)
    trials, trials_away = await shown_trials(driver.staff, person)
    return page(
        "demo/demo.html",
        scripts="'self'",
        show=show,
        version=version,
        now=view.zone_name(driver.clock.now()),
        days=view.days(driver.posted, driver.matched, ledger, messages, person or None),
        cast=view.cast(),
        person=person,
        equation=await equation(driver.system),
        mails=len(messages),
        events=sum(each.events for each in driver.posted),
        chosen=chosen,
        mail=mail,
        parts=_parts(mail) if mail else {},
        tab=tab,
        why=await driver.staff.why(chosen) if chosen else [],
        worklist=await driver.staff.worklist(),
        trials=trials,
        trials_away=trials_away,
        reports=[] if person else await reports(driver.staff),
        coordinators=f"{driver.system.trials_url}/trials",
        key_file=key_file if key_file.exists() else None,
        match=await explained(driver.staff, trials, match),
        view=view,
    )


def _mail_of(entry: Entry | None, messages: list[Message]) -> Message | None:
    if entry is None or entry.message_id is None:
        return None
    return next((each for each in messages if each.header("Message-ID").strip() == entry.message_id), None)


def _parts(mail: Message) -> dict[str, str]:
    """The tabs that this mail has, with what is shown as text; HTML has a frame of its own."""
    parts = {"html": mail.html and "", "text": mail.text, "source": source(mail), "calendar": mail.calendar}
    return {name: content for name, content in parts.items() if content is not None}
