"""Each no of the guard becomes the ledger's state, staff's work, and others' knowledge."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.outcomes import DeliveryState
from services.notifier.domain import ON_EVENT, OPEN_STATES, SAFETY, Ledger, Reason
from services.notifier.guard import No
from services.notifier.replan import Planner, after, waits
from services.notifier.store.changes import Written
from services.notifier.store.claims import Claim
from services.notifier.store.ledger import ClaimedRow, add_history, change_deliveries, next_outcome_versions
from services.notifier.store.patients import Locked, PatientKey
from services.notifier.store.releases import postpone
from services.notifier.store.worklist import HELD, PHONE, Entry, close_entries, open_entries

S = DeliveryState
AGAIN_SECONDS = 30.0
"""How long to wait, by the database's clock, for something that isn't civil time: stale truth, a throttle."""

PHONE_REASONS = frozenset({Reason.OPTED_OUT, Reason.TOO_LATE})
"""Final reasons which, for a safety notice, leave only the phone."""


@dataclass(frozen=True, slots=True)
class Refused:
    """What of one claim doesn't go out, and why; ``sends``: the rest does."""

    claim: Claim
    patient: Locked
    ledger: Ledger
    rows: Sequence[tuple[ClaimedRow, No]]
    sends: bool = False


async def write_refused(
    connection: AsyncConnection, planner: Planner, claims: Sequence[Refused], now: datetime
) -> None:
    """Each patient, refused or not, has a new revision then."""
    written = await _write(connection, claims, now)
    await planner.publish(connection, [(each.patient, each.ledger, written[each.claim.key]) for each in claims], now)
    await _worklist(connection, planner, claims, written, now)


async def _write(connection: AsyncConnection, claims: Sequence[Refused], now: datetime) -> dict[PatientKey, Written]:
    """An uncertain notice whose repeat is refused stays uncertain."""
    written = {each.claim.key: Written() for each in claims}
    refused = [(each.claim.key, row.delivery, no) for each in claims if not each.claim.again for row, no in each.rows]
    versions = await next_outcome_versions(connection, [old.delivery_id for _, old, _ in refused])
    changed, history = [], []
    for key, old, no in refused:
        over = no.state not in OPEN_STATES
        new = replace(
            old, state=no.state, reason=no.reason, due_at=no.again_at or old.due_at, ended_at=now if over else None
        )
        changed.append({
            "delivery_id": old.delivery_id, "state": new.state, "reason": new.reason, "due_at": new.due_at,
            "ended_at": new.ended_at, "lease_token": None, "lease_until": None, "cancel_requested": None,
            "outcome_version": versions[old.delivery_id] - (0 if over else 1),
        })  # fmt: skip
        history.append((old.delivery_id, S.CLAIMED, new.state, new.reason))
        written[key].all.append(new)
        if over:
            written[key].ended.append((new, versions[old.delivery_id]))
    await change_deliveries(connection, changed)
    later = [old.delivery_id for _, old, no in refused if no.state is S.PLANNED and no.again_at is None]
    await postpone(connection, later, AGAIN_SECONDS)
    await add_history(connection, history, now, "guard")
    return written


async def _worklist(
    connection: AsyncConnection,
    planner: Planner,
    claims: Sequence[Refused],
    written: Mapping[PatientKey, Written],
    now: datetime,
) -> None:
    """Staff hear of what a person must put right, and phone where a safety notice can't be sent."""
    items = await open_entries(connection, [entry for each in claims for entry in _entries(each)], now)
    over, keep = [], []
    for each in claims:
        (tenant, patient_id), deliveries = each.claim.key, after(each.ledger, written[each.claim.key])
        if each.sends or not waits(deliveries, now):
            over.append(each.claim.key)
            held = {delivery.reason for delivery in deliveries if delivery.state is S.HELD}
            keep += [(tenant, f"{HELD}{patient_id}/{reason}") for reason in held]
    items += await close_entries(connection, HELD, over, keep, now)
    await planner.tell_staff(connection, items, now)


def _entries(each: Refused) -> Iterable[Entry]:
    tenant, patient_id = each.claim.key
    for delivery, no in ((row.delivery, no) for row, no in each.rows):
        about = (delivery.program, delivery.appointment_id, delivery.paperwork_id, delivery.delivery_id)
        if no.reason in ON_EVENT:
            yield Entry(tenant, patient_id, f"{HELD}{patient_id}/{no.reason}", no.reason, *about)
        if delivery.kind in SAFETY and (no.reason in ON_EVENT or no.reason in PHONE_REASONS):
            yield Entry(tenant, patient_id, f"{PHONE}{delivery.delivery_id}", "call_patient", *about)
