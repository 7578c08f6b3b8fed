"""API keys change without a moment in which callers are refused: two instances, restarted one after the other."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated

import httpx2
from fastapi import Depends

from chassis import tracing
from chassis.api_keys import Caller, caller, new_api_key
from chassis.http import create_app
from chassis.metrics import Metrics
from chassis.settings import ApiKeySetting, HttpSettings
from chassis.supervisor import Supervisor

OLD, OLD_SETTING = new_api_key("desk-2026", "cedars", None, ["publish"])
NEW, NEW_SETTING = new_api_key("desk-2027", "cedars", None, ["publish"])


async def ready() -> None:
    pass


@asynccontextmanager
async def instance(keys: Sequence[ApiKeySetting]) -> AsyncIterator[httpx2.AsyncClient]:
    """One instance with these keys in its settings, as it is after a restart."""
    app = create_app(
        title="x", settings=HttpSettings(api_keys=tuple(keys)), supervisor=Supervisor([]), metrics=Metrics("x"),
        traces=tracing.tracer_provider("x"), ready=ready,
    )  # fmt: skip

    @app.get("/who")
    async def who(known: Annotated[Caller, Depends(caller("publish"))]) -> str:
        return known.key_id

    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://x") as client:
        yield client


async def answers(key: str, *instances: Sequence[ApiKeySetting]) -> list[int]:
    """What each instance answers to a holder of ``key``."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(instance(keys)) for keys in instances]
        return [(await each.get("/who", headers={"authorization": f"Bearer {key}"})).status_code for each in clients]


async def test_no_caller_is_refused_while_a_key_is_replaced() -> None:
    old, both, new = [OLD_SETTING], [OLD_SETTING, NEW_SETTING], [NEW_SETTING]
    # The new key is added to one instance after the other, while callers still use the old one.
    for first, second in ((old, old), (both, old), (both, both)):
        assert await answers(OLD, first, second) == [200, 200]
    # Then callers change over, and the old key is taken away, again one after the other.
    for first, second in ((both, both), (new, both), (new, new)):
        assert await answers(NEW, first, second) == [200, 200]
    assert await answers(OLD, new, new) == [401, 401]
