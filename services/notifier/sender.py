"""Claims due deliveries, guards them on current truth, renders, hands over, records. Never reads Kafka.

Order of one mail: claim → a ready connection → guard (commit) → render → ``sending`` (commit) → SMTP → record (commit).
Mails that come to a commit at the same time share it, with all its statements. No database session is open across SMTP.
A crash before ``sending`` loses nothing, one after it leaves ``uncertain``.
"""

import asyncio
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping

import structlog
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind

from chassis import faults
from chassis.metrics import Metrics
from chassis.store import Store, is_outage
from chassis.supervisor import pause
from chassis.tracing import current_traceparent, span
from schemas.outcomes import DeliveryState
from services.notifier.checks import Checker, Ready
from services.notifier.commits import Commits
from services.notifier.guard import No
from services.notifier.making import BrokenMailError, make
from services.notifier.recording import HandedOver, Recorder
from services.notifier.smtp import Phase, Receipt, SmtpPool, SmtpSettings, SmtpUnavailable, Verdict
from services.notifier.smtp.pool import Connection
from services.notifier.store.claims import Claim, LostClaimError, claim_due, claim_uncertain
from services.notifier.store.releases import release

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0
FAILED_SECONDS = 60.0
"""Before a mail is tried again that an error of ours has stopped: others have their turn."""

NOT_HANDED_OVER = Receipt(Verdict.UNSENT, Phase.CONNECT)

Hook = Callable[[Claim], Awaitable[None]]


async def nothing(claim: Claim) -> None:
    """The hook of everyday life."""


class Sender:
    """One per process, as many mails at once as there are connections. ``before_guard`` stages what a demo shows."""

    name = "sender"

    def __init__(
        self,
        store: Store,
        smtp: SmtpSettings,
        checker: Checker,
        recorder: Recorder,
        metrics: Metrics,
        traces: TracerProvider,
        *,
        before_guard: Hook = nothing,
        on_recorded: Callable[[], None],
    ) -> None:
        self.store, self.checker, self.recorder, self.metrics = store, checker, recorder, metrics
        self.smtp, self.pool, self.traces = smtp, SmtpPool(smtp), traces
        self.before_guard, self.on_recorded = before_guard, on_recorded
        lease = smtp.longest_send_seconds + 30
        self.commits = Commits(store, checker, recorder, most=smtp.connections, lease=lease)
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._unavailable: str | None = None
        self._failures, self._not_before = 0, 0.0

    def nudge(self) -> None:
        """Something may have become due: look now."""
        self._wake.set()

    def status(self) -> Mapping[str, object]:
        return {"in_hand": len(self._tasks), "smtp": self._unavailable or "ready"}

    async def run(self, stopping: asyncio.Event) -> None:
        """Send until told to stop; then finish what is in hand."""
        try:
            while not stopping.is_set():
                self._wake.clear()
                faults.reach(faults.Step.BEFORE_CLAIM)
                claimed = await self._claim()
                for claim in claimed:
                    task = asyncio.create_task(self._work(claim))
                    self._tasks.add(task)
                    task.add_done_callback(self._done)
                if not claimed:
                    await pause(stopping, POLL_SECONDS, self._wake)
        finally:
            try:
                await asyncio.gather(*self._tasks, return_exceptions=True)
            finally:
                await self.commits.close()
                await self.pool.close()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._wake.set()

    def _pause(self) -> float:
        """After the relay's own faults: 1 s, doubling to 30 s, so that a dead relay isn't hammered."""
        return 0.0 if not self._failures else float(min(30, 2 ** (self._failures - 1))) * random.uniform(0.8, 1.2)

    async def _claim(self) -> list[Claim]:
        free = self.smtp.connections - len(self._tasks)
        if free <= 0 or (self._failures and self._tasks) or time.monotonic() < self._not_before:
            return []
        most = 1 if self._failures else free
        token, civil = str(uuid.uuid4()), self.checker.planner.clock.now()
        try:
            async with self.store.write() as connection:
                claims = await claim_due(connection, civil, token, most)
                if len(claims) < most:
                    claims += await claim_uncertain(connection, civil, token, most - len(claims))
                return claims
        except Exception as error:
            if not is_outage(error):
                raise
            log.warning("store_away", part=self.name)
            return []

    async def _work(self, claim: Claim) -> None:
        """One claim to its end; whatever happens, the ledger says what is known."""
        try:
            faults.reach(faults.Step.AFTER_CLAIM)
            await self.before_guard(claim)
            async with self.pool.connection() as smtp:
                self._unavailable, self._failures, self._not_before = None, 0, 0.0
                await self._one(claim, smtp)
        except SmtpUnavailable as away:
            self._unavailable, now = str(away), time.monotonic()
            log.warning("smtp_unavailable", cause=str(away))
            self.metrics.count("smtp_answers_total", phase=away.receipt.phase, answer=away.receipt.answer)
            if now >= self._not_before:  # what failed at the same time is one failure
                self._failures += 1
                self._not_before = now + self._pause()
            await self._give_back(claim, self._not_before - now)
        except LostClaimError:
            await self._give_back(claim, 0.0)
        except Exception as error:
            outage = is_outage(error)
            log.error("sending_failed", error=type(error).__name__, outage=outage, exc_info=not outage)
            await self._give_back(claim, POLL_SECONDS if outage else FAILED_SECONDS)

    async def _one(self, claim: Claim, smtp: Connection) -> None:
        ready = await self.commits.guard(claim)
        if ready is None:
            return
        with span(self.traces, "send mail", traceparent=ready.trace, kind=SpanKind.PRODUCER):
            await self._send(claim, ready, smtp)

    async def _send(self, claim: Claim, ready: Ready, smtp: Connection) -> None:
        """Render, enter ``sending``, hand over, record: in the trace of the event that planned the mail."""
        try:
            made = make(ready)
        except BrokenMailError as broken:
            async with self.store.write() as connection:
                await self.checker.refuse(connection, claim, No(broken.reason, DeliveryState.HELD))
            return
        try:
            content = await self.commits.enter_sending(claim, ready, made)
        except Exception as error:
            if is_outage(error):  # it may be committed all the same, and would be called uncertain then
                await self._record(HandedOver(claim, NOT_HANDED_OVER))
            raise
        faults.reach(faults.Step.AFTER_SENDING)
        began = time.monotonic()
        receipt = await smtp.send(made.sender, made.recipient, content)
        self.metrics.observe("sending_seconds", time.monotonic() - began, verdict=receipt.verdict)
        self.metrics.count("smtp_answers_total", phase=receipt.phase, answer=receipt.answer)
        faults.reach(faults.Step.AFTER_ANSWER)
        await self._record(HandedOver(claim, receipt, random.uniform(0.8, 1.2), current_traceparent()))

    async def _record(self, handed_over: HandedOver) -> None:
        """The answer is known now and nowhere else: try until the store takes it, or the lease calls it uncertain."""
        while True:
            try:
                await self.commits.record(handed_over)
                self.on_recorded()
                return
            except Exception as error:
                if not is_outage(error):
                    raise
                await asyncio.sleep(POLL_SECONDS)

    async def _give_back(self, claim: Claim, back_off: float) -> None:
        try:
            async with self.store.write() as connection:
                await release(connection, claim, claim.delivery_ids, back_off=back_off)
        except Exception as error:  # its lease runs out by itself
            log.warning("claim_kept", error=type(error).__name__, outage=is_outage(error))
