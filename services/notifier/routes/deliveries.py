"""A patient's deliveries, and why one of them was or wasn't sent. Ids, codes and times: nothing protected."""

from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from sqlalchemy import Row

from chassis.api_keys import scope
from chassis.problems import Problem
from chassis.scope import Scope
from schemas import words
from services.notifier.explain import explain
from services.notifier.outcomes import view
from services.notifier.resources import Resources
from services.notifier.routes import STAFF
from services.notifier.store.evidence import find_evidence, list_deliveries
from services.notifier.store.ledger import as_delivery

StaffScope = Annotated[Scope, Depends(scope(STAFF))]


def router(resources: Resources) -> APIRouter:
    """The routes of deliveries."""
    routes = APIRouter()

    @routes.get("/v1/deliveries/{delivery_id}/why")
    async def get_why(delivery_id: UUID, staff: StaffScope) -> dict[str, Any]:
        async with resources.store.read() as connection:
            programs = await resources.programs.current(connection)
            evidence = await find_evidence(connection, staff, str(delivery_id))
        if evidence is None:
            raise Problem(404, "no_such_delivery", "There is no such delivery in your programs.")
        return explain(replace(evidence, program=programs.get(evidence.delivery.program)))

    @routes.get("/v1/patients/{patient_id}/deliveries")
    async def get_deliveries(
        patient_id: UUID, staff: StaffScope, limit: Annotated[int, Query(ge=1, le=2000)] = 500
    ) -> dict[str, Any]:
        """Nobody's list is empty, too: what isn't the caller's can't be told from what isn't there."""
        async with resources.store.read() as connection:
            rows = await list_deliveries(connection, staff, str(patient_id), limit)
        return {"patient_id": str(patient_id), "deliveries": [_shown(row) for row in rows]}

    return routes


def _shown(row: Row[Any]) -> dict[str, Any]:
    """One delivery with its state in words."""
    delivery = as_delivery(row)
    said = words.delivery(delivery.state, delivery.reason)
    return {
        **view(delivery).model_dump(mode="json"),
        "what": words.KINDS.get(delivery.kind, "A message"),
        "status": said.what,
        "todo": said.todo,
        "due_local": row.due_local,
        "zone": row.zone,
        "rule": row.rule,
        "why": f"/v1/deliveries/{delivery.delivery_id}/why",
    }
