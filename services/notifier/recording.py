"""After a hand-over: what the server said becomes the ledger's state, what the patient was told, and others' knowledge.

One transaction, which also plans the patient again: a mail that went out changes caps, asks and what is told.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sealing import Keyring
from schemas.outcomes import DeliveryState
from services.notifier.domain import SAFETY, Delivery, Ledger, Truth
from services.notifier.replan import Planner
from services.notifier.smtp import Receipt, Verdict
from services.notifier.store.changes import Written
from services.notifier.store.claims import Claim, postpone
from services.notifier.store.ledger import (
    add_history,
    change_deliveries,
    get_sending,
    load_ledgers,
    next_outcome_versions,
    record_told,
)
from services.notifier.store.mails import record_receipt, suppress
from services.notifier.store.patients import lock_patients
from services.notifier.store.subjects import load_truths
from services.notifier.store.worklist import Entry, open_entries
from services.notifier.told import told_after_mail

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
        """Of deliveries in ``sending`` under the claim's token. ``jitter`` multiplies the back-off."""
        now = self.planner.clock.now()
        locked = (await lock_patients(connection, [claim.key], self.master))[claim.key]
        rows = await get_sending(connection, claim)
        if not rows:
            return
        truth = (await load_truths(connection, [locked]))[claim.key]
        ledger = (await load_ledgers(connection, [claim.key]))[claim.key]
        written = await self._states(connection, [row.delivery for row in rows], receipt, now)
        if receipt.verdict in (Verdict.RETRY, Verdict.UNSENT):
            wait = back_off(receipt, max(row.attempts for row in rows)) * jitter
            await postpone(connection, [row.delivery.delivery_id for row in rows], wait)
        await record_receipt(connection, rows[0].delivery.mail_id or "", receipt, now)
        await self._told(connection, claim, truth, ledger, [row.delivery for row in rows], receipt, now)
        if receipt.suppress and locked.email_hash:
            await suppress(connection, locked.tenant, locked.email_hash, receipt, rows[0].delivery.delivery_id, now)
        await self._worklist(connection, claim, [row.delivery for row in rows], receipt, now)
        await self.planner.replan(connection, [locked], release_held=False, already={claim.key: written})

    async def _states(
        self, connection: AsyncConnection, before: Sequence[Delivery], receipt: Receipt, now: datetime
    ) -> Written:
        written, state, changed = Written(), STATE[receipt.verdict], []
        versions = await next_outcome_versions(connection, [each.delivery_id for each in before])
        over = state is not S.PLANNED
        for old in before:
            new = replace(old, state=state, reason=None, ended_at=now if over else None)
            version = versions[old.delivery_id] if over else versions[old.delivery_id] - 1
            changed.append({
                "delivery_id": old.delivery_id, "state": state, "reason": None, "ended_at": new.ended_at,
                "outcome_version": version, "entered_sending": over,
            })  # fmt: skip
            written.all.append(new)
            if over:
                written.ended.append((new, version))
        await change_deliveries(connection, changed)
        await add_history(connection, [(d.delivery_id, S.SENDING, state, None) for d in before], now, "sender")
        return written

    async def _told(
        self,
        connection: AsyncConnection,
        claim: Claim,
        truth: Truth,
        ledger: Ledger,
        deliveries: Sequence[Delivery],
        receipt: Receipt,
        now: datetime,
    ) -> None:
        """A mail that arrived, or may have, is what the patient knows of the visit now."""
        if receipt.verdict in (Verdict.ACCEPTED, Verdict.UNCERTAIN):
            certain = receipt.verdict is Verdict.ACCEPTED
            heard = told_after_mail(deliveries, truth, ledger.told, now, certain=certain)
            await record_told(connection, [(claim.key, each) for each in heard.values()])

    async def _worklist(
        self, connection: AsyncConnection, claim: Claim, ended: Sequence[Delivery], receipt: Receipt, now: datetime
    ) -> None:
        """A refused mail, and a safety notice that may not have arrived, leave the phone."""
        tenant, patient_id = claim.key
        entries = []
        for each in ended:
            phone = receipt.verdict is Verdict.REFUSED or (receipt.verdict is Verdict.UNCERTAIN and each.kind in SAFETY)
            if phone:
                code = "address_refused" if receipt.suppress else "call_patient"
                key = f"phone/{patient_id}" if receipt.suppress else f"phone/{each.delivery_id}"
                entries.append(Entry(
                    tenant, patient_id, key, code, each.program, each.appointment_id, each.paperwork_id,
                    each.delivery_id,
                ))  # fmt: skip
        items = await open_entries(connection, entries, now)
        await self.planner.tell_staff(connection, items, now)
