"""The last look before a mail: guard every claimed delivery on the truth of now, write each no, take the first mail.

One transaction for many patients. It locks each and gives a new revision, so that whatever changes afterwards is
noticed when the mail enters ``sending``.
"""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sealing import Keyring
from schemas.programs import Program
from services.notifier.catalogue import Catalogue
from services.notifier.context import Sending
from services.notifier.domain import OPEN_STATES, Ledger, Truth
from services.notifier.grouping import Bundle, group
from services.notifier.guard import Go, No, guard
from services.notifier.links import Link, Links
from services.notifier.refusing import Refused, write_refused
from services.notifier.replan import Planner
from services.notifier.store.claims import Claim
from services.notifier.store.ledger import ClaimedRow, get_claimed, load_ledgers
from services.notifier.store.moments import Look, look
from services.notifier.store.patients import Locked, PatientKey, lock_patients
from services.notifier.store.releases import release
from services.notifier.store.subjects import load_truths


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

    async def check(self, connection: AsyncConnection, claims: Sequence[Claim]) -> dict[PatientKey, Ready]:
        """Each claim's first mail that may go out now, where there is one. What isn't in it is given back.

        So is what the plan has called off meanwhile, for the plan to end, unless the guard ends it here. No two claims
        are of one patient.
        """
        now, at = self.planner.clock.now(), time.monotonic()
        locked = await lock_patients(connection, [each.key for each in claims], self.master)
        truths = await load_truths(connection, locked.values())
        ledgers = await load_ledgers(connection, locked)
        rows = await get_claimed(connection, claims)
        if not rows:
            return {}
        programs = await self.planner.programs.current(connection)
        codes = {row.delivery.program for its in rows.values() for row in its}
        known = [programs[code] for code in sorted(codes & programs.keys())]
        seen = await look(connection, {key: truths[key] for key in rows}, known, self.catalogue.of, now)
        judged = [
            _judged(each, locked[key], truths[key], ledgers[key], rows[key], seen[key], programs)
            for each in claims
            if (key := each.key) in rows
        ]
        await write_refused(connection, self.planner, [each.no for each in judged], now)
        for each in judged:
            await release(connection, each.no.claim, each.given_back)
        return {each.no.claim.key: self._ready(each, programs, now, at) for each in judged if each.bundles}

    def _ready(self, judged: "_Judged", programs: Mapping[str, Program], now: datetime, at: float) -> Ready:
        claim, patient, bundle = judged.no.claim, judged.no.patient, judged.bundles[0]
        mine = [judged.going[each.delivery_id] for each in bundle.deliveries]
        program = programs[bundle.deliveries[0].program]
        earlier = bundle.deliveries[0].mail_id if claim.again else None
        sending = Sending(
            bundle=bundle,
            truth=judged.truth,
            ledger=judged.no.ledger,
            program=program,
            tier=min(verdict.tier for _, verdict in mine),
            mail_id=earlier or str(uuid.uuid4()),
            zone=mine[0][0].zone,
            asks_left=next((row.asks_left for row, _ in mine if row.asks_left is not None), None),
            now=now,
            simulated=self.simulated,
            trials=judged.seen.moment.trials,
            stop_url=self.links.unsubscribe(Link(*claim.key, program.public_code)) if self.links else None,
        )
        revision = patient.revision + 1
        looked_at = judged.seen.for_the_record(revision, sending.tier)
        return Ready(sending, patient, revision, looked_at, at, mine[0][0].trace)

    async def refuse(self, connection: AsyncConnection, claim: Claim, no: No) -> None:
        """Hold a mail that couldn't be made (``render_error``, ``phi_lint``); the claim must still be ours."""
        locked = (await lock_patients(connection, [claim.key], self.master))[claim.key]
        ledger = (await load_ledgers(connection, [claim.key]))[claim.key]
        refused = [(row, no) for row in (await get_claimed(connection, [claim])).get(claim.key, ())]
        now = self.planner.clock.now()
        await write_refused(connection, self.planner, [Refused(claim, locked, ledger, refused)], now)


@dataclass(frozen=True, slots=True)
class _Judged:
    """The guard's word on one claim."""

    no: Refused
    truth: Truth
    seen: Look
    going: Mapping[str, tuple[ClaimedRow, Go]]
    bundles: Sequence[Bundle]

    @property
    def given_back(self) -> list[str]:
        """Of the claim's deliveries those that are neither refused nor in its first mail."""
        chosen = {each.delivery_id for bundle in self.bundles[:1] for each in bundle.deliveries}
        done = {row.delivery.delivery_id for row, _ in self.no.rows} | chosen
        return [each for each in self.no.claim.delivery_ids if each not in done]


def _judged(
    claim: Claim, patient: Locked, truth: Truth, ledger: Ledger, rows: Sequence[ClaimedRow], seen: Look,
    programs: Mapping[str, Program],
) -> _Judged:  # fmt: skip
    refused, going = [], {}
    for row in rows:
        code = row.delivery.program
        verdict = guard(row.delivery, truth, programs.get(code), ledger, seen.of(code))
        if isinstance(verdict, No) and (not row.called_off or verdict.state not in OPEN_STATES):
            refused.append((row, verdict))
        elif isinstance(verdict, Go) and not row.called_off:
            going[row.delivery.delivery_id] = (row, verdict)
    bundles = group([row.delivery for row, _ in going.values()], truth)
    return _Judged(Refused(claim, patient, ledger, refused, bool(bundles)), truth, seen, going, bundles)
