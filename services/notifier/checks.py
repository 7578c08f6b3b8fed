"""The last look before a mail: guard every claimed delivery on the truth of now, write each no, take the first mail.

One transaction. It locks the patient and gives a new revision, so that whatever changes afterwards is noticed when the
mail enters ``sending``.
"""

import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sealing import Keyring
from schemas.outcomes import DeliveryState
from services.notifier.catalogue import Catalogue
from services.notifier.context import Sending
from services.notifier.domain import ON_EVENT, OPEN_STATES, SAFETY, Delivery, Reason
from services.notifier.grouping import group
from services.notifier.guard import Go, No, guard
from services.notifier.links import Link, Links
from services.notifier.replan import Planner, after, waits
from services.notifier.store.changes import Written
from services.notifier.store.claims import Claim
from services.notifier.store.ledger import (
    ClaimedRow,
    add_history,
    change_deliveries,
    get_claimed,
    load_ledgers,
    next_outcome_versions,
)
from services.notifier.store.moments import look
from services.notifier.store.patients import Locked, lock_patients
from services.notifier.store.releases import postpone, release
from services.notifier.store.subjects import load_truths
from services.notifier.store.worklist import HELD, PHONE, Entry, close_entries, open_entries

S = DeliveryState
AGAIN_SECONDS = 30.0
"""How long to wait, by the database's clock, for something that isn't civil time: stale truth, a throttle."""

PHONE_REASONS = frozenset({Reason.OPTED_OUT, Reason.TOO_LATE})
"""Final reasons which, for a safety notice, leave only the phone."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A mail that may go out now. ``looked_at`` is what the guard saw, as JSON; ``at`` is a monotonic time."""

    sending: Sending
    patient: Locked
    revision: int
    looked_at: str
    at: float
    trace: str | None

    @property
    def age(self) -> float:
        """Seconds since the guard looked."""
        return time.monotonic() - self.at


@dataclass(frozen=True, slots=True)
class Checker:
    """Guards claims. ``simulated`` marks mails made under a simulated clock."""

    planner: Planner
    master: Keyring
    catalogue: Catalogue
    links: Links | None
    simulated: bool = False

    async def check(self, connection: AsyncConnection, claim: Claim) -> Ready | None:
        """The claim's first mail that may go out now; None when there is none. What isn't in it is given back.

        So is what the plan has called off meanwhile, for the plan to end, unless the guard ends it here.
        """
        now, at = self.planner.clock.now(), time.monotonic()
        locked = (await lock_patients(connection, [claim.key], self.master))[claim.key]
        truth = (await load_truths(connection, [locked]))[claim.key]
        ledger = (await load_ledgers(connection, [claim.key]))[claim.key]
        rows = await get_claimed(connection, claim)
        if not rows:
            return None
        programs = await self.planner.programs.current(connection)
        codes = {row.delivery.program for row in rows}
        known = [programs[code] for code in codes & programs.keys()]
        seen = await look(connection, truth, known, self.catalogue.of(truth.tenant), now)
        refused, going = [], {}
        for row in rows:
            code = row.delivery.program
            verdict = guard(row.delivery, truth, programs.get(code), ledger, seen.of(code))
            if isinstance(verdict, No) and (not row.called_off or verdict.state not in OPEN_STATES):
                refused.append((row, verdict))
            elif isinstance(verdict, Go) and not row.called_off:
                going[row.delivery.delivery_id] = (row, verdict)
        written = await self._write(connection, claim, refused, now)
        bundles = group([row.delivery for row, _ in going.values()], truth)
        revision = await self.planner.publish(connection, locked, ledger, written, now)
        await self._worklist(connection, claim, refused, after(ledger, written), bool(bundles), now)
        chosen = {each.delivery_id for bundle in bundles[:1] for each in bundle.deliveries}
        done = {row.delivery.delivery_id for row, _ in refused} | chosen
        await release(connection, claim, [each for each in claim.delivery_ids if each not in done])
        if not bundles:
            return None
        bundle = bundles[0]
        mine = [going[each.delivery_id] for each in bundle.deliveries]
        earlier = bundle.deliveries[0].mail_id if claim.again else None
        sending = Sending(
            bundle=bundle,
            truth=truth,
            ledger=ledger,
            program=programs[bundle.deliveries[0].program],
            tier=min(verdict.tier for _, verdict in mine),
            mail_id=earlier or str(uuid.uuid4()),
            zone=mine[0][0].zone,
            asks_left=next((row.asks_left for row, _ in mine if row.asks_left is not None), None),
            now=now,
            simulated=self.simulated,
            trials=seen.moment.trials,
            stop_url=self._stop_url(claim, bundle.deliveries[0].program),
        )
        looked_at = seen.for_the_record(revision, sending.tier)
        return Ready(sending, locked, revision, looked_at, at, mine[0][0].trace)

    def _stop_url(self, claim: Claim, program: str) -> str | None:
        return self.links.unsubscribe(Link(*claim.key, program)) if self.links else None

    async def refuse(self, connection: AsyncConnection, claim: Claim, no: No) -> None:
        """Hold a mail that couldn't be made (``render_error``, ``phi_lint``); the claim must still be ours."""
        now = self.planner.clock.now()
        locked = (await lock_patients(connection, [claim.key], self.master))[claim.key]
        ledger = (await load_ledgers(connection, [claim.key]))[claim.key]
        refused = [(row, no) for row in await get_claimed(connection, claim)]
        written = await self._write(connection, claim, refused, now)
        await self.planner.publish(connection, locked, ledger, written, now)
        await self._worklist(connection, claim, refused, after(ledger, written), False, now)

    async def _write(
        self, connection: AsyncConnection, claim: Claim, refused: Sequence[tuple[ClaimedRow, No]], now: datetime
    ) -> Written:
        """Put each no in the ledger. An uncertain notice whose repeat is refused stays uncertain."""
        written = Written()
        if claim.again or not refused:
            return written
        versions = await next_outcome_versions(connection, [row.delivery.delivery_id for row, _ in refused])
        changed, history = [], []
        for row, no in refused:
            old, over = row.delivery, no.state not in OPEN_STATES
            new = replace(
                old, state=no.state, reason=no.reason, due_at=no.again_at or old.due_at, ended_at=now if over else None
            )
            changed.append({
                "delivery_id": old.delivery_id, "state": new.state, "reason": new.reason, "due_at": new.due_at,
                "ended_at": new.ended_at, "lease_token": None, "lease_until": None, "cancel_requested": None,
                "outcome_version": versions[old.delivery_id] - (0 if over else 1),
            })  # fmt: skip
            history.append((old.delivery_id, S.CLAIMED, new.state, new.reason))
            written.all.append(new)
            if over:
                written.ended.append((new, versions[old.delivery_id]))
        await change_deliveries(connection, changed)
        later = [row.delivery.delivery_id for row, no in refused if no.state is S.PLANNED and no.again_at is None]
        await postpone(connection, later, AGAIN_SECONDS)
        await add_history(connection, history, now, "guard")
        return written

    async def _worklist(
        self,
        connection: AsyncConnection,
        claim: Claim,
        refused: Sequence[tuple[ClaimedRow, No]],
        deliveries: Sequence[Delivery],
        sends: bool,
        now: datetime,
    ) -> None:
        """Staff hear of what a person must put right, and phone where a safety notice can't be sent."""
        tenant, patient_id = claim.key
        entries = [entry for row, no in refused for entry in _entries(tenant, patient_id, row.delivery, no)]
        items = await open_entries(connection, entries, now)
        if sends or not waits(deliveries, now):
            held = {each.reason for each in deliveries if each.state is S.HELD}
            keep = [(tenant, f"{HELD}{patient_id}/{reason}") for reason in held]
            items += await close_entries(connection, HELD, [claim.key], keep, now)
        await self.planner.tell_staff(connection, items, now)


def _entries(tenant: str, patient_id: str, delivery: Delivery, no: No) -> Iterable[Entry]:
    def entry(key: str, code: str) -> Entry:
        return Entry(
            tenant, patient_id, key, code, delivery.program, delivery.appointment_id, delivery.paperwork_id,
            delivery.delivery_id,
        )  # fmt: skip

    if no.reason in ON_EVENT:
        yield entry(f"{HELD}{patient_id}/{no.reason}", no.reason)
    if delivery.kind in SAFETY and (no.reason in ON_EVENT or no.reason in PHONE_REASONS):
        yield entry(f"{PHONE}{delivery.delivery_id}", "call_patient")
