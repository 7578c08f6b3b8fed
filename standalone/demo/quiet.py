"""Whether anything is still on its way through the system at this civil time, and when something will be next.

Quiet means: outboxes published, consumers at the end of their topics, and no plan, claim, mail or back-off open, nor
anything held until a service knows what others have published.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.store import is_outage
from schemas.outcomes import DeliveryState
from services.intake.tables import outbox as intake_outbox
from services.notifier.domain import Reason
from services.notifier.tables import deliveries, patients
from services.notifier.tables import outbox as notifier_outbox
from services.trials.store.catalogue import list_undrained
from services.trials.store.invitations import list_due as list_due_invitations
from services.trials.store.invitations import next_due as next_due_invitation
from services.trials.store.patients import list_due as list_due_patients
from services.trials.store.patients import next_due as next_due_patient
from services.trials.tables import outbox as trials_outbox
from standalone.demo.offsets import Offsets
from standalone.system import SERVICES, System

S = DeliveryState
IN_HAND = (S.CLAIMED, S.SENDING)
WAITS = (S.PLANNED, S.HELD)
UNTIL_KNOWN = (Reason.STALE_TRUTH, Reason.APPROVAL_UNKNOWN)
"""Why a delivery is held that no time or event of the story releases, but a topic that is still being read."""


async def is_quiet(system: System, offsets: Offsets) -> bool:
    """Nothing moves any more unless the clock does. Not while a service is stopped or its store is away."""
    if not all(system.runs(name) for name in SERVICES):
        return False
    try:
        # in the order of an event's way, and its end again: what was at work between two looks may have moved on
        return await _all_read(system, offsets) and not await _busy(system) and await _all_read(system, offsets)
    except LookupError:  # a service was stopped while we looked
        return False
    except Exception as error:
        if not is_outage(error):
            raise
        return False


async def _all_read(system: System, offsets: Offsets) -> bool:
    """Whether nothing waits in an outbox or in a topic."""
    kept = await _published(system)
    return kept is not None and await offsets.read_to_the_end(kept)


async def _published(system: System) -> dict[str, int] | None:
    """Rows per topic that an embedded broker must hold; None while an outbox has something to send."""
    kept: dict[str, int] = {}
    outboxes = (
        (system.intake.store, intake_outbox),
        (system.trials.store, trials_outbox),
        (system.notifier.store, notifier_outbox),
    )
    for store, table in outboxes:
        async with store.read() as connection:
            for topic, rows, published in await _rows(connection, table):
                if published < rows:
                    return None
                kept[topic] = rows
    return kept


async def _rows(connection: AsyncConnection, table: Table) -> Sequence[Row[str, int, int]]:
    """By topic: how many there are, and how many of them the broker has confirmed."""
    published = func.count().filter(table.c.published)
    query = select(table.c.topic, func.count(), published).group_by(table.c.topic)
    return (await connection.execute(query)).all()


async def _busy(system: System) -> bool:
    """Whether a patient is to be planned again now, or a delivery is due or in somebody's hands."""
    now, c = system.clock.now(), deliveries.c
    due = (c.state == S.PLANNED) & (c.due_at <= now)
    overdue = c.state.in_(WAITS) & (c.useful_until <= now)
    until_known = (c.state == S.HELD) & c.reason.in_(UNTIL_KNOWN)
    to_plan = patients.c.stale | (patients.c.replan_at <= now)
    async with system.notifier.store.read() as connection:
        mail = await _any(connection, c.delivery_id, or_(c.state.in_(IN_HAND), due, overdue, until_known))
        plans = await _any(connection, patients.c.patient_id, to_plan)
    return mail or plans or await _matching(system, now)


async def _matching(system: System, now: datetime) -> bool:
    """Whether a trial is still to be compared, a patient to be judged again, or an invitation to be asked for."""
    async with system.trials.store.read() as connection:
        return bool(
            await list_undrained(connection)
            or await list_due_patients(connection, now, 1)
            or await list_due_invitations(connection, now, 1)
        )


async def _any(connection: AsyncConnection, column: Any, which: ColumnElement[bool]) -> bool:
    return (await connection.execute(select(column).where(which).limit(1))).first() is not None


async def next_moment(system: System) -> datetime | None:
    """When time alone will change something: a mail falls due or loses its use, or a plan is to be made again."""
    c = deliveries.c
    questions = (
        select(func.min(c.due_at)).where(c.state == S.PLANNED),
        select(func.min(c.useful_until)).where(c.state.in_(WAITS)),
        select(func.min(patients.c.replan_at)),
    )
    async with system.notifier.store.read() as connection:
        moments = [(await connection.execute(each)).scalar_one() for each in questions]
    async with system.trials.store.read() as connection:
        moments += [await next_due_patient(connection), await next_due_invitation(connection)]
    return min((each for each in moments if each is not None), default=None)
