"""Invitations: once for life per patient and trial."""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.store import insert
from services.trials.store.patients import PatientKey
from services.trials.tables import invitations, trials

NAMES = uuid.UUID("7a0c6f0e-54d4-5d0a-8a11-3c0d0f6be1d4")
"""Namespace of request ids."""

_PATIENT = tuple_(invitations.c.tenant, invitations.c.patient_id)
_TRIAL = (trials.c.tenant == invitations.c.tenant) & (trials.c.trial_id == invitations.c.trial_id)
_RELEASED = _TRIAL & trials.c.released_at.is_not(None)


class State(StrEnum):
    """``waiting`` for release or caps; ``requested`` of the notifier; ``withdrawn`` before it was sent; ``sent``;
    ``ended`` without being sent.
    """

    WAITING = "waiting"
    REQUESTED = "requested"
    WITHDRAWN = "withdrawn"
    SENT = "sent"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Invitation:
    """One invitation. ``version`` is that of its request; 0 before the first."""

    tenant: str
    patient_id: str
    trial_id: str
    request_id: str
    program: str
    state: State
    due_at: datetime
    version: int = 0
    approval_id: str | None = None
    text_version: str | None = None
    language: str | None = None
    reason: str | None = None
    requested_at: datetime | None = None
    ended_at: datetime | None = None


def new_invitation(key: PatientKey, trial_id: str, program: str, now: datetime) -> Invitation:
    """One that waits, for its trial's release at least."""
    tenant, patient_id = key
    request_id = str(uuid.uuid5(NAMES, f"{tenant}/{patient_id}/{trial_id}"))
    return Invitation(tenant, patient_id, trial_id, request_id, program, State.WAITING, now)


async def load_invitations(
    connection: AsyncConnection, keys: Iterable[PatientKey]
) -> dict[PatientKey, dict[str, Invitation]]:
    """Every invitation of these patients, by trial id."""
    rows = await connection.execute(select(invitations).where(_PATIENT.in_(sorted(set(keys)))))
    found: defaultdict[PatientKey, dict[str, Invitation]] = defaultdict(dict)
    for row in rows:
        found[row.tenant, row.patient_id][row.trial_id] = _invitation(row)
    return found


async def list_due(connection: AsyncConnection, now: datetime, limit: int) -> list[PatientKey]:
    """Patients with an invitation that waits, is due, and whose trial is released; the earliest first."""
    query = (
        select(invitations.c.tenant, invitations.c.patient_id)
        .join(trials, _RELEASED)
        .where(invitations.c.state == State.WAITING, invitations.c.due_at <= now)
        .order_by(invitations.c.due_at)
        .limit(limit)
    )
    return list(dict.fromkeys((row.tenant, row.patient_id) for row in await connection.execute(query)))


async def next_due(connection: AsyncConnection) -> datetime | None:
    """When the first of them is due (civil)."""
    query = select(func.min(invitations.c.due_at)).select_from(invitations).join(trials, _RELEASED)
    waiting = query.where(invitations.c.state == State.WAITING)
    found: datetime | None = (await connection.execute(waiting)).scalar_one()
    return found


async def count_since(connection: AsyncConnection, tenant: str, trial_id: str, since: datetime) -> int:
    """How many invitations to this trial were asked for since then."""
    mine = (invitations.c.tenant == tenant) & (invitations.c.trial_id == trial_id)
    query = select(func.count()).where(mine, invitations.c.requested_at >= since)
    return int((await connection.execute(query)).scalar_one())


async def count_states(connection: AsyncConnection, tenant: str, trial_id: str) -> dict[str, int]:
    """How many invitations to this trial stand where."""
    mine = (invitations.c.tenant == tenant) & (invitations.c.trial_id == trial_id)
    query = select(invitations.c.state, func.count().label("number")).where(mine).group_by(invitations.c.state)
    return {row.state: row.number for row in await connection.execute(query)}


async def record_invitations(connection: AsyncConnection, changed: Sequence[Invitation]) -> None:
    """Insert or replace invitations of locked patients."""
    if not changed:
        return
    statement = insert(connection, invitations)
    new = statement.excluded
    names = (
        "program", "state", "version", "approval_id", "text_version", "language", "reason", "due_at", "requested_at",
        "ended_at",
    )  # fmt: skip
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=[invitations.c.tenant, invitations.c.patient_id, invitations.c.trial_id],
            set_={name: new[name] for name in names},
        ),
        [
            {name: getattr(each, name) for name in ("tenant", "patient_id", "trial_id", "request_id", *names)}
            for each in changed
        ],
    )


def _invitation(row: Any) -> Invitation:
    return Invitation(
        tenant=row.tenant,
        patient_id=row.patient_id,
        trial_id=row.trial_id,
        request_id=row.request_id,
        program=row.program,
        state=State(row.state),
        due_at=row.due_at,
        version=row.version,
        approval_id=row.approval_id,
        text_version=row.text_version,
        language=row.language,
        reason=row.reason,
        requested_at=row.requested_at,
        ended_at=row.ended_at,
    )
