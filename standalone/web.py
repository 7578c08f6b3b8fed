"""The web server of one's own machine: pages of standalone beside the mailbox, on loopback only."""

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from chassis.http_server import HttpServer
from chassis.settings import HttpSettings
from standalone.mailbox import Mailbox, router


class MailboxPages:
    """The pages of whichever mailbox is the present one; ``show`` another."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.show(mailbox)

    def show(self, mailbox: Mailbox) -> None:
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        app.include_router(router(mailbox))
        self._app: ASGIApp = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def with_mailbox(pages: MailboxPages) -> FastAPI:
    """An application with the mailbox under ``/mailbox``; others add their routes."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.mount("/mailbox", pages)
    return app


def server(app: FastAPI, port: int) -> HttpServer:
    """Not started. Port 0 takes a free one."""
    return HttpServer(app, HttpSettings(port=port))
