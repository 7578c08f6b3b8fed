"""The notifier's plans and outcomes, as intake shows them: an older version never overwrites a newer one."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.store import insert
from schemas.outcomes import DeliveryOutcome, DeliveryView, PlanChanged
from services.intake.tables import deliveries, plans

Key = tuple[str, str]
"""Tenant, and the id of a patient, a delivery or a worklist item."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """An outcome, and the version of the plan that was known when it was heard."""

    data: DeliveryOutcome
    plan_version: int

    @property
    def version(self) -> int:
        return self.data.version


async def plan_versions(connection: AsyncConnection, patients: Iterable[tuple[str, str | None]]) -> dict[Key, int]:
    """The version of each patient's plan, where there is one."""
    wanted = sorted((tenant, patient_id) for tenant, patient_id in patients if patient_id is not None)
    of_these = tuple_(plans.c.tenant, plans.c.patient_id).in_(wanted)
    rows = await connection.execute(select(plans.c.tenant, plans.c.patient_id, plans.c.version).where(of_these))
    return {(row.tenant, row.patient_id): row.version for row in rows}


async def record_plans(connection: AsyncConnection, found: Mapping[Key, PlanChanged]) -> None:
    """Replace what was known of the patients' open deliveries."""
    rows = [
        {
            "tenant": tenant,
            "patient_id": patient_id,
            "version": plan.version,
            "deliveries": json.dumps([each.model_dump(mode="json", exclude_none=True) for each in plan.deliveries]),
        }
        for (tenant, patient_id), plan in sorted(found.items(), key=lambda each: each[0])
    ]
    await upsert_newer(connection, plans, rows)


async def record_outcomes(connection: AsyncConnection, found: Mapping[Key, Outcome]) -> None:
    """Keep each delivery's newest outcome."""
    rows = [
        {
            "tenant": tenant,
            "delivery_id": delivery_id,
            "patient_id": outcome.data.patient_id,
            "program": outcome.data.delivery.program,
            "version": outcome.version,
            "plan_version": outcome.plan_version,
            "delivery": outcome.data.delivery.model_dump_json(exclude_none=True),
        }
        for (tenant, delivery_id), outcome in sorted(found.items(), key=lambda each: each[0])
    ]
    await upsert_newer(connection, deliveries, rows)


async def upsert_newer(connection: AsyncConnection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert, or update where ``version`` is higher than what is stored."""
    if not rows:
        return
    keys = [column.name for column in table.primary_key.columns]
    statement = insert(connection, table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    newer = table.c.version < statement.excluded.version
    await connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed, where=newer), rows)


async def list_deliveries(connection: AsyncConnection, tenant: str, patient_id: str) -> list[DeliveryView]:
    """Every delivery of a patient once: as the plan has it, unless its outcome is newer than the plan."""
    mine = (plans.c.tenant == tenant) & (plans.c.patient_id == patient_id)
    plan = (await connection.execute(select(plans).where(mine))).first()
    views = json.loads(plan.deliveries) if plan else []
    found = {each.delivery_id: each for each in map(_view, views)}
    ended = (deliveries.c.tenant == tenant) & (deliveries.c.patient_id == patient_id)
    for row in await connection.execute(select(deliveries).where(ended)):
        planned_since = plan is not None and row.delivery_id in found and plan.version > row.plan_version
        if not planned_since:
            found[row.delivery_id] = DeliveryView.tolerant_json(row.delivery)
    return list(found.values())


def _view(stored: Any) -> DeliveryView:
    return DeliveryView.model_validate(stored, context={"tolerant": True})
