"""The projection: every subject's newest state, sealed under its patient's key, and what is known made of them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.store import insert
from services.trials.domain import Appointment, Consent, Enrolment, Facts, Known, Patient, Subject
from services.trials.projection import ADAPTERS, Projected
from services.trials.store.past import record_past_subjects
from services.trials.store.patients import Locked, PatientKey
from services.trials.tables import subjects

_PATIENT = tuple_(subjects.c.tenant, subjects.c.patient_id)
_SUBJECT = tuple_(subjects.c.tenant, subjects.c.subject)


async def newer(connection: AsyncConnection, incoming: Sequence[Projected]) -> list[Projected]:
    """Of the states in a batch, each subject's newest, if it is newer than what is stored."""
    best: dict[tuple[str, str], Projected] = {}
    for each in incoming:
        known = best.get((each.tenant, each.subject))
        if known is None or each.version > known.version:
            best[each.tenant, each.subject] = each
    query = select(subjects.c.tenant, subjects.c.subject, subjects.c.version).where(_SUBJECT.in_(sorted(best)))
    stored = {(row.tenant, row.subject): row.version for row in await connection.execute(query)}
    return [each for key, each in best.items() if each.version > stored.get(key, 0)]


async def is_overtaken(connection: AsyncConnection, state: Projected) -> bool:
    """Whether a newer version of the subject is stored."""
    mine = (subjects.c.tenant == state.tenant) & (subjects.c.subject == state.subject)
    known = (await connection.execute(select(subjects.c.version).where(mine))).scalar_one_or_none()
    return known is not None and known > state.version


async def record_subjects(
    connection: AsyncConnection, states: Iterable[Projected], locked: Mapping[PatientKey, Locked], now: datetime
) -> None:
    """Store states, and keep them with the past ones; an older version never overwrites a newer one.

    ``now`` is civil. Of an erased patient nothing is kept.
    """
    rows = []
    for each in states:
        key = locked[each.tenant, each.patient_id].data_key
        if key is not None:
            plain = ADAPTERS[each.subject.partition("/")[0]].dump_json(each.state)
            rows.append({
                "tenant": each.tenant, "subject": each.subject, "patient_id": each.patient_id,
                "version": each.version, "state": key.seal_bytes(plain, each.subject.encode()),
            })  # fmt: skip
    if not rows:
        return
    statement = insert(connection, subjects)
    new = statement.excluded
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=[subjects.c.tenant, subjects.c.subject],
            set_={"version": new.version, "state": new.state, "patient_id": new.patient_id},
            where=subjects.c.version < new.version,
        ),
        rows,
    )
    versions = {key: each.facts_version + 1 for key, each in locked.items()}
    await record_past_subjects(connection, rows, versions, now)


async def load_known(connection: AsyncConnection, locked: Iterable[Locked]) -> dict[PatientKey, Known]:
    """Everything known of each patient."""
    by_key = {patient.key: patient for patient in locked}
    columns = (subjects.c.tenant, subjects.c.patient_id, subjects.c.subject, subjects.c.state)
    rows = await connection.execute(select(*columns).where(_PATIENT.in_(sorted(by_key))).order_by(subjects.c.subject))
    found: defaultdict[PatientKey, list[Subject]] = defaultdict(list)
    for row in rows:
        data_key = by_key[row.tenant, row.patient_id].data_key
        if data_key is not None:
            plain = data_key.open_bytes(row.state, row.subject.encode())
            found[row.tenant, row.patient_id].append(ADAPTERS[row.subject.partition("/")[0]].validate_json(plain))
    return {key: known_of(found[key]) for key in by_key}


def known_of(states: Sequence[Subject]) -> Known:
    """One patient's states together."""
    return Known(
        patient=next((each for each in states if isinstance(each, Patient)), Patient()),
        enrolments=tuple(each for each in states if isinstance(each, Enrolment)),
        consents=tuple(each for each in states if isinstance(each, Consent)),
        facts=tuple(each for each in states if isinstance(each, Facts)),
        appointments=tuple(each for each in states if isinstance(each, Appointment)),
    )
