"""Claims due digests one at a time, makes, hands over, records: the order of the sender, without patient and guard.

A digest that can't go out yet waits until it expires, and is then missed. One that may have arrived is never repeated.
"""

import asyncio
import random
import time
import uuid
from collections.abc import Mapping

import structlog
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind

from chassis.clock import CivilClock
from chassis.metrics import Metrics
from chassis.sealing import Keyring
from chassis.store import Store, is_outage
from chassis.supervisor import pause
from chassis.tracing import span
from schemas.outcomes import DeliveryState
from schemas.programs import Program
from schemas.trials import DigestRequest
from services.notifier.digest_mail import DIGEST
from services.notifier.digests.making import Maker
from services.notifier.domain import Reason
from services.notifier.making import BrokenMailError
from services.notifier.recording import STATE, back_off
from services.notifier.smtp import Receipt, SmtpPool, SmtpUnavailable
from services.notifier.smtp.pool import Connection
from services.notifier.store.claims import LostClaimError
from services.notifier.store.digests import (
    DigestClaim,
    begin_sending_digest,
    claim_digest,
    end_overdue,
    put_off_digest,
    record_digest,
)
from services.notifier.store.mails import suppress

log = structlog.get_logger(__name__)

S = DeliveryState
POLL_SECONDS = 2.0
AWAY_SECONDS = 30.0
"""Before a digest is tried again after the relay was away, or an error of ours has stopped it."""
WAIT_SECONDS = 600.0
"""Before it is looked at again whether what was missing is there: a complete program, an address that takes mail."""


class DigestSender:
    """One digest at a time, over a connection of the pool that patients' mail uses; whoever made the pool closes it.

    ``lease_seconds``: longer than one hand-over can take.
    """

    name = "digests"

    def __init__(
        self,
        store: Store,
        pool: SmtpPool,
        maker: Maker,
        master: Keyring,
        clock: CivilClock,
        metrics: Metrics,
        traces: TracerProvider,
        lease_seconds: float,
    ) -> None:
        self.store, self.pool, self.maker, self.master = store, pool, maker, master
        self.clock, self.metrics, self.traces, self.lease_seconds = clock, metrics, traces, lease_seconds
        self._wake = asyncio.Event()
        self._sent = 0

    def nudge(self) -> None:
        """A digest may have been asked for: look now."""
        self._wake.set()

    def status(self) -> Mapping[str, object]:
        return {"sent": self._sent}

    async def run(self, stopping: asyncio.Event) -> None:
        """Send until told to stop; an outage of the store is waited out."""
        while not stopping.is_set():
            self._wake.clear()
            claim = await self._claim()
            if claim is None:
                await pause(stopping, POLL_SECONDS, self._wake)
            else:
                await self._work(claim)

    async def _claim(self) -> DigestClaim | None:
        now = self.clock.now()
        try:
            async with self.store.write() as connection:
                ended = await end_overdue(connection, now)
                claim = await claim_digest(connection, str(uuid.uuid4()))
        except Exception as error:
            if not is_outage(error):
                raise
            log.warning("store_away", part=self.name)
            return None
        self._count(S.MISSED, ended.missed)
        self._count(S.UNCERTAIN, ended.uncertain)
        return claim

    async def _work(self, claim: DigestClaim) -> None:
        """One claim to its end; whatever happens, the row says what is known."""
        try:
            async with self.pool.connection() as smtp:
                await self._one(claim, smtp)
        except BrokenMailError as broken:
            await self._put_off(claim, WAIT_SECONDS, broken.reason)
        except SmtpUnavailable as away:
            log.warning("smtp_unavailable", cause=str(away))
            self.metrics.count("smtp_answers_total", phase=away.receipt.phase, answer=away.receipt.answer)
            await self._put_off(claim, AWAY_SECONDS * random.uniform(0.8, 1.2))
        except LostClaimError:
            await self._put_off(claim, 0.0)
        except Exception as error:
            outage = is_outage(error)
            log.error("sending_failed", error=type(error).__name__, outage=outage, exc_info=not outage)
            await self._put_off(claim, AWAY_SECONDS)

    async def _one(self, claim: DigestClaim, smtp: Connection) -> None:
        request = claim.open(self.master)
        async with self.store.write() as connection:
            seen = await self.maker.look(connection, claim.tenant, request)
        if isinstance(seen, Reason):
            log.warning("digest_waits", reason=seen)
            await self._put_off(claim, WAIT_SECONDS, seen)
            return
        with span(self.traces, "send digest", traceparent=claim.trace, kind=SpanKind.PRODUCER):
            await self._send(claim, request, seen, smtp)

    async def _send(self, claim: DigestClaim, request: DigestRequest, program: Program, smtp: Connection) -> None:
        now = self.clock.now()
        mail, made = self.maker.make(request, program, now)
        about = {
            "message_id": mail.message_id, "program_version": program.version,
            "template_version": made.template_version,
        }  # fmt: skip
        async with self.store.write() as connection:
            await begin_sending_digest(connection, claim, now, about, self.lease_seconds)
        began = time.monotonic()
        receipt = await smtp.send(made.sender, made.recipient, made.content)
        self.metrics.observe("sending_seconds", time.monotonic() - began, verdict=receipt.verdict)
        self.metrics.count("smtp_answers_total", phase=receipt.phase, answer=receipt.answer)
        await self._record(claim, receipt)

    async def _record(self, claim: DigestClaim, receipt: Receipt) -> None:
        """The answer is known now and nowhere else: try until the store takes it, or the lease calls it uncertain."""
        state = STATE[receipt.verdict]
        while True:
            try:
                if await self._recorded(claim, state, receipt) and state is not S.PLANNED:
                    self._sent += state is S.SENT
                    self._count(state)
                return
            except Exception as error:
                if not is_outage(error):
                    raise
                await asyncio.sleep(POLL_SECONDS)

    async def _recorded(self, claim: DigestClaim, state: S, receipt: Receipt) -> bool:
        now, wait = self.clock.now(), back_off(receipt, claim.attempts + 1) * random.uniform(0.8, 1.2)
        async with self.store.write() as connection:
            if receipt.suppress:
                address = self.maker.address_hash(claim.open(self.master))
                await suppress(connection, claim.tenant, address, receipt, claim.digest_id, now)
            return await record_digest(connection, claim, state, receipt, now, wait)

    async def _put_off(self, claim: DigestClaim, seconds: float, reason: Reason | None = None) -> None:
        try:
            async with self.store.write() as connection:
                await put_off_digest(connection, claim, seconds, reason)
        except Exception as error:  # its lease runs out by itself
            log.warning("claim_kept", part=self.name, error=type(error).__name__, outage=is_outage(error))

    def _count(self, state: S, times: int = 1) -> None:
        if times:
            self.metrics.count("deliveries_total", times, kind=DIGEST, state=state, reason="")
