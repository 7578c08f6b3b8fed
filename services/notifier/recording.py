"""After a hand-over: what the server said becomes the ledger's state, what the patient was told, and others' knowledge.

One transaction for many mails, which also plans their patients again: a mail that went out changes caps, asks and what
is told.
"""

from collections.abc import Iterable, Mapping, Sequence
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
from services.notifier.store.mails import get_handed_over, record_receipts, suppress
from services.notifier.store.patients import PatientKey, lock_patients
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
class HandedOver:
    """What a server said of a claim's mail. ``jitter`` multiplies the back-off; ``trace`` is the mail's own."""

    claim: Claim
    receipt: Receipt
    jitter: float = 1.0
    trace: str | None = None


@dataclass(frozen=True, slots=True)
class Recorder:
    """Writes receipts."""

    planner: Planner
    master: Keyring

    async def record(self, connection: AsyncConnection, handed_over: Sequence[HandedOver]) -> None:
        """Of deliveries in ``sending`` under their claims' tokens; no two claims are of one patient.

        A yes that comes after the lease still counts: what was called uncertain since was sent.
        """
        now = self.planner.clock.now()
        locked = await lock_patients(connection, [each.claim.key for each in handed_over], self.master)
        late = {each.claim for each in handed_over if each.receipt.verdict is Verdict.ACCEPTED}
        rows = await get_sending(connection, [each.claim for each in handed_over], late)
        mine = [_Answered(each, _known(each), its) for each in handed_over if (its := rows.get(each.claim.key))]
        if not mine:
            return
        written = await self._states(connection, mine, now)
        await record_receipts(connection, {each.mail_id: each.known for each in mine}, now)
        mails = await get_handed_over(connection, [each.mail_id for each in mine])
        await self._told(connection, mine, mails, now)
        for each in (each for each in mine if each.receipt.suppress):
            tenant, _ = each.claim.key
            await suppress(
                connection, tenant, mails[each.mail_id][0], each.receipt, each.deliveries[0].delivery_id, now
            )
        await self._worklist(connection, mine, now)
        patients = [locked[each.claim.key] for each in mine]
        await self.planner.replan(connection, patients, release_held=False, already=written)
        for each in (each for each in mine if each.receipt.verdict in (Verdict.RETRY, Verdict.UNSENT)):
            wait = back_off(each.receipt, max(row.attempts for row in each.rows)) * each.asked.jitter
            if each.claim.again:
                await put_off_repeat(connection, each.mail_id, wait)
            else:  # after the plan, which may give it another time
                await postpone(connection, [delivery.delivery_id for delivery in each.deliveries], wait)

    async def _states(
        self, connection: AsyncConnection, answered: Sequence["_Answered"], now: datetime
    ) -> dict[PatientKey, Written]:
        ids = [delivery.delivery_id for each in answered for delivery in each.deliveries]
        versions = await next_outcome_versions(connection, ids)
        written, changed, history = {each.claim.key: Written(trace=each.asked.trace) for each in answered}, [], []
        for each, row in [(one, row) for one in answered for row in one.rows]:
            old, state = row.delivery, STATE[each.known.verdict]
            over = state is not S.PLANNED
            new = replace(old, state=state, reason=None, ended_at=now if over else None)
            version = versions[old.delivery_id] if over else versions[old.delivery_id] - 1
            changed.append({
                "delivery_id": old.delivery_id, "state": state, "reason": None, "ended_at": new.ended_at,
                "outcome_version": version, "entered_sending": over,
                "attempts": row.attempts - (each.known.verdict is Verdict.UNSENT),
            })  # fmt: skip
            history.append((old.delivery_id, old.state, state, None))
            written[each.claim.key].all.append(new)
            if over:
                written[each.claim.key].ended.append((new, version))
        await change_deliveries(connection, changed)
        await add_history(connection, history, now, "sender")
        return written

    async def _told(
        self,
        connection: AsyncConnection,
        answered: Sequence["_Answered"],
        mails: Mapping[str, tuple[str, Sequence[Told]]],
        now: datetime,
    ) -> None:
        """A mail that arrived, or may have, is what the patient knows: what it said, whatever has changed since."""
        may_have = [each for each in answered if each.known.verdict in (Verdict.ACCEPTED, Verdict.UNCERTAIN)]
        before = await get_told(connection, [each.claim.key for each in may_have]) if may_have else {}
        heard = []
        for each in may_have:
            (_, tells), key = mails[each.mail_id], each.claim.key
            told = told_by(tells, before.get(key, {}), now, certain=each.known.verdict is Verdict.ACCEPTED)
            heard += [(key, one) for one in told]
        await record_told(connection, heard)

    async def _worklist(self, connection: AsyncConnection, answered: Sequence["_Answered"], now: datetime) -> None:
        """A refused mail, and a safety notice that may not have arrived, leave the phone, until one arrives."""
        items = await open_entries(connection, [entry for each in answered for entry in _phone(each)], now)
        for each in (each for each in answered if each.receipt.verdict is Verdict.ACCEPTED):
            for notice in (delivery for delivery in each.deliveries if delivery.kind in SAFETY):
                owner = f"{PHONE}{notice.delivery_id}"
                items += await close_entries(connection, owner, [each.claim.key], [], now)
        await self.planner.tell_staff(connection, items, now)


@dataclass(frozen=True, slots=True)
class _Answered:
    """``known`` is what counts of the receipt; ``rows`` are the mail's deliveries, at least one."""

    asked: HandedOver
    known: Receipt
    rows: Sequence[ClaimedRow]

    @property
    def claim(self) -> Claim:
        return self.asked.claim

    @property
    def receipt(self) -> Receipt:
        return self.asked.receipt

    @property
    def mail_id(self) -> str:
        return self.rows[0].delivery.mail_id or ""

    @property
    def deliveries(self) -> list[Delivery]:
        return [row.delivery for row in self.rows]


def _known(each: HandedOver) -> Receipt:
    """Of a repeat that didn't go out, the first mail's fate is all that is known: it stays uncertain."""
    if each.claim.again and each.receipt.verdict is not Verdict.ACCEPTED:
        return replace(each.receipt, verdict=Verdict.UNCERTAIN)
    return each.receipt


def _phone(each: _Answered) -> Iterable[Entry]:
    (tenant, patient_id), receipt = each.claim.key, each.receipt
    for one in each.deliveries:
        if receipt.verdict is Verdict.REFUSED or (receipt.verdict is Verdict.UNCERTAIN and one.kind in SAFETY):
            code = "address_refused" if receipt.suppress else "call_patient"
            key = f"{PHONE}{patient_id if receipt.suppress else one.delivery_id}"
            yield Entry(
                tenant, patient_id, key, code, one.program, one.appointment_id, one.paperwork_id, one.delivery_id
            )
