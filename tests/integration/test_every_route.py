"""What holds for every answer of every route of all three services, whatever was asked."""

import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from tests.support.doors import SERVICES, Door, opened, routes

SCRIPT = "/trials/htmx.min.js"
"""The same for everybody, so it may be kept."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=SERVICES)
async def door(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    async with opened(request.param, Path(tmp_path_factory.mktemp("door"))) as made:
        yield made


async def asked(door: Door, method: str, path: str) -> list[httpx2.Response]:
    """Without a key, with one but for what isn't there, with nonsense, and where it is known for what is there."""
    key = door.headers
    missing = re.sub(r"\{\w+\}", str(uuid.uuid4()), path)
    nonsense = re.sub(r"\{\w+\}", "%00%ff..%2f", path)
    answers = [await door.http.request(method, missing)]
    answers += [await door.http.request(method, each, headers=key) for each in (missing, nonsense)]
    answers.append(await door.http.request("BREW", missing, headers=key))
    answers.append(await door.http.request(method, missing, headers=key, content=b"x" * 9_000_000))
    if "{subscription_id}/events" not in path:  # it never ends
        known = re.sub(r"\{(\w+)\}", lambda found: door.known.get(found[1], ["none"])[0], path)
        answers.append(await door.http.request(method, known, headers=key))
    return answers


async def test_every_answer_of_every_route_carries_the_security_headers(door: Door) -> None:
    walked = routes(door.app)
    assert len(walked) > 8
    for method, path in walked:
        for answer in await asked(door, method, path):
            headers, place = answer.headers, f"{method} {path}: {answer.status_code}"
            assert answer.status_code < 500, place
            assert headers["x-content-type-options"] == "nosniff", place
            assert headers["referrer-policy"] == "no-referrer", place
            assert "no-store" in headers["cache-control"] or path == SCRIPT, place
            assert headers["strict-transport-security"] == "max-age=31536000", place
            assert "server" not in headers, place
            policy = headers["content-security-policy"]
            assert policy.startswith("default-src 'none'"), place
            assert "unsafe" not in policy, place
            assert "frame-ancestors" in policy, place


async def test_no_page_has_a_script_or_a_style_inside_that_its_policy_does_not_name(door: Door) -> None:
    pages = set()
    for method, path in routes(door.app):
        for answer in await asked(door, method, path):
            if answer.headers.get("content-type", "").startswith("text/html"):
                pages.add(path)
                assert not re.search(r"<script(?![^>]*\bsrc=)", answer.text), path
                assert not re.search(r"\son\w+\s*=|javascript:|\sstyle\s*=", answer.text), path
    assert len(pages) >= {"intake": 0, "notifier": 1, "trials": 4}[door.service]


async def test_tls_is_asked_for_only_where_the_request_came_by_it(door: Door) -> None:
    async def hsts(address: str, **headers: str) -> str | None:
        answer = await door.http.get(address, headers={name.replace("_", "-"): said for name, said in headers.items()})
        return answer.headers.get("strict-transport-security")

    assert await hsts("http://plain.example.org/livez") is None
    assert await hsts("http://plain.example.org/livez", x_forwarded_proto="http") is None
    assert await hsts("http://plain.example.org/livez", x_forwarded_proto="https")
    assert await hsts("https://secure.example.org/nowhere")
