"""Posting to a running system by HTTP, on real time: a visit so near that a change of it is told at once."""

import json
from datetime import datetime, timedelta
from typing import Any

import httpx2

from standalone.start_page import example_batch
from standalone.system import System

CODE = "k7q2m9"


async def post(system: System, *events: dict[str, Any]) -> None:
    headers = {
        "authorization": f"Bearer {system.staff_key(CODE)}",
        "content-type": "application/cloudevents-batch+json",
    }
    async with httpx2.AsyncClient() as http:
        answer = await http.post(f"{system.intake_url}/v1/events", content=json.dumps(events), headers=headers)
    assert answer.status_code == 202, answer.text


async def book_for_tomorrow(system: System) -> dict[str, Any]:
    """A patient with a visit in 20 hours, of which they know; returns the booking."""
    registered, enrolled, booked = example_batch(system.clock.now(), CODE)
    booked["data"]["start"] = (system.clock.now() + timedelta(hours=20)).isoformat()
    await post(system, registered, enrolled, booked)
    return booked


def moved(booked: dict[str, Any], hours: int, event_id: str) -> dict[str, Any]:
    """The same visit, later: the notice goes at any hour, since less than a day is left."""
    start = booked["data"]["start"]
    data = booked["data"] | {"start": _later(start, hours)}
    kind = booked["type"].replace("scheduled", "rescheduled")
    return booked | {"id": event_id, "type": kind, "data": data}


def _later(start: str, hours: int) -> str:
    return (datetime.fromisoformat(start) + timedelta(hours=hours)).isoformat()
