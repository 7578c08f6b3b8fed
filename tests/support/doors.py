"""The HTTP sides of all three services: the real applications over SQLite, spoken to without a socket.

Each has something in its store, so that requests can name what is there.
"""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from fastapi import FastAPI

from chassis.api_keys import ApiKeys, new_api_key
from chassis.settings import StoreSettings
from tests.support.clinic import clinic
from tests.support.coordinating import CVF, FISTULA
from tests.support.intake import CEDARS, TENANT, open_desk
from tests.support.research import research
from tests.support.sending import booked

ROLES = ("publish", "staff", "operator", "coordinator")
SERVICES = ("intake", "notifier", "trials")


@dataclass(frozen=True, slots=True, repr=False)
class Door:
    """``headers`` open every route; ``known``: what exists, by the name of the parameter that asks for it."""

    service: str
    app: FastAPI
    http: httpx2.AsyncClient
    headers: dict[str, str]
    known: dict[str, list[str]] = field(default_factory=dict)


@asynccontextmanager
async def opened(service: str, folder: Path) -> AsyncIterator[Door]:
    """One service's, with a caller who may do everything."""
    store = StoreSettings(url=f"sqlite:///{folder / service}.db")
    async with {"intake": _intake, "notifier": _notifier, "trials": _trials}[service](store) as door:
        yield door


@asynccontextmanager
async def _intake(store: StoreSettings) -> AsyncIterator[Door]:
    async with open_desk(store) as desk:
        patients = [await desk.enrolled() for _ in range(2)]
        async with _door("intake", desk.intake.app, TENANT) as door:
            door.known.update(patient_id=patients, program=[CEDARS])
            yield door


@asynccontextmanager
async def _notifier(store: StoreSettings) -> AsyncIterator[Door]:
    async with clinic(store, 1) as desk, _door("notifier", desk.notifier.app, desk.tenant) as door:
        patients = [(await booked(desk))[0] for _ in range(2)]
        rows = await desk.rows()
        door.known.update(patient_id=patients, delivery_id=[row.delivery_id for row in rows], program=[desk.program])
        yield door


@asynccontextmanager
async def _trials(store: StoreSettings) -> AsyncIterator[Door]:
    async with research(store) as desk, _door("trials", desk.trials.app, desk.tenant) as door:
        await desk.publish(CVF)
        patients = [await desk.admit(**FISTULA) for _ in range(2)]
        await desk.work()
        found = await door.http.get(f"/v1/trials/{CVF}/matches", headers=door.headers)
        matches = [each["match_id"] for each in found.json()["matches"]]
        door.known.update(registry_id=[CVF], match_id=matches, patient_id=patients, trial=[CVF])
        door.headers.update({"cookie": await _signed_in(door), "sec-fetch-site": "same-origin"})
        yield door


async def _signed_in(door: Door) -> str:
    key = door.headers["authorization"].removeprefix("Bearer ")
    answer = await door.http.post("/trials/sign-in", data={"key": key}, headers={"sec-fetch-site": "same-origin"})
    assert answer.status_code == 303, answer.text
    door.http.cookies.clear()
    return answer.headers["set-cookie"].partition(";")[0]


@asynccontextmanager
async def _door(service: str, app: FastAPI, tenant: str) -> AsyncIterator[Door]:
    token, setting = new_api_key("everybody", tenant, None, ROLES)
    app.state.api_keys = ApiKeys([setting])
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url=f"https://{service}.example.org") as http:
        yield Door(service, app, http, {"authorization": f"Bearer {token}"})


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """Method and path of every route, also of those that stand in no OpenAPI."""
    return sorted({(method, each.path) for each in _walked(app.routes) for method in each.methods or ()})


def _walked(found: Iterable[Any]) -> Iterator[Any]:
    for each in found:
        inner = getattr(each, "original_router", None)
        if inner is None:
            yield each
        else:
            yield from _walked(inner.routes)
