"""The first page of ``upright up``: what runs where, and one event to post by hand."""

import json
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from chassis.pages import page
from schemas.envelope import TYPE_PREFIX
from standalone.keys import write_secret
from standalone.system import System

AHEAD = timedelta(days=20)
"""How far ahead the example's visit is: all of its reminders are still to come."""


def header_file(system: System, tenant: str) -> Path:
    """A file for curl's ``-H @file``, so that no key stands on a command line."""
    return system.folder / f"{tenant}.header"


def second_header_file(system: System, tenant: str) -> Path:
    """That of a second coordinator, who releases what the first has published."""
    return system.folder / f"{tenant}-second.header"


def write_header_files(system: System) -> None:
    for tenant, key in system.keys.staff.items():
        write_secret(header_file(system, tenant), f"Authorization: Bearer {key}\n")
    for tenant, key in system.keys.second.items():
        write_secret(second_header_file(system, tenant), f"Authorization: Bearer {key}\n")


def add_start_page(app: FastAPI, system: System) -> None:
    @app.get("/", response_class=HTMLResponse)
    async def start() -> HTMLResponse:
        programs = [
            {
                "name": each.public_name,
                "code": code,
                "header": str(header_file(system, each.tenant)),
                "second": str(second_header_file(system, each.tenant)),
            }
            for code, each in sorted(system.programs.items(), key=lambda item: item[1].public_name)
        ]
        example = json.dumps(example_batch(system.clock.now(), programs[0]["code"]), indent=1)
        return page("start/index.html", system=system, programs=programs, example=example)


def example_batch(now: datetime, program: str) -> list[dict[str, Any]]:
    """An invented patient with a visit, as CloudEvents. Made anew each time: an id may be posted once."""
    patient_id = str(uuid.uuid4())
    start = (
        (now + AHEAD).astimezone(ZoneInfo("America/Los_Angeles")).replace(hour=9, minute=30, second=0, microsecond=0)
    )
    contact = {
        "given_name": "Ana", "family_name": "Example", "birth_date": "1984-05-02", "email": "ana@example.org",
        "email_verified_at": now.isoformat(),
    }  # fmt: skip
    mine = {"patient_id": patient_id, "program": program}
    care = {"visit_type": "consultation", "clinician": "Demo Clinician"}
    visit = {"start": start.isoformat(), "zone": "America/Los_Angeles", "care": care}
    return [
        _event("patient.registered", patient_id, {"contact": contact}, now),
        _event("enrolment.opened", str(uuid.uuid4()), mine, now),
        _event("appointment.scheduled", str(uuid.uuid4()), mine | visit, now),
    ]


def _event(name: str, subject_id: str, data: dict[str, Any], now: datetime) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": str(uuid.uuid4()), "source": "https://desk.example.org/by-hand",
        "type": f"{TYPE_PREFIX}{name}.v1", "subject": f"{name.partition('.')[0]}/{subject_id}",
        "time": now.isoformat(), "datacontenttype": "application/json", "data": data,
    }  # fmt: skip
