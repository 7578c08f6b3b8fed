"""What stands around every request: body limit, security headers, metrics, a span, one log line, and no raw error.

The log line and the labels show the route's template, never the path: a path may hold a person's link.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import NoReturn

import structlog
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis import problems, tracing
from chassis.metrics import Metrics
from chassis.problems import Problem
from chassis.store import is_outage

log = structlog.get_logger(__name__)

# A page sets its own policy; everything else has nothing to load, to frame or to keep.
SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
# RFC 6797; a year, in seconds. Which of the host's other names speak TLS isn't ours to promise.
HSTS = "max-age=31536000"

DRAIN_BYTES, DRAIN_SECONDS = 8 * 1024 * 1024, 1.0
"""What is read and thrown away of an oversized body. Closing with unread bytes resets the line, and the sender, still
sending, would see the reset instead of the answer."""

CLIENT_GONE = 499
"""What proxies call it when the client hung up before it was answered: no failure of ours, and nobody to answer."""

_UNLOGGED = {"/livez", "/readyz", "/metrics"}  # asked every few seconds by machines


def too_large(limit: int) -> Problem:
    """413. The rest of the body may be unread, so the connection can't be used again."""
    return Problem(413, "too_large", f"A body may have at most {limit} bytes.", headers={"Connection": "close"})


class HttpEdge:
    """ASGI middleware, outermost of ours; ``limit`` in bytes of body."""

    def __init__(self, app: ASGIApp, *, limit: int, metrics: Metrics, traces: TracerProvider) -> None:
        self._app = app
        self._limit = limit
        self._metrics = metrics
        self._traces = traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        answer = _Answer(send, secure=_came_by_tls(scope, headers))
        started = time.perf_counter()
        traceparent = headers.get("traceparent")
        with tracing.span(self._traces, "HTTP request", traceparent=traceparent, kind=SpanKind.SERVER) as span:
            try:
                await self._answer(scope, receive, answer)
            finally:
                method, route = _method(scope), _route(scope)
                span.update_name(f"{method} {route}")
                span.set_attribute("http.response.status_code", answer.status)
                self._record(method, route, answer.status, time.perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        try:
            await self._app(scope, _Limited(receive, self._limit).receive, answer.send)
        except ClientDisconnect:
            answer.status = answer.status or CLIENT_GONE
        except Exception as error:
            problem = _problem(error)
            _log(problem, error, method=_method(scope), route=_route(scope))
            if answer.status:
                raise  # half an answer is out: the server must cut the connection
            await problems.response(problem)(scope, receive, answer.send)

    def _record(self, method: str, route: str, status: int, seconds: float) -> None:
        self._metrics.count("http_requests_total", method=method, route=route, status=str(status))
        self._metrics.observe("http_request_seconds", seconds, method=method, route=route)
        if route not in _UNLOGGED:
            log.info("request", method=method, route=route, status=status, ms=round(seconds * 1000, 1))


class _Answer:
    """Adds the headers that the application didn't set. ``status`` is 0 until the answer begins."""

    def __init__(self, send: Send, *, secure: bool) -> None:
        self._send = send
        self._headers = SECURITY_HEADERS | ({"strict-transport-security": HSTS} if secure else {})
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
            headers = MutableHeaders(scope=message)
            for name, value in self._headers.items():
                headers.setdefault(name, value)
        await self._send(message)


class _Limited:
    """Counts the body as it comes in, whatever was announced: a chunked one announces nothing."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._seen = 0
        self._more = True

    async def receive(self) -> Message:
        message = await self._next()
        if self._seen > self._limit:
            await self._refuse()
        return message

    async def _refuse(self) -> NoReturn:
        """Throw the rest away, within bounds, and raise."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while self._more and self._seen < DRAIN_BYTES:
                    await self._next()
        raise too_large(self._limit)

    async def _next(self) -> Message:
        message = await self._receive()
        self._seen += len(message.get("body", b""))
        self._more = bool(message.get("more_body", False))
        return message


def _problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if is_outage(error):
        detail = "The store is away for the moment; nothing was done."
        return Problem(503, "unavailable", detail, headers={"Retry-After": "5"})
    return Problem(500, "internal", "Something went wrong here; nothing is known to be wrong with the request.")


def _log(problem: Problem, error: Exception, **request: str) -> None:
    """Where in the code it happened helps only with a bug: an outage looks the same from everywhere."""
    if problem.status_code == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request_failed", **request, exc_info=error)
    elif problem.status_code > HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("request_refused", **request, code=problem.code, error=type(error).__name__)


def _came_by_tls(scope: Scope, headers: Headers) -> bool:
    """TLS ends at a proxy, whose word is believed for this alone: who forges it gets a header that browsers ignore."""
    return scope["scheme"] == "https" or headers.get("x-forwarded-proto", "").lower() == "https"


def _method(scope: Scope) -> str:
    """A label: made-up methods must not make new series."""
    known: Sequence[str] = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    return scope["method"] if scope["method"] in known else "other"


def _route(scope: Scope) -> str:
    """The template of the route that was taken."""
    return str(getattr(scope.get("route"), "path", "unmatched"))
