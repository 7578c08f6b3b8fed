"""The past: every state that verdicts were made of, so that any of them can be made again."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.store import insert
from schemas.trials import TrialState
from services.trials.domain import Subject
from services.trials.projection import ADAPTERS
from services.trials.store.patients import Locked, PatientKey
from services.trials.tables import past_subjects, past_trials


async def record_past_subjects(
    connection: AsyncConnection, rows: Sequence[Mapping[str, Any]], versions: Mapping[PatientKey, int], now: datetime
) -> None:
    """Keep these rows of ``subjects``, known since each patient's facts version and since ``now`` (civil)."""
    kept = [
        {**row, "facts_version": versions[row["tenant"], row["patient_id"]], "known_at": now} for row in rows
    ]  # fmt: skip
    await connection.execute(insert(connection, past_subjects).on_conflict_do_nothing(), kept)


async def load_past_subjects(
    connection: AsyncConnection, patient: Locked, *, facts_version: int | None = None, by: datetime | None = None
) -> list[Subject]:
    """Each subject as it was at that facts version, or by that civil time; none of an erased patient."""
    if patient.data_key is None:
        return []
    c = past_subjects.c
    asked: list[ColumnElement[bool]] = [c.tenant == patient.tenant, c.patient_id == patient.patient_id]
    if facts_version is not None:
        asked.append(c.facts_version <= facts_version)
    if by is not None:
        asked.append(c.known_at < by)
    rows = await connection.execute(select(c.subject, c.state).where(*asked).order_by(c.subject, c.version))
    newest = {row.subject: row.state for row in rows}
    return [
        ADAPTERS[subject.partition("/")[0]].validate_json(patient.data_key.open_bytes(state, subject.encode()))
        for subject, state in newest.items()
    ]


async def record_past_trials(
    connection: AsyncConnection, tenant: str, states: Sequence[TrialState], now: datetime
) -> None:
    """These count from ``now`` (civil) on."""
    rows = [
        {
            "tenant": tenant, "trial_id": each.trial_id, "version": each.version,
            "criteria_version": each.criteria_version, "published_at": now, "state": each.model_dump_json(),
        }
        for each in states
    ]  # fmt: skip
    await connection.execute(insert(connection, past_trials).on_conflict_do_nothing(), rows)


async def load_past_trial(
    connection: AsyncConnection,
    tenant: str,
    trial_id: str,
    *,
    criteria_version: str | None = None,
    by: datetime | None = None,
) -> TrialState | None:
    """The newest state with these criteria, and by that civil time; None if none counted."""
    c = past_trials.c
    asked: list[ColumnElement[bool]] = [c.tenant == tenant, c.trial_id == trial_id]
    if criteria_version is not None:
        asked.append(c.criteria_version == criteria_version)
    if by is not None:
        asked.append(c.published_at < by)
    query = select(c.state).where(*asked).order_by(c.version.desc()).limit(1)
    found = (await connection.execute(query)).scalar_one_or_none()
    return TrialState.tolerant_json(found) if found else None
