"""Logs reach webhooks in order, signed and thin, through whatever a receiver does; or a person hears of it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from standardwebhooks.webhooks import Webhook

from chassis.settings import KafkaSettings, StoreSettings
from chassis.store import database_now
from schemas.registry import TRIALS_OUTCOMES
from services.trials.subscriptions.signing import RETRIES
from services.trials.tables import subscriptions
from tests.support.certificates import Authority
from tests.support.coordinating import CVF, FISTULA, Room, coordinators
from tests.support.hook_server import HookServer
from tests.support.research import Research, beside, research
from tests.support.subscribing import carried, follow, subscribe

SLOW = 3.0
"""Seconds a receiver has: more than any needs on a busy machine."""


@pytest.fixture
async def desk(store_settings: StoreSettings) -> AsyncIterator[Research]:
    async with research(store_settings, webhook_seconds=SLOW) as one:
        yield one


@pytest.fixture
async def room(desk: Research) -> AsyncIterator[Room]:
    async with coordinators(desk) as one:
        yield one


@pytest.fixture
async def hook() -> AsyncIterator[HookServer]:
    async with HookServer() as server:
        yield server


async def state(desk: Research) -> Any:
    """The one subscription's row, and the seconds until it may be tried again."""
    async with desk.trials.store.read() as connection:
        row = (await connection.execute(select(subscriptions, database_now().label("now")))).one()
    return row, ((row.not_before - row.now).total_seconds() if row.not_before else 0.0)


async def wait_over(desk: Research) -> None:
    """The pause has passed, by the database's clock."""
    async with desk.trials.store.write() as connection:
        await connection.execute(update(subscriptions).values(not_before=database_now(-1)))


async def test_a_report_is_announced_signed_and_fetched_with_the_coordinators_key(
    desk: Research, room: Room, hook: HookServer
) -> None:
    await desk.publish(CVF)
    mine = await subscribe(room, "webhook", url=hook.url)
    grace = await desk.admit(**FISTULA)
    await follow(desk)
    assert [await desk.trials.subscribed.webhooks.wave() for _ in range(2)] == [1, 0]
    (got,) = hook.got
    told = got.json["data"]
    assert (got.path, got.json["type"]) == ("/hook?key=of-the-coordinator", "report.found")
    assert told.keys() == {"subscription_id", "sequence", "report_id"}
    message = got.headers["webhook-id"]
    Webhook(mine["secret"]).verify(got.body, dict(got.headers))
    report = await room.get(f"/v1/subscriptions/{told['subscription_id']}/reports/{told['sequence']}")
    assert report.json()["report_id"] == told["report_id"] == message
    for secret in (grace, report.json()["pseudonym"], CVF, "1986", "met"):
        assert secret.encode() not in got.raw


@pytest.mark.parametrize("bad", ["500 Oops", "307 Temporary Redirect", "404 Not Found", None])
async def test_whatever_else_it_answers_is_tried_again_later_and_in_order(
    desk: Research, room: Room, hook: HookServer, bad: str | None
) -> None:
    mine = await subscribe(room, "webhook", url=hook.url)
    for _ in range(2):
        await room.post(f"/v1/subscriptions/{mine['subscription_id']}/test")
    hook.script(bad)
    assert [await desk.trials.subscribed.webhooks.wave() for _ in range(2)] == [1, 0], "it waits"
    row, pause = await state(desk)
    assert (row.attempts, row.delivered) == (1, 0)
    assert RETRIES[0] - 3 < pause <= RETRIES[0] * 1.1
    await wait_over(desk)
    while await desk.trials.subscribed.webhooks.wave():
        pass
    assert [each.json["data"]["sequence"] for each in hook.got] == [1, 1, 2]
    assert hook.got[0].headers["webhook-id"] == hook.got[1].headers["webhook-id"]
    row, _ = await state(desk)
    assert (row.attempts, row.delivered, row.not_before) == (0, 2, None)


async def test_one_that_is_gone_is_disabled_at_once_and_a_person_is_told(
    desk: Research, room: Room, hook: HookServer
) -> None:
    await desk.publish(CVF)
    mine = await subscribe(room, "webhook", url=hook.url)
    path = f"/v1/subscriptions/{mine['subscription_id']}"
    await room.post(f"{path}/test")
    hook.script("410 Gone")
    await desk.trials.subscribed.webhooks.wave()
    assert (await room.get(path)).json()["state"] == "disabled"
    (item,) = await carried(desk, TRIALS_OUTCOMES)
    assert (item["code"], item["patient_id"], item["program"]) == (
        "webhook_disabled",
        None,
        min(desk.trials.resources.offers),
    )
    assert (await room.post(f"{path}/test")).status_code == 409
    await desk.admit(**FISTULA)
    await follow(desk)
    assert await desk.trials.subscribed.webhooks.wave() == 0
    assert (await room.get(path)).json()["reports"] == 1


async def test_one_that_never_answers_is_given_up_after_the_last_try(
    desk: Research, room: Room, hook: HookServer
) -> None:
    mine = await subscribe(room, "webhook", url=hook.url)
    await room.post(f"/v1/subscriptions/{mine['subscription_id']}/test")
    pauses = []
    for _ in range(len(RETRIES) + 1):
        hook.script("503 Busy")
        await desk.trials.subscribed.webhooks.wave()
        row, pause = await state(desk)
        pauses.append(pause)
        await wait_over(desk)
    assert all(planned - 3 < pause < planned * 1.1 + 1 for planned, pause in zip(RETRIES, pauses, strict=False))
    assert row.state == "disabled"
    assert len(hook.got) == len(RETRIES) + 1
    assert len(await carried(desk, TRIALS_OUTCOMES)) == 1


async def test_nobody_listening_is_a_failure_as_any(desk: Research, room: Room) -> None:
    async with HookServer() as hook:
        url = hook.url
    mine = await subscribe(room, "webhook", url=url)
    await room.post(f"/v1/subscriptions/{mine['subscription_id']}/test")
    await desk.trials.subscribed.webhooks.wave()
    assert (await state(desk))[0].attempts == 1


async def test_one_webhook_that_fails_delays_no_other(desk: Research, room: Room, hook: HookServer) -> None:
    async with HookServer() as other:
        for each in (hook, other):
            mine = await subscribe(room, "webhook", url=each.url)
            await room.post(f"/v1/subscriptions/{mine['subscription_id']}/test")
        hook.script(None)
        await desk.trials.subscribed.webhooks.wave()
        assert len(other.got) == 1


async def test_a_certificate_is_checked_for_the_name_and_the_connection_goes_to_the_checked_address(
    store_settings: StoreSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    right, wrong = authority.server_context("localhost"), authority.server_context("else.example.org")
    async with research(store_settings) as desk, coordinators(desk) as room:
        for context, taken in ((right, 1), (wrong, 0)):
            async with HookServer(context, "localhost") as hook:
                mine = await subscribe(room, "webhook", url=hook.url)
                path = f"/v1/subscriptions/{mine['subscription_id']}"
                await room.post(f"{path}/test")
                await desk.trials.subscribed.webhooks.wave()
                assert (await room.get(path)).json()["delivered"] == taken
                assert [each.headers["host"].partition(":")[0] for each in hook.got] == ["localhost"] * taken


async def test_outside_the_embedded_system_this_machine_is_never_called(store_settings: StoreSettings) -> None:
    kafka = KafkaSettings(bootstrap="127.0.0.1:1")
    async with HookServer() as hook, research(store_settings, kafka=kafka) as desk, coordinators(desk) as room:
        body = {"name": "x", "channel": "webhook", "url": hook.url}
        assert (await room.post("/v1/subscriptions", body)).status_code == 422
        named = hook.url.replace("http://127.0.0.1", "https://localhost")
        mine = await subscribe(room, "webhook", url=named)
        await room.post(f"/v1/subscriptions/{mine['subscription_id']}/test")
        await desk.trials.subscribed.webhooks.wave()
        assert hook.got == []
        assert (await state(desk))[0].attempts == 1


async def test_another_instance_sends_nothing_meanwhile(desk: Research, room: Room, hook: HookServer) -> None:
    mine = await subscribe(room, "webhook", url=hook.url)
    test = f"/v1/subscriptions/{mine['subscription_id']}/test"
    await room.post(test)
    assert await desk.trials.subscribed.webhooks.wave() == 1
    await room.post(test)
    async with beside(desk.trials.store.settings) as second:
        assert await second.trials.subscribed.webhooks.wave() == 0
    assert await desk.trials.subscribed.webhooks.wave() == 1
