"""``POST /v1/events``: CloudEvents in binary, structured and batch form; ``GET`` shows what became of one."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request, Response

from chassis.api_keys import Caller, caller
from chassis.cloudevents_http import BATCH, read_http
from chassis.cloudevents_http import Refused as NotCloudEvents
from chassis.problems import FieldError, Problem
from services.intake import domain
from services.intake.accept import Arrivals, KeyReused
from services.intake.batch import Accepted, BatchRefused, Posted
from services.intake.posting import read_posted
from services.intake.resources import Resources
from services.intake.routes import PUBLISH
from services.intake.store.events import find_events, is_waiting
from services.intake.store.requests import RequestKey

Publisher = Annotated[Caller, Depends(caller(PUBLISH))]
IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")]


def router(resources: Resources, arrivals: Arrivals) -> APIRouter:
    """The routes of events."""
    routes = APIRouter()

    @routes.post("/v1/events", status_code=202)
    async def post_events(
        request: Request, response: Response, publisher: Publisher, idempotency_key: IdempotencyKey = None
    ) -> dict[str, Any]:
        body = await request.body()
        is_batch = _media_type(request) == BATCH
        batch = _read(request, body, is_batch, resources.max_batch)
        key = _request_key(request, body, publisher, idempotency_key)
        try:
            answers = await arrivals.accept(publisher, batch, key)
        except BatchRefused as refused:
            raise _refused(refused.problems, is_batch, conflict=refused.conflict) from None
        except KeyReused:
            raise Problem(422, "key_reused", "This Idempotency-Key came before, with another body.") from None
        if not is_batch:
            response.headers["Location"] = _location(answers[0])
        return {"events": [_shown(each) for each in answers]}

    @routes.get("/v1/events/{event_id}")
    async def get_event(event_id: UUID, publisher: Publisher) -> dict[str, Any]:
        scope = publisher.scope
        async with resources.store.read() as connection:
            row = (await find_events(connection, scope.tenant, [str(event_id)])).get(str(event_id))
            if row is None or not scope.allows(row.program):
                raise Problem(404, "no_such_event", "There is no such event.")
            waiting = await is_waiting(connection, row.patient_id, row.event_id)
        accepted = Accepted(row.event_id, row.name, row.subject, row.version, row.recorded_at.isoformat())
        return _shown(accepted) | {"time": row.time.isoformat(), "state": "waiting" if waiting else "published"}

    return routes


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _read(request: Request, body: bytes, is_batch: bool, at_most: int) -> list[Posted]:
    try:
        events = read_http(request.headers, body)
    except NotCloudEvents as refused:
        if refused.reason == "bad_content_type":
            raise Problem(415, "bad_content_type", "Events are posted as CloudEvents with JSON data.") from None
        found = [(each.index, domain.Problem(each.pointer, each.detail)) for each in refused.problems]
        raise _refused(found, is_batch and refused.reason != "bad_body", status=400) from None
    if len(events) > at_most:
        raise Problem(413, "too_many", f"A batch may have at most {at_most} events.")
    return _posted(events, is_batch)


def _posted(events: Sequence[tuple[Any, bytes]], is_batch: bool) -> list[Posted]:
    batch: list[Posted] = []
    problems: list[tuple[int, domain.Problem]] = []
    for index, (envelope, data) in enumerate(events):
        try:
            batch.append(read_posted(envelope, data))
        except domain.Refused as refused:
            problems += [(index, problem) for problem in refused.problems]
    if problems:
        raise _refused(problems, is_batch)
    return batch


def _refused(
    problems: Iterable[tuple[int, domain.Problem]], is_batch: bool, *, conflict: bool = False, status: int = 422
) -> Problem:
    errors = [FieldError(f"#/{index}{p.pointer}" if is_batch else f"#{p.pointer}", p.detail) for index, p in problems]
    if conflict:
        return Problem(409, "conflict", "An id stands for another event already; nothing was accepted.", errors=errors)
    return Problem(status, "refused", "Nothing was accepted.", errors=errors)


def _request_key(request: Request, body: bytes, publisher: Caller, key: str | None) -> RequestKey | None:
    """In binary mode the envelope stands in the headers, so they are part of what the key stands for."""
    if key is None:
        return None
    named = sorted((name, value) for name, value in request.headers.items() if name.startswith("ce-"))
    said = repr([_media_type(request), *named]).encode() + body
    return RequestKey.of(publisher.scope.tenant, publisher.key_id, key, said)


def _location(accepted: Accepted) -> str:
    return f"/v1/events/{accepted.event_id}"


def _shown(accepted: Accepted) -> dict[str, Any]:
    return {
        "id": accepted.event_id,
        "type": accepted.name,
        "subject": accepted.subject,
        "version": accepted.version,
        "recorded_at": accepted.recorded_at,
        "location": _location(accepted),
    }
