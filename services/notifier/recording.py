"""After a hand-over: what the server said becomes the ledger's state, what the patient was told, and others' knowledge.

One transaction, which also plans the patient again: a mail that went out changes caps, asks and what is told.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sealing import Keyring
from schemas.outcomes import DeliveryState
from services.notifier.domain import SAFETY, Delivery, Told
from services.notifier.replan import Planner
from services.notifier.smtp import Receipt, Verdict
from services.notifier.store.changes import Written
from services.notifier.store.claims import Claim
from services.notifier.store.ledger import (
    ClaimedRow,
    add_history,
    change_deliveries,
    get_sending,
    get_told,
    next_outcome_versions,
    record_told,
)
from services.notifier.store.mails import get_handed_over, record_receipt, suppress
from services.notifier.store.patients import lock_patients
from services.notifier.store.releases import postpone, put_off_repeat
from services.notifier.store.worklist import PHONE, Entry, close_entries, open_entries
from services.notifier.told import told_by

S = DeliveryState
STATE = {
    Verdict.ACCEPTED: S.SENT,
    Verdict.REFUSED: S.FAILED,
    Verdict.UNCERTAIN: S.UNCERTAIN,
    Verdict.RETRY: S.PLANNED,
    Verdict.UNSENT: S.PLANNED,
}
SHORT_SECONDS, SLOW_SECONDS, LONGEST_SECONDS = 15.0, 300.0, 3600.0


def back_off(receipt: Receipt, attempts: int) -> float:
    """Seconds of the database's clock before the next try: 421 and 432 short, other 4xx slow, both doubling."""
    base = SLOW_SECONDS if receipt.slow else SHORT_SECONDS
    return float(min(LONGEST_SECONDS, base * 2 ** min(attempts - 1, 8)))


@dataclass(frozen=True, slots=True)
class Recorder:
    """Writes receipts."""

    planner: Planner
    master: Keyring

    async def record(self, connection: AsyncConnection, claim: Claim, receipt: Receipt, jitter: float = 1.0) -> None:
        """Of deliveries in ``sending`` under the claim's token. ``jitter`` multiplies the back-off.

        A yes that comes after the lease still counts: what was called uncertain since was sent.
        """
        now = self.planner.clock.now()
        locked = (await lock_patients(connection, [claim.key], self.master))[claim.key]
        rows = await get_sending(connection, claim, late=receipt.verdict is Verdict.ACCEPTED)
        if not rows:
            return
        known, mine, mail_id = _known(claim, receipt), [row.delivery for row in rows], rows[0].delivery.mail_id or ""
        written = await self._states(connection, rows, known, now)
        await record_receipt(connection, mail_id, known, now)
        address_hash, tells = await get_handed_over(connection, mail_id)
        await self._told(connection, claim, tells, known, now)
        if receipt.suppress:
            await suppress(connection, locked.tenant, address_hash, receipt, mine[0].delivery_id, now)
        await self._worklist(connection, claim, mine, receipt, now)
        await self.planner.replan(connection, [locked], release_held=False, already={claim.key: written})
        if receipt.verdict in (Verdict.RETRY, Verdict.UNSENT):  # after the plan, which may give it another time
            wait = back_off(receipt, max(row.attempts for row in rows)) * jitter
            ids = [each.delivery_id for each in mine]
            await (put_off_repeat(connection, mail_id, wait) if claim.again else postpone(connection, ids, wait))

    async def _states(
        self, connection: AsyncConnection, rows: Sequence[ClaimedRow], receipt: Receipt, now: datetime
    ) -> Written:
        written, state, changed = Written(), STATE[receipt.verdict], []
        versions = await next_outcome_versions(connection, [row.delivery.delivery_id for row in rows])
        over = state is not S.PLANNED
        for row in rows:
            old = row.delivery
            new = replace(old, state=state, reason=None, ended_at=now if over else None)
            version = versions[old.delivery_id] if over else versions[old.delivery_id] - 1
            changed.append({
                "delivery_id": old.delivery_id, "state": state, "reason": None, "ended_at": new.ended_at,
                "outcome_version": version, "entered_sending": over,
                "attempts": row.attempts - (receipt.verdict is Verdict.UNSENT),
            })  # fmt: skip
            written.all.append(new)
            if over:
                written.ended.append((new, version))
        await change_deliveries(connection, changed)
        history = [(row.delivery.delivery_id, row.delivery.state, state, None) for row in rows]
        await add_history(connection, history, now, "sender")
        return written

    async def _told(
        self, connection: AsyncConnection, claim: Claim, tells: Sequence[Told], receipt: Receipt, now: datetime
    ) -> None:
        """A mail that arrived, or may have, is what the patient knows: what it said, whatever has changed since."""
        if receipt.verdict in (Verdict.ACCEPTED, Verdict.UNCERTAIN):
            before = (await get_told(connection, [claim.key])).get(claim.key, {})
            heard = told_by(tells, before, now, certain=receipt.verdict is Verdict.ACCEPTED)
            await record_told(connection, [(claim.key, each) for each in heard])

    async def _worklist(
        self, connection: AsyncConnection, claim: Claim, ended: Sequence[Delivery], receipt: Receipt, now: datetime
    ) -> None:
        """A refused mail, and a safety notice that may not have arrived, leave the phone, until one arrives."""
        items = await open_entries(connection, _phone(claim, ended, receipt), now)
        for notice in (each for each in ended if each.kind in SAFETY and receipt.verdict is Verdict.ACCEPTED):
            items += await close_entries(connection, f"{PHONE}{notice.delivery_id}", [claim.key], [], now)
        await self.planner.tell_staff(connection, items, now)


def _known(claim: Claim, receipt: Receipt) -> Receipt:
    """Of a repeat that didn't go out, the first mail's fate is all that is known: it stays uncertain."""
    if claim.again and receipt.verdict is not Verdict.ACCEPTED:
        return replace(receipt, verdict=Verdict.UNCERTAIN)
    return receipt


def _phone(claim: Claim, ended: Sequence[Delivery], receipt: Receipt) -> Iterable[Entry]:
    tenant, patient_id = claim.key
    for each in ended:
        if receipt.verdict is Verdict.REFUSED or (receipt.verdict is Verdict.UNCERTAIN and each.kind in SAFETY):
            code = "address_refused" if receipt.suppress else "call_patient"
            key = f"{PHONE}{patient_id if receipt.suppress else each.delivery_id}"
            yield Entry(
                tenant, patient_id, key, code, each.program, each.appointment_id, each.paperwork_id, each.delivery_id
            )
