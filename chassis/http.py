"""A service's HTTP application: problems for every error, the edge around it, and the routes that operators ask.

``/livez`` is the process; ``/readyz`` is what HTTP needs, the database, so that pages live through an outage of the
broker; ``/status`` shows every part; ``/metrics`` is Prometheus'. None of them shows anything protected, and none needs
a key: an ingress should let only the service's own paths through.
"""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from opentelemetry.sdk.trace import TracerProvider
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from chassis import problems
from chassis.api_keys import ApiKeys
from chassis.http_edge import HttpEdge
from chassis.metrics import Metrics
from chassis.problems import Problem
from chassis.settings import HttpSettings
from chassis.supervisor import Supervisor

log = structlog.get_logger(__name__)

READY_SECONDS = 2.0
"""A database that needs longer than this to say hello isn't ready."""


def create_app(
    *,
    title: str,
    settings: HttpSettings,
    supervisor: Supervisor,
    metrics: Metrics,
    traces: TracerProvider,
    ready: Callable[[], Awaitable[None]],
) -> FastAPI:
    """The application without the service's own routes; ``ready`` raises when it isn't (``store.ping``);
    a ``Problem`` is shown as it is.
    """
    app = FastAPI(title=title, docs_url=None, redoc_url=None)  # their pages load scripts from elsewhere
    app.state.api_keys = ApiKeys(settings.api_keys)
    app.add_middleware(HttpEdge, limit=settings.body_limit_bytes, metrics=metrics, traces=traces)
    _add_problem_handlers(app)
    _add_operators_routes(app, supervisor, metrics, ready)
    return app


def _add_operators_routes(
    app: FastAPI, supervisor: Supervisor, metrics: Metrics, ready: Callable[[], Awaitable[None]]
) -> None:
    @app.get("/livez", include_in_schema=False)
    async def livez() -> Response:
        return JSONResponse({"status": "ok"})

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        try:
            async with asyncio.timeout(READY_SECONDS):
                await ready()
        except Problem as problem:
            return problems.response(problem)
        except Exception as error:  # whatever it is, the answer is no
            log.warning("not_ready", exc_info=error)
            return problems.response(Problem(503, "not_ready", "The database doesn't answer."))
        return JSONResponse({"status": "ok"})

    @app.get("/status", include_in_schema=False)
    async def status() -> Response:
        return JSONResponse({"parts": supervisor.status(), "failed": supervisor.failed.is_set()})

    @app.get("/metrics", include_in_schema=False)
    async def exposition() -> Response:
        return Response(metrics.registry.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _add_problem_handlers(app: FastAPI) -> None:
    @app.exception_handler(HTTPException)
    async def http_problem(_request: Request, error: HTTPException) -> Response:
        if isinstance(error, Problem):
            return problems.response(error)
        phrase = HTTPStatus(error.status_code).phrase
        code = phrase.lower().replace(" ", "_").replace("-", "_")
        # Only the framework raises these, and some of its texts quote the request.
        return problems.response(Problem(error.status_code, code, f"{phrase}.", headers=error.headers))

    @app.exception_handler(RequestValidationError)
    async def invalid_request(_request: Request, error: RequestValidationError) -> Response:
        if any(found["type"] == "json_invalid" for found in error.errors()):
            return problems.response(Problem(400, "not_json", "The body isn't JSON."))
        found = problems.request_errors(error.errors())
        return problems.response(Problem(422, "invalid", "The request has fields that are not valid.", errors=found))
