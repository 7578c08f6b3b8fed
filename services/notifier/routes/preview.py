"""``POST /v1/preview``: what a change would send, before it is saved. It reads one patient, and stores nothing."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.api_keys import scope
from chassis.problems import FieldError, Problem, field_errors
from chassis.scope import Scope
from schemas.ids import Opaque
from schemas.programs import Program
from schemas.registry import BY_WIRE, EVENT_TYPES
from services.notifier.domain import Ledger, Truth
from services.notifier.posted import Posted, UnknownSubject, apply_posted
from services.notifier.preview import Seen, make_preview
from services.notifier.preview_view import shown
from services.notifier.projection import address_hash
from services.notifier.resources import Resources
from services.notifier.routes import STAFF
from services.notifier.store.addresses import has_address
from services.notifier.store.ledger import load_ledgers
from services.notifier.store.moments import look
from services.notifier.store.patients import read_patients
from services.notifier.store.subjects import load_truths

StaffScope = Annotated[Scope, Depends(scope(STAFF))]


class PostedChange(BaseModel):
    """One event as it would be posted to intake; what else an envelope holds makes no difference here."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    type: Annotated[str, Field(max_length=200)]
    subject: Annotated[str, Field(max_length=100)]
    data: dict[str, Any]


class PreviewRequest(BaseModel):
    """Changes of one patient, in their order; without any, it is what goes out as things stand."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    patient_id: Opaque
    changes: Annotated[tuple[PostedChange, ...], Field(max_length=50)] = ()


def router(resources: Resources) -> APIRouter:
    """The one route."""
    routes = APIRouter()

    @routes.post("/v1/preview")
    async def post_preview(request: PreviewRequest, staff: StaffScope) -> dict[str, Any]:
        now = resources.clock.now()
        async with resources.store.read() as connection:
            programs = await resources.programs.current(connection)
            mine = {c: p for c, p in programs.items() if p.tenant == staff.tenant and staff.allows(c)}
            changes = _read(request, mine)
            truth, ledger = await _stored(connection, resources, staff, request.patient_id)
            after = await _applied(connection, resources, truth, changes, now)
            key = (staff.tenant, request.patient_id)
            seen = (await look(connection, {key: after}, (), resources.catalogue.of, now))[key].moment
        made = make_preview(after, ledger, programs, now, Seen(seen.sent, seen.suppressed, seen.trials))
        return shown(made, mine.keys())

    return routes


def _read(request: PreviewRequest, mine: Mapping[str, Program]) -> list[Posted]:
    """The changes, validated as intake validates their form; 422 with a pointer to whatever isn't right."""
    changes: list[Posted] = []
    problems: list[FieldError] = []
    for index, change in enumerate(request.changes):
        read = _one(request.patient_id, change, mine, index)
        if isinstance(read, Posted):
            changes.append(read)
        else:
            problems += read
    if problems:
        raise _refused(problems)
    return changes


def _one(
    patient_id: str, change: PostedChange, mine: Mapping[str, Program], index: int
) -> Posted | Sequence[FieldError]:
    at = f"#/changes/{index}"
    kind = BY_WIRE.get(change.type) or EVENT_TYPES.get(change.type)
    if kind is None or kind.posted is None:
        return [FieldError(f"{at}/type", "is not an event that can be posted")]
    family, _, subject_id = change.subject.partition("/")
    if family != kind.subject or not subject_id:
        return [FieldError(f"{at}/subject", f"must be {kind.subject}/ and a UUID")]
    try:
        data = kind.posted.model_validate_json(json.dumps(change.data), extra="forbid", strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        return field_errors(found, ["changes", index, "data"])
    if (subject_id if family == "patient" else getattr(data, "patient_id", patient_id)) != patient_id:
        return [FieldError(f"{at}/data/patient_id", "is not the patient of this preview")]
    program = getattr(data, "program", None)
    if program is not None and program not in mine:
        return [FieldError(f"{at}/data/program", "is not a program you may use")]
    return Posted(kind.name, subject_id, data)


def _refused(problems: Sequence[FieldError]) -> Problem:
    return Problem(422, "refused", "There is nothing to preview.", errors=problems)


async def _stored(
    connection: AsyncConnection, resources: Resources, staff: Scope, patient_id: str
) -> tuple[Truth, Ledger]:
    """What is known of the patient, if the caller may know it; of one never heard of: nothing yet."""
    key = (staff.tenant, patient_id)
    locked = await read_patients(connection, [key], resources.master)
    truths = await load_truths(connection, locked.values())
    truth = truths.get(key, Truth(*key))
    enrolled = {each.program for each in truth.enrolments}
    if enrolled and not any(staff.allows(each) for each in enrolled):
        raise Problem(404, "no_such_patient", "There is no such patient in your programs.")
    return truth, (await load_ledgers(connection, [key]))[key]


async def _applied(
    connection: AsyncConnection, resources: Resources, truth: Truth, changes: Sequence[Posted], now: datetime
) -> Truth:
    """The truth after the changes, an address that others have too recognised as such."""
    for index, change in enumerate(changes):
        try:
            truth = apply_posted(truth, [change], now)
        except UnknownSubject:
            raise _refused([FieldError(f"#/changes/{index}/subject", "is not known of this patient")]) from None
    if truth.patient is None or truth.patient.email_hash is not None:
        return truth
    address = address_hash(resources.address_key, truth.patient)
    shares = address is not None and await has_address(connection, truth.tenant, address, truth.patient_id)
    return replace(truth, patient=replace(truth.patient, email_hash=address, shares_address=shares))
