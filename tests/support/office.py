"""Staff and operators at a notifier's HTTP side: the real application, spoken to without a socket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from chassis.api_keys import ApiKeys, new_api_key
from schemas.envelope import TYPE_PREFIX
from tests.support.clinic import Clinic, new_id

ROLES = ("staff", "operator")


@dataclass(slots=True, repr=False)
class Office:
    """``who``: ``staff`` and ``operator`` have all programs, ``narrow`` another program, ``other`` another tenant."""

    desk: Clinic
    http: httpx2.AsyncClient
    tokens: dict[str, str]

    async def get(self, path: str, who: str = "staff") -> httpx2.Response:
        return await self.http.get(path, headers=self._headers(who))

    async def post(self, path: str, body: Any, who: str = "staff") -> httpx2.Response:
        return await self.http.post(path, json=body, headers=self._headers(who))

    async def preview(self, patient_id: str, *changes: dict[str, Any], who: str = "staff") -> httpx2.Response:
        return await self.post("/v1/preview", {"patient_id": patient_id, "changes": list(changes)}, who)

    def _headers(self, who: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.tokens[who]}"}


def change(name: str, subject_id: str, data: dict[str, Any]) -> dict[str, Any]:
    """An event as posted to intake."""
    family = name.partition(".")[0]
    return {
        "specversion": "1.0", "id": new_id(), "source": "https://console.example/test", "data": data,
        "type": f"{TYPE_PREFIX}{name}.v1", "subject": f"{family}/{subject_id}",
    }  # fmt: skip


def visit_data(desk: Clinic, patient_id: str, start: str = "2027-03-16T09:30:00-07:00", **more: Any) -> dict[str, Any]:
    return {
        "patient_id": patient_id, "program": desk.program, "start": start, "zone": "America/Los_Angeles",
        "care": {"visit_type": "consultation"}, **more,
    }  # fmt: skip


@asynccontextmanager
async def office(desk: Clinic) -> AsyncIterator[Office]:
    """The desk's notifier with these callers' keys."""
    keys = {
        "staff": new_api_key("staff", desk.tenant, None, ["staff"]),
        "operator": new_api_key("operator", desk.tenant, None, ["operator"]),
        "narrow": new_api_key("narrow", desk.tenant, ["zzzz99"], ROLES),
        "other": new_api_key("other", "kaiser", None, ROLES),
        "idle": new_api_key("idle", desk.tenant, None, []),
    }
    app = desk.notifier.app
    app.state.api_keys = ApiKeys(setting for _, setting in keys.values())
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://notifier") as http:
        yield Office(desk, http, {name: text for name, (text, _) in keys.items()})
