"""The projection: every subject's newest state, sealed under its patient's key, and the truth made of them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.store import insert
from services.notifier import domain
from services.notifier.projection import ADAPTERS, Projected, Subject
from services.notifier.store.addresses import shared_addresses
from services.notifier.store.patients import Locked, PatientKey
from services.notifier.store.stops import get_stops
from services.notifier.tables import subjects

D = TypeVar("D")

_PATIENT = tuple_(subjects.c.tenant, subjects.c.patient_id)
_SUBJECT = tuple_(subjects.c.tenant, subjects.c.subject)


async def newer(connection: AsyncConnection, incoming: Sequence[Projected]) -> list[Projected]:
    """Of the states in a batch, each subject's newest, if it is newer than what is stored."""
    best: dict[tuple[str, str], Projected] = {}
    for each in incoming:
        known = best.get((each.tenant, each.subject))
        if known is None or each.version > known.version:
            best[(each.tenant, each.subject)] = each
    rows = await connection.execute(
        select(subjects.c.tenant, subjects.c.subject, subjects.c.version).where(_SUBJECT.in_(sorted(best)))
    )
    stored = {(row.tenant, row.subject): row.version for row in rows}
    return [each for key, each in best.items() if each.version > stored.get(key, 0)]


async def is_overtaken(connection: AsyncConnection, state: Projected) -> bool:
    """Whether a newer version of the subject is stored."""
    mine = (subjects.c.tenant == state.tenant) & (subjects.c.subject == state.subject)
    known = (await connection.execute(select(subjects.c.version).where(mine))).scalar_one_or_none()
    return known is not None and known > state.version


async def record_subjects(
    connection: AsyncConnection, states: Sequence[Projected], locked: Mapping[PatientKey, Locked]
) -> None:
    """Store states; an older version never overwrites a newer one."""
    if not states:
        return
    rows = []
    for each in states:
        family = each.subject.partition("/")[0]
        plain = ADAPTERS[family].dump_json(each.state)
        sealed = locked[each.tenant, each.patient_id].data_key.seal_bytes(plain, each.subject.encode())
        rows.append({
            "tenant": each.tenant, "subject": each.subject, "patient_id": each.patient_id,
            "version": each.version, "state": sealed,
        })  # fmt: skip
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


async def load_truths(connection: AsyncConnection, locked: Iterable[Locked]) -> dict[PatientKey, domain.Truth]:
    """Everything known of each patient."""
    by_key = {patient.key: patient for patient in locked}
    columns = (subjects.c.tenant, subjects.c.patient_id, subjects.c.subject, subjects.c.state)
    rows = await connection.execute(select(*columns).where(_PATIENT.in_(sorted(by_key))))
    found: defaultdict[PatientKey, defaultdict[str, list[Subject]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        family = row.subject.partition("/")[0]
        plain = by_key[row.tenant, row.patient_id].data_key.open_bytes(row.state, row.subject.encode())
        found[row.tenant, row.patient_id][family].append(ADAPTERS[family].validate_json(plain))
    hashes: defaultdict[str, set[str]] = defaultdict(set)
    for patient in by_key.values():
        hashes[patient.tenant].add(patient.email_hash or "")
    shared = {tenant: await shared_addresses(connection, tenant, its) for tenant, its in hashes.items()}
    ended = await get_stops(connection, by_key)
    return {
        key: _truth(patient, found[key], shared[patient.tenant], ended.get(key, ())) for key, patient in by_key.items()
    }


def _truth(
    locked: Locked, families: Mapping[str, list[Subject]], shared: frozenset[str], stops: tuple[domain.Stop, ...]
) -> domain.Truth:
    def all_of(kind: type[D]) -> tuple[D, ...]:
        return tuple(each for its in families.values() for each in its if isinstance(each, kind))

    patient = next(iter(all_of(domain.Patient)), None)
    if patient is not None:
        patient = replace(patient, email_hash=locked.email_hash, shares_address=locked.email_hash in shared)
    return domain.Truth(
        tenant=locked.tenant,
        patient_id=locked.patient_id,
        patient=patient,
        enrolments=all_of(domain.Enrolment),
        appointments=all_of(domain.Appointment),
        paperwork=all_of(domain.Paperwork),
        consents=all_of(domain.Consent),
        preferences=all_of(domain.Preference),
        requests=all_of(domain.Request),
        stops=stops,
        incomplete=locked.incomplete,
    )
