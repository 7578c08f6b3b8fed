"""Schemathesis on each service's OpenAPI: requests that it allows, and ones just beside it, are answered below 500."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode

from tests.fuzz.amount import EACH, time_limit
from tests.support.doors import SERVICES, Door, opened

pytestmark = time_limit

Case = schemathesis.Case[Any]


def cases(document: dict[str, Any]) -> Iterator[Case]:
    """Of each operation as many; half of them have something that the document doesn't allow."""
    found = list(schemathesis.openapi.from_dict(document).get_all_operations())
    operations = [each.ok() for each in found if isinstance(each, Ok)]
    assert len(operations) == len(found) > 0, "it can read all of the document"
    many = max(1, EACH // (2 * len(operations)))
    for operation, mode in product(operations, GenerationMode):
        yield from drawn(operation.as_strategy(generation_mode=mode), many)


def drawn(strategy: Any, many: int) -> list[Case]:
    """The same in every run."""
    found: list[Case] = []

    @seed(0)
    @settings(max_examples=many, phases=[Phase.generate], database=None, deadline=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(strategy)
    def draw(case: Case) -> None:
        found.append(case)

    draw()
    return found


async def send(door: Door, case: Case) -> httpx2.Response:
    """With what opens the door, and without cookies, which no document names."""
    said = case.as_transport_kwargs(base_url=str(door.http.base_url))
    made = {name: value for name, value in said["headers"].items() if name.lower() not in door.headers}
    headers = [(name.encode(), str(value).encode()) for name, value in {**made, **door.headers}.items()]
    body = {"json": said["json"]} if "json" in said else {"content": said.get("data")}
    return await door.http.request(said["method"], said["url"], params=said["params"], headers=headers, **body)


@pytest.mark.parametrize("service", SERVICES)
async def test_no_request_of_its_document_makes_a_service_fail(service: str, tmp_path: Path) -> None:
    async with opened(service, tmp_path) as door:
        for case in cases(door.app.openapi()):
            answer = await send(door, case)
            broker_is_away = answer.status_code == 503 and case.path.startswith("/v1/subscriptions")
            assert answer.status_code < 500 or broker_is_away, case
