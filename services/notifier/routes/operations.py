"""What operators ask and set: from when mail is ours, and whether the ledger adds up."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict

from chassis.api_keys import scope
from chassis.problems import Problem
from chassis.scope import Scope
from schemas.base import Instant
from services.notifier.arm import arm, get_armed_at
from services.notifier.reconcile import Equation, reconcile
from services.notifier.resources import Resources
from services.notifier.routes import OPERATOR

OperatorScope = Annotated[Scope, Depends(scope(OPERATOR))]


class Arming(BaseModel):
    """From when this installation is responsible; left out, from now on."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    at: Instant | None = None


def router(resources: Resources) -> APIRouter:
    """The routes of operators. All of them are about a whole tenant."""
    routes = APIRouter()

    @routes.get("/v1/arming")
    async def get_arming(operator: OperatorScope) -> dict[str, Any]:
        async with resources.store.read() as connection:
            armed_at = await get_armed_at(connection, operator.tenant)
        return _arming(operator, armed_at)

    @routes.post("/v1/arming")
    async def post_arming(arming: Arming, operator: OperatorScope) -> dict[str, Any]:
        _whole_tenant(operator)
        at = arming.at or resources.clock.now()
        async with resources.store.write() as connection:
            patients = await arm(connection, operator.tenant, at)
        return _arming(operator, at) | {"patients": patients}

    @routes.get("/v1/reconciliation")
    async def get_reconciliation(operator: OperatorScope) -> dict[str, Any]:
        _whole_tenant(operator)
        async with resources.store.read() as connection:
            report = await reconcile(connection, resources.clock.now(), operator.tenant)
        return {
            "balanced": report.balanced,
            "total": str(report.total),
            "programs": [_equation(each) for each in report.equations],
            "findings": [{"code": each.code, "detail": each.detail, "ids": list(each.ids)} for each in report.findings],
            "uncertain": list(report.uncertain),
        }

    return routes


def _whole_tenant(operator: Scope) -> None:
    if operator.programs is not None:
        raise Problem(403, "whole_tenant", "This needs an API key for all programs of the tenant.")


def _arming(operator: Scope, armed_at: datetime | None) -> dict[str, Any]:
    return {"tenant": operator.tenant, "armed_at": armed_at.isoformat() if armed_at else None}


def _equation(equation: Equation) -> dict[str, Any]:
    return {
        "program": equation.program, "planned": equation.planned, "open": equation.open, "states": equation.states,
        "balanced": equation.balanced, "text": str(equation),
    }  # fmt: skip
