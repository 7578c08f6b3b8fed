"""What operators stop and let go on: a program's mail, all of it or one kind. Who, when and why is kept."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, StringConstraints, field_validator
from sqlalchemy import Row

from chassis.api_keys import Caller, caller
from chassis.problems import Problem
from schemas.ids import ProgramCode
from schemas.outcomes import Kind
from services.notifier.resources import Resources
from services.notifier.routes import OPERATOR
from services.notifier.store.pauses import Paused, add_pause, end_pause, list_pauses, mark_held

Operator = Annotated[Caller, Depends(caller(OPERATOR))]
Why = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class Pause(BaseModel):
    """``kind`` left out: all of the program's mail. ``reason`` is kept, so no protected data in it."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    program: ProgramCode
    kind: Kind | None = None
    reason: Why

    @field_validator("kind")
    @classmethod
    def _is_known(cls, kind: Kind | None) -> Kind | None:
        if kind is Kind.UNKNOWN:
            raise ValueError("is no kind of mail")
        return kind

    @property
    def what(self) -> Paused:
        return self.program, self.kind


def router(resources: Resources) -> APIRouter:
    """The routes of pauses."""
    routes = APIRouter()

    @routes.get("/v1/pauses")
    async def get_pauses(operator: Operator, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> dict[str, Any]:
        async with resources.store.read() as connection:
            rows = await list_pauses(connection, operator.scope, limit)
        return {"pauses": [_shown(row) for row in rows]}

    @routes.post("/v1/pauses")
    async def post_pause(pause: Pause, operator: Operator) -> dict[str, Any]:
        """Nothing of it that isn't on its way already goes out from now on; pausing twice changes nothing."""
        await _check(pause, operator, resources)
        tenant, now = operator.scope.tenant, resources.clock.now()
        async with resources.store.write() as connection:
            added = await add_pause(connection, tenant, pause.what, operator.key_id, pause.reason, now)
        return {"program": pause.program, "kind": pause.kind, "changed": added}

    @routes.post("/v1/pauses/end")
    async def post_end(pause: Pause, operator: Operator) -> dict[str, Any]:
        """What was held is planned again. Asked a second time it finishes what a crash may have left."""
        await _check(pause, operator, resources)
        tenant, now = operator.scope.tenant, resources.clock.now()
        async with resources.store.write() as connection:
            ended = await end_pause(connection, tenant, pause.what, operator.key_id, pause.reason, now)
        async with resources.store.write() as connection:
            patients = await mark_held(connection, tenant, pause.program)
        return {"program": pause.program, "kind": pause.kind, "changed": ended, "patients": patients}

    return routes


async def _check(pause: Pause, operator: Caller, resources: Resources) -> None:
    async with resources.store.read() as connection:
        programs = await resources.programs.current(connection)
    program, allowed = programs.get(pause.program), operator.scope.programs
    mine = program is not None and program.tenant == operator.scope.tenant
    if not mine or (allowed is not None and pause.program not in allowed):
        raise Problem(404, "no_such_program", "There is no such program within your key's scope.")


def _shown(row: Row[Any]) -> dict[str, Any]:
    shown = ("program", "paused_at", "paused_by", "paused_for", "resumed_at", "resumed_by", "resumed_for")
    return {name: row._mapping[name] for name in shown} | {"kind": row.kind or None}
