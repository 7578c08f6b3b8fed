"""What patients ended on a page: blocked here at once, for good until a later grant names the answer."""

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.store import insert
from schemas.outcomes import Answer, Kind
from services.notifier.domain import Stop
from services.notifier.store.patients import PatientKey
from services.notifier.tables import stops


async def add_stop(connection: AsyncConnection, tenant: str, answer: Answer) -> bool:
    """Block the answer's kind of mail; False when it was blocked before."""
    row = {
        "tenant": tenant, "patient_id": answer.patient_id, "kind": answer.kind, "answer_id": answer.answer_id,
        "at": answer.given_at,
    }  # fmt: skip
    added = insert(connection, stops).values(row).on_conflict_do_nothing().returning(stops.c.kind)
    return (await connection.execute(added)).first() is not None


async def get_stops(connection: AsyncConnection, keys: Iterable[PatientKey]) -> dict[PatientKey, tuple[Stop, ...]]:
    """What each patient ended."""
    found: defaultdict[PatientKey, list[Stop]] = defaultdict(list)
    mine = tuple_(stops.c.tenant, stops.c.patient_id).in_(sorted(set(keys)))
    for row in await connection.execute(select(stops).where(mine).order_by(stops.c.kind)):
        found[row.tenant, row.patient_id].append(Stop(Kind(row.kind), row.at))
    return {key: tuple(its) for key, its in found.items()}
