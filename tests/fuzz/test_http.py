"""No request makes a service fail: whatever comes, the answer is below 500 and carries the safe headers."""

from pathlib import Path

import httpx2
import pytest

from chassis.problems import MEDIA_TYPE
from tests.fuzz.amount import chances, time_limit
from tests.fuzz.asking import Ask, Asking
from tests.support.doors import SERVICES, Door, opened

pytestmark = time_limit


async def send(door: Door, ask: Ask) -> httpx2.Response:
    own = {} if ask.keyless else {name: value.encode() for name, value in door.headers.items()}
    headers = [(name.encode(), value) for name, value in (own | ask.headers).items()]
    return await door.http.request(ask.method, ask.target, headers=headers, content=ask.body)


@pytest.mark.parametrize("service", SERVICES)
async def test_no_request_makes_a_service_fail(service: str, tmp_path: Path) -> None:
    async with opened(service, tmp_path) as door:
        asking = Asking(door)
        for chance in chances(f"http {service}"):
            ask = asking.one(chance)
            answer = await send(door, ask)
            broker_is_away = answer.status_code == 503 and ask.target.startswith("/v1/subscriptions")
            assert answer.status_code < 500 or broker_is_away, ask
            assert answer.headers["x-content-type-options"] == "nosniff", ask
            if answer.headers.get("content-type") == MEDIA_TYPE:
                assert answer.json()["status"] == answer.status_code, ask
