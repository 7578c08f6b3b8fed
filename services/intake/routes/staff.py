"""What staff see: a patient's state, the timeline of past and future, and the worklist."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict

from chassis.api_keys import Caller, caller
from chassis.problems import Problem
from schemas.protected import Protected
from schemas.text import Line
from services.intake import views
from services.intake.domain.checks import visible
from services.intake.resources import Resources
from services.intake.routes import STAFF
from services.intake.store.deliveries import list_deliveries
from services.intake.store.events import list_events
from services.intake.store.records import Locked, find_record
from services.intake.store.worklist import Note, close_by_staff, list_of_patient, list_open

Staff = Annotated[Caller, Depends(caller(STAFF))]


class Closing(BaseModel):
    """Why an item is done."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    note: Protected[Line]


def router(resources: Resources) -> APIRouter:
    """The routes of staff."""
    routes = APIRouter()
    master = resources.rings.master

    async def found(connection: Any, staff: Caller, patient_id: UUID) -> Locked:
        known = await find_record(connection, staff.scope.tenant, str(patient_id), master)
        if known is None or not visible(known.record, staff.scope):
            raise Problem(404, "no_such_patient", "There is no such patient in your programs.")
        return known

    @routes.get("/v1/patients/{patient_id}")
    async def get_patient(patient_id: UUID, staff: Staff) -> dict[str, Any]:
        async with resources.store.read() as connection:
            known = await found(connection, staff, patient_id)
        return views.patient(known.record, staff.scope)

    @routes.get("/v1/patients/{patient_id}/timeline")
    async def get_timeline(patient_id: UUID, staff: Staff) -> dict[str, Any]:
        scope = staff.scope
        async with resources.store.read() as connection:
            known = await found(connection, staff, patient_id)
            events = await list_events(connection, scope.tenant, str(patient_id))
            deliveries = await list_deliveries(connection, scope.tenant, str(patient_id))
            items = await list_of_patient(connection, scope, str(patient_id))
        now = resources.clock.now()
        entries = [
            *(views.event(row, known.key, scope.tenant) for row in events if scope.allows(row.program)),
            *(views.delivery(each) for each in deliveries if scope.allows(each.program)),
            *(views.worklist_entry(row, master) for row in items),
        ]
        return views.timeline(str(patient_id), entries, now)

    @routes.get("/v1/worklist")
    async def get_worklist(staff: Staff, limit: Annotated[int, Query(ge=1, le=1000)] = 200) -> dict[str, Any]:
        async with resources.store.read() as connection:
            rows = await list_open(connection, staff.scope, limit)
        return {"items": [views.worklist_item(row, master) for row in rows]}

    @routes.post("/v1/worklist/{item_id}/close")
    async def close_item(item_id: UUID, closing: Closing, staff: Staff) -> dict[str, Any]:
        note, now = Note(text=closing.note), resources.clock.now()
        async with resources.store.write() as connection:
            closed = await close_by_staff(connection, staff.scope, str(item_id), staff.key_id, note, now, master)
        if closed is None:
            raise Problem(404, "no_such_item", "There is no such item on your worklist.")
        if not closed:
            raise Problem(409, "already_closed", "Somebody closed this item already.")
        return {"item_id": str(item_id), "closed_at": now.isoformat()}

    return routes
