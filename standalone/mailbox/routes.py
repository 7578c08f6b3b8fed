"""Pages and JSON of the mailbox, mountable under any prefix.

The HTML of a mail is hostile until shown otherwise: it is served from its own address, sandboxed twice (frame and
policy), without scripts, forms or anything loaded from elsewhere; its links open in a new tab.
"""

from typing import Annotated, Literal

from fastapi import APIRouter, Header, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from chassis.pages import FIXED_HEADERS, page
from standalone.mailbox import view
from standalone.mailbox.mailbox import Mailbox
from standalone.mailbox.message import Message

MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)
LINKS_IN_NEW_TAB = b'<base target="_blank">'  # counts wherever it stands, and the frame's policy keeps other uses off

Tab = Literal["html", "text", "source", "calendar"]
Order = Literal["accepted", "date"]


def router(mailbox: Mailbox) -> APIRouter:
    """All routes for one mailbox; include it with the prefix of your choice."""
    routes = APIRouter()
    _add_pages(routes, mailbox)
    _add_files(routes, mailbox)
    _add_api(routes, mailbox)
    return routes


def _add_pages(routes: APIRouter, mailbox: Mailbox) -> None:
    @routes.get("/", response_class=HTMLResponse)
    async def show_list(order: Order = "accepted") -> HTMLResponse:
        mails = [view.summary(message) for message in view.ordered(mailbox.messages, order)]
        return page("mailbox/list.html", mails=mails, order=order, mailbox=mailbox, when=view.when)

    @routes.get("/messages/{message_id}", response_class=HTMLResponse)
    async def show_message(message_id: str, tab: Tab | None = None) -> HTMLResponse:
        message = _found(mailbox, message_id)
        tabs = _tabs(message)
        chosen = tab if tab in tabs else tabs[0]
        return page("mailbox/message.html", mail=view.whole(message), tabs=tabs, tab=chosen, when=view.when)

    @routes.post("/delete-all")
    async def delete_all(sec_fetch_site: Annotated[str | None, Header()] = None) -> RedirectResponse:
        if sec_fetch_site not in (None, "same-origin", "none"):
            raise HTTPException(403, "Only the mailbox's own page may delete mail.")
        mailbox.clear()
        return RedirectResponse("./", 303)


def _add_files(routes: APIRouter, mailbox: Mailbox) -> None:
    @routes.get("/messages/{message_id}/html", response_class=HTMLResponse)
    async def show_html(message_id: str) -> HTMLResponse:
        html = _present(_found(mailbox, message_id).html)
        headers = FIXED_HEADERS | {"Content-Security-Policy": MAIL_POLICY}
        return HTMLResponse(html.encode("utf-8", "replace") + LINKS_IN_NEW_TAB, headers=headers)

    @routes.get("/messages/{message_id}/calendar.ics")
    async def load_calendar(message_id: str) -> Response:
        calendar = _present(_found(mailbox, message_id).calendar)
        return _download(calendar.encode("utf-8", "replace"), "text/calendar; charset=utf-8", "calendar.ics")

    @routes.get("/messages/{message_id}/mail.eml")
    async def load_source(message_id: str) -> Response:
        return _download(_found(mailbox, message_id).source, "message/rfc822", "mail.eml")


def _add_api(routes: APIRouter, mailbox: Mailbox) -> None:
    @routes.get("/api/messages")
    async def list_messages(order: Order = "accepted") -> list[view.Summary]:
        return [view.summary(message) for message in view.ordered(mailbox.messages, order)]

    @routes.get("/api/messages/{message_id}")
    async def get_message(message_id: str) -> view.Whole:
        return view.whole(_found(mailbox, message_id))

    @routes.delete("/api/messages", status_code=204)
    async def delete_messages() -> None:
        mailbox.clear()


def _found(mailbox: Mailbox, message_id: str) -> Message:
    if (message := mailbox.get(message_id)) is None:
        raise HTTPException(404, "No such mail. It may have been deleted.")
    return message


def _present(part: str | None) -> str:
    if part is None:
        raise HTTPException(404, "This mail has no such part.")
    return part


def _tabs(message: Message) -> list[Tab]:
    present: list[tuple[Tab, object]] = [
        ("html", message.html),
        ("text", message.text),
        ("source", True),
        ("calendar", message.calendar),
    ]
    return [tab for tab, content in present if content]


def _download(content: bytes, kind: str, name: str) -> Response:
    headers = FIXED_HEADERS | {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=kind, headers=headers)
