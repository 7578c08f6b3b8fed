"""Coordinators at trials' HTTP side: the real application, spoken to without a socket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from chassis.api_keys import ApiKeys, new_api_key
from tests.support.research import Research

CVF = "TEST-CVF-1"
FISTULA: dict[str, Any] = {
    "leak_type": "type-3", "digital_subtraction_myelography": "positive", "blood_patch": [{}, {}],
    "symptom_onset": "2025-11-20", "pregnant": False, "allergies": [], "anticoagulated": False, "embolization": [],
}  # fmt: skip
"""Facts of somebody who is eligible for ``TEST-CVF-1``."""


@dataclass(slots=True, repr=False)
class Room:
    """``who``: ``ana`` and ``bo`` have all programs, ``narrow`` another program, ``other`` another tenant."""

    desk: Research
    http: httpx2.AsyncClient
    tokens: dict[str, str]

    async def get(self, path: str, who: str = "ana") -> httpx2.Response:
        return await self.http.get(path, headers=self.headers(who))

    async def post(self, path: str, body: Any = None, who: str = "ana") -> httpx2.Response:
        return await self.http.post(path, json=body, headers=self.headers(who))

    async def put(self, path: str, body: Any, who: str = "ana") -> httpx2.Response:
        return await self.http.put(path, json=body, headers=self.headers(who))

    async def send(self, path: str, body: bytes, who: str = "ana") -> httpx2.Response:
        """POST of these very bytes."""
        return await self.http.post(path, content=body, headers=self.headers(who))

    def headers(self, who: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.tokens[who]}"}


@asynccontextmanager
async def coordinators(desk: Research) -> AsyncIterator[Room]:
    """The desk's trials service with these callers' keys."""
    keys = {
        "ana": new_api_key("ana", desk.tenant, None, ["coordinator"]),
        "bo": new_api_key("bo", desk.tenant, None, ["coordinator"]),
        "narrow": new_api_key("narrow", desk.tenant, ["zzzz99"], ["coordinator"]),
        "other": new_api_key("other", "kaiser", None, ["coordinator"]),
        "staff": new_api_key("staff", desk.tenant, None, ["staff"]),
    }
    app = desk.trials.app
    app.state.api_keys = ApiKeys(setting for _, setting in keys.values())
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://trials") as http:
        yield Room(desk, http, {name: text for name, (text, _) in keys.items()})


def study(number: int = 1, text: str = "Inclusion Criteria:\n* Adults with a leak", **more: Any) -> dict[str, Any]:
    """A registry's record that recruits; ``more`` are sections of it."""
    sections = {
        "identificationModule": {"nctId": f"NCT{number:08}", "briefTitle": f"Study {number}"},
        "statusModule": {"overallStatus": "RECRUITING", "lastUpdatePostDateStruct": {"date": "2026-11-01"}},
        "eligibilityModule": {"eligibilityCriteria": text, "minimumAge": "18 Years", "sex": "ALL"},
    }
    return {"protocolSection": sections | more}
