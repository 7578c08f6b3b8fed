"""A hospital system that posts to intake and, as it should, repeats what wasn't answered with 202, under one key."""

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx2

from schemas.envelope import TYPE_PREFIX
from tests.support.intake import CEDARS, new_id

ZONE = "America/Los_Angeles"
AHEAD = timedelta(days=10)
REPEAT_SECONDS = 0.5
GIVES_UP_SECONDS = 150.0
"""Longer than any outage here."""


@dataclass(slots=True, repr=False)
class Poster:
    """``answers`` counts what came back: a status with a problem's code, or the name of what befell the line."""

    url: str
    key: str
    answers: Counter[str] = field(default_factory=Counter)

    async def book(self, how_many: int, at_once: int = 5) -> list[str]:
        """New patients, each with a visit ten days ahead, all accepted in the end; their ids. Else ``TimeoutError``."""
        patients, turn = [new_id() for _ in range(how_many)], asyncio.Semaphore(at_once)

        async def in_turn(http: httpx2.AsyncClient, patient_id: str) -> None:
            async with turn:
                await self._until_accepted(http, patient_id)

        async with (
            asyncio.timeout(GIVES_UP_SECONDS),
            httpx2.AsyncClient(timeout=30) as http,
            asyncio.TaskGroup() as posts,
        ):
            for each in patients:
                posts.create_task(in_turn(http, each))
        return patients

    @staticmethod
    def patient_at(address: str) -> str:
        return address.partition("@")[0]

    async def _until_accepted(self, http: httpx2.AsyncClient, patient_id: str) -> None:
        body = json.dumps(_booking(patient_id))
        while not await self._accepted(http, body, patient_id):  # noqa: ASYNC110  # what is waited for is elsewhere
            await asyncio.sleep(REPEAT_SECONDS)  # a client's manners, not a wait for the services

    async def _accepted(self, http: httpx2.AsyncClient, body: str, idempotency_key: str) -> bool:
        headers = {
            "content-type": "application/cloudevents-batch+json",
            "authorization": f"Bearer {self.key}",
            "idempotency-key": idempotency_key,
        }
        try:
            answer = await http.post(f"{self.url}/v1/events", content=body, headers=headers)
        except httpx2.TransportError as error:
            self.answers[type(error).__name__] += 1
            return False
        accepted = answer.status_code == 202
        self.answers["202" if accepted else f"{answer.status_code} {_code(answer)}"] += 1
        return accepted


def _code(answer: httpx2.Response) -> str:
    """A problem's (RFC 9457); whatever else comes is not one of intake's."""
    kind: str = answer.json()["type"]
    return kind.removeprefix("urn:upright:problem:")


def _booking(patient_id: str) -> Sequence[dict[str, Any]]:
    now = datetime.now(UTC)
    contact = {
        "given_name": "Ana", "family_name": "Test", "birth_date": "1984-05-02",
        "email": f"{patient_id}@example.org", "email_verified_at": now.isoformat(),
    }  # fmt: skip
    mine = {"patient_id": patient_id, "program": CEDARS}
    start = (now.astimezone(ZoneInfo(ZONE)) + AHEAD).replace(hour=9, minute=30, second=0, microsecond=0)
    visit = mine | {"start": start.isoformat(), "zone": ZONE, "care": {"visit_type": "consultation"}}
    return [
        _event("patient.registered", patient_id, {"contact": contact}, now),
        _event("enrolment.opened", new_id(), mine, now),
        _event("appointment.scheduled", new_id(), visit, now),
    ]


def _event(name: str, subject_id: str, data: dict[str, Any], at: datetime) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": str(uuid.uuid4()), "source": "https://poster.example/outages",
        "type": f"{TYPE_PREFIX}{name}.v1", "time": at.isoformat(), "subject": f"{name.partition('.')[0]}/{subject_id}",
        "datacontenttype": "application/json", "data": data,
    }  # fmt: skip
