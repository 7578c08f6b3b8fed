"""The HTTP edge over a real socket: every error is a problem, nothing sent comes back, nothing oversized gets in."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

import httpx2
import pytest
import pytest_asyncio
from fastapi import Depends, FastAPI, Request
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, EmailStr, Field, field_validator

from chassis import tracing
from chassis.api_keys import Caller, caller, new_api_key, scope
from chassis.http import create_app
from chassis.http_server import HttpServer
from chassis.metrics import Metrics
from chassis.problems import MEDIA_TYPE, FieldError, Problem, response
from chassis.scope import Scope
from chassis.settings import HttpSettings, StoreSettings
from chassis.store import Store
from chassis.supervisor import Supervisor
from tests.support.eventually import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY, KEY_SETTING = new_api_key("desk", "cshs", ["k7m2"], ["publish"])
SETTINGS = HttpSettings(port=0, body_limit_bytes=1000, api_keys=(KEY_SETTING,))
SENT = "hunter2"  # stands for anything protected: must never come back


class Visit(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: UUID
    start: AwareDatetime
    note: str = Field("", max_length=10)
    mail: EmailStr | None = None
    parts: list[int] = []

    @field_validator("note")
    @classmethod
    def _no_shouting(cls, value: str) -> str:
        if value.isupper():
            raise ValueError("must not shout")
        return value


def add_routes(app: FastAPI) -> None:
    @app.post("/visits/{name}")
    async def visit(name: str, visit: Visit, limit: int = 1) -> dict[str, str]:
        return {"ok": name}

    @app.post("/raw")
    async def raw(request: Request) -> int:
        return len(await request.body())

    @app.get("/fails")
    async def fails() -> None:
        raise LookupError(SENT)

    @app.get("/away")
    async def away() -> None:
        raise ConnectionRefusedError(SENT)

    @app.get("/own")
    async def own() -> None:
        raise Problem(409, "already_there", "It is already there.", errors=[FieldError("#/id", "Is taken")])

    @app.get("/breaks")
    async def breaks() -> StreamingResponse:
        async def half() -> AsyncIterator[bytes]:
            yield b"half"
            raise LookupError(SENT)

        return StreamingResponse(half())

    @app.get("/scope")
    async def show(known: Annotated[Scope, Depends(scope("publish"))]) -> list[str]:
        return [known.tenant, *(known.programs or ())]

    @app.get("/admin")
    async def admin(known: Annotated[Caller, Depends(caller("admin"))]) -> str:
        return known.key_id

    @app.get("/page")
    async def page() -> Any:
        return httpx2  # not serialisable: a bug while answering


@contextlib.asynccontextmanager
async def running(store: Store, metrics: Metrics) -> AsyncIterator[httpx2.AsyncClient]:
    app = create_app(
        title="example",
        settings=SETTINGS,
        supervisor=Supervisor([]),
        metrics=metrics,
        traces=tracing.tracer_provider("example"),
        ready=store.ping,
    )
    add_routes(app)
    server = HttpServer(app, SETTINGS)
    port = await server.start()
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            yield client
    finally:
        await server.stop()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("example")


# One server for all tests: stopping one takes uvicorn a third of a second.
@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx2.AsyncClient]:
    store = Store(StoreSettings(url=f"sqlite:///{tmp_path_factory.mktemp('store') / 'x.db'}"))
    async with running(store, Metrics("example")) as opened:
        yield opened
    await store.close()


def problem(response: httpx2.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status
    assert response.headers["content-type"] == MEDIA_TYPE
    assert SENT not in response.text
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["type"].startswith("urn:upright:problem:")
    assert body["title"]
    assert body["detail"]
    return body


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"/nowhere/{SENT}", 404),
        ("DELETE", "/raw", 405),
        ("GET", "/fails", 500),
        ("GET", "/page", 500),
        ("GET", "/away", 503),
        ("GET", "/own", 409),
        ("GET", "/admin", 401),
    ],
)
async def test_every_error_is_a_problem_that_repeats_nothing(
    client: httpx2.AsyncClient, method: str, path: str, status: int
) -> None:
    problem(await client.request(method, path), status)


async def test_a_wrong_method_names_the_right_ones(client: httpx2.AsyncClient) -> None:
    assert (await client.delete("/raw")).headers["allow"] == "POST"


async def test_an_outage_says_when_to_come_back(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/away")).headers["retry-after"] == "5"


async def test_an_outage_leaves_its_name_in_the_log_and_a_bug_its_place(
    client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    await client.get("/away")
    await client.get("/fails")
    lines: list[dict[str, Any]] = [each.msg for each in caplog.records if isinstance(each.msg, dict)]
    (away,) = [each for each in lines if each["event"] == "request_refused"]
    (bug,) = [each for each in lines if each["event"] == "request_failed"]
    assert (away["code"], away["error"], away["level"]) == ("unavailable", "ConnectionRefusedError", "warning")
    assert "exception" not in away
    assert bug["route"] == "/fails"
    assert bug["exception"]


@pytest.mark.parametrize(("path", "status"), [("/raw", 499), ("/visits/x", 400)])
async def test_a_client_that_hangs_up_in_the_middle_of_its_body_is_no_failure_of_ours(
    client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture, path: str, status: int
) -> None:
    caplog.set_level("INFO", "chassis")
    _, line = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n"
    line.write(head.encode() + b"x" * 100)
    await line.drain()
    line.close()
    await line.wait_closed()

    await eventually(lambda: caplog.records, within=5)
    assert [each.msg["status"] for each in caplog.records if isinstance(each.msg, dict)] == [status]
    assert {each.levelname for each in caplog.records} == {"INFO"}


async def test_a_services_own_problem_carries_its_fields(client: httpx2.AsyncClient) -> None:
    body = problem(await client.get("/own"), 409)
    assert body["type"] == "urn:upright:problem:already_there"
    assert body["errors"] == [{"pointer": "#/id", "detail": "Is taken"}]


GOOD = {"id": "7b1c1a52-5df4-4a43-9c28-6a5f6f1d4ed4", "start": "2026-05-04T12:00:00Z"}


@pytest.mark.parametrize(
    ("change", "pointer", "detail"),
    [
        ({"id": SENT}, "#/id", "Should be a UUID"),
        ({"start": SENT}, "#/start", "Should be a date and time with an offset"),
        ({"start": "2026-05-04T12:00:00"}, "#/start", "Input should have timezone info"),
        ({"note": SENT * 3}, "#/note", "String should have at most 10 characters"),
        ({"note": "LOUD"}, "#/note", "must not shout"),
        ({"mail": f"x@{SENT}\r\nBcc: y"}, "#/mail", "Is not valid; if it is an e-mail address, it isn't well formed"),
        ({"parts": [1, SENT]}, "#/parts/1", "Input should be a valid integer, unable to parse string as an integer"),
        ({"a/b~c": SENT}, "#/a~1b~0c", "Extra inputs are not permitted"),
        ({"start": None}, "#/start", "Input should be a valid datetime"),
    ],
)
async def test_each_wrong_field_is_named_and_its_value_isnt(
    client: httpx2.AsyncClient, change: dict[str, object], pointer: str, detail: str
) -> None:
    body = problem(await client.post("/visits/x", json=GOOD | change), 422)
    assert body["errors"] == [{"pointer": pointer, "detail": detail}]


async def test_a_field_named_by_half_a_character_is_named_as_far_as_it_can_be() -> None:
    refused = Problem(422, "refused", "Nothing was accepted.", errors=[FieldError("#/\ud800", "Is unknown")])
    assert json.loads(bytes(response(refused).body))["errors"] == [{"pointer": "#/?", "detail": "Is unknown"}]


async def test_all_wrong_fields_are_named_at_once(client: httpx2.AsyncClient) -> None:
    body = problem(await client.post(f"/visits/x?limit={SENT}", json={}), 422)
    assert [error["pointer"] for error in body["errors"]] == ["query/limit", "#/id", "#/start"]


async def test_a_good_request_passes(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/visits/x", json=GOOD)).json() == {"ok": "x"}


@pytest.mark.parametrize("body", [b"{" + SENT.encode(), b'"\xff\xfe"', b"", b"[" * 900])
async def test_a_body_that_isnt_json_is_the_callers_error(client: httpx2.AsyncClient, body: bytes) -> None:
    response = await client.post("/visits/x", content=body, headers={"content-type": "application/json"})
    problem(response, 422 if body == b"" else 400)


async def chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 100):
        yield b"x" * 100


@pytest.mark.parametrize("size", [1000, 1100, 100_000])
async def test_a_body_is_bounded_also_when_it_comes_in_chunks(client: httpx2.AsyncClient, size: int) -> None:
    for content in (b"x" * size, chunks(size)):
        response = await client.post("/raw", content=content)
        if size <= 1000:
            assert response.json() == size
        else:
            assert problem(response, 413)["detail"] == "A body may have at most 1000 bytes."


async def test_an_oversized_chunked_body_stops_a_parsed_route_too(client: httpx2.AsyncClient) -> None:
    headers = {"content-type": "application/json"}
    problem(await client.post("/visits/x", content=chunks(2000), headers=headers), 413)


async def test_an_answer_that_breaks_is_cut_off_and_not_passed_off_as_whole(client: httpx2.AsyncClient) -> None:
    with pytest.raises(httpx2.RemoteProtocolError):
        await client.get("/breaks")


@pytest.mark.parametrize("path", ["/livez", "/nowhere", "/fails", "/scope"])
async def test_every_answer_has_the_security_headers(client: httpx2.AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


async def test_a_key_opens_its_scope(client: httpx2.AsyncClient) -> None:
    response = await client.get("/scope", headers={"authorization": f"Bearer {KEY}"})
    assert response.json() == ["cshs", "k7m2"]


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer desk.wrong", "Basic {key}", "Bearer {key}x", "Bearer é.é"])
async def test_without_a_valid_key_nobody_gets_in(client: httpx2.AsyncClient, value: str) -> None:
    response = await client.get("/scope", headers={b"authorization": value.replace("{key}", KEY).encode()})
    problem(response, 401)
    assert response.headers["www-authenticate"] == "Bearer"


async def test_a_key_without_the_role_is_forbidden(client: httpx2.AsyncClient) -> None:
    problem(await client.get("/admin", headers={"authorization": f"Bearer {KEY}"}), 403)


async def test_the_process_lives_and_is_ready_and_shows_its_parts(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/livez")).status_code == 200
    assert (await client.get("/readyz")).status_code == 200
    assert (await client.get("/status")).json() == {"parts": {}, "failed": False}


async def test_without_its_database_it_lives_but_isnt_ready(metrics: Metrics) -> None:
    store = Store(StoreSettings(url="postgresql://u:hunter2@127.0.0.1:1/none"))
    async with running(store, metrics) as client:
        assert (await client.get("/livez")).status_code == 200
        problem(await client.get("/readyz"), 503)
    await store.close()


async def test_requests_are_counted_by_route_and_never_by_path(client: httpx2.AsyncClient) -> None:
    await client.post(f"/visits/{SENT}", json=GOOD)
    await client.get(f"/nowhere/{SENT}")
    await client.request("BREW", "/raw")
    text = (await client.get("/metrics")).text
    assert 'route="/visits/{name}",service="example",status="200"}' in text
    assert 'route="unmatched",service="example",status="404"}' in text
    assert 'method="other"' in text
    assert SENT not in text
    assert "BREW" not in text


PROGRAM = """
import asyncio, sys
from chassis import tracing
from chassis.http import create_app
from chassis.http_server import serve
from chassis.metrics import Metrics
from chassis.settings import HttpSettings
from chassis.supervisor import Supervisor

class Part:
    name = "part"
    async def run(self, stopping):
        print("started", flush=True)
        if "--dies" in sys.argv:
            raise LookupError("bug")
        await stopping.wait()
        print("stopped", flush=True)
    def status(self):
        return {}

async def ready():
    pass

async def main():
    supervisor, settings = Supervisor([Part()]), HttpSettings(port=0)
    app = create_app(title="x", settings=settings, supervisor=supervisor, metrics=Metrics("x"),
                     traces=tracing.tracer_provider("x"), ready=ready)
    return await serve(app, settings, supervisor)

sys.exit(asyncio.run(main()))
"""


async def process(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_process_in_good_order(number: signal.Signals) -> None:
    served = await process()
    assert served.stdout is not None
    while b"started" not in await served.stdout.readline():
        pass
    os.kill(served.pid, number)
    output, errors = await served.communicate()
    assert (served.returncode, output.splitlines()[-1]) == (0, b"stopped"), errors


async def test_a_part_that_dies_ends_the_process_with_status_1() -> None:
    served = await process("--dies")
    await served.communicate()
    assert served.returncode == 1


async def test_a_taken_port_is_an_error_at_once(client: httpx2.AsyncClient) -> None:
    port = int(client.base_url.port or 0)
    with pytest.raises(OSError, match="in use"):
        await HttpServer(FastAPI(), HttpSettings(port=port)).start()
