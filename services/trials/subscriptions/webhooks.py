"""Carries logs to webhooks: one report at a time for each, in order, again as Standard Webhooks says, or not any more.

The payload is thin: the coordinator fetches the report with their API key. A crash after the receiver's answer sends
the same ``webhook-id`` again.
"""

import asyncio
import ssl
import uuid
from enum import StrEnum

import httpx2
import structlog

from chassis.outbox import Message, put
from chassis.sealing import Keyring
from chassis.store import Store
from schemas.outcomes import WorklistItem
from schemas.registry import TRIALS_OUTCOMES
from schemas.trials import MatchReport
from services.trials.evaluating import Evaluator
from services.trials.store.subscriptions import Due, disable, list_due_webhooks, record_delivered, record_failure
from services.trials.subscription import Subscription
from services.trials.subscriptions.bell import Bell
from services.trials.subscriptions.places import PlaceRefused, Places
from services.trials.subscriptions.signing import headers, pause_after, payload
from services.trials.tables import outbox
from services.trials.timers import POLL_SECONDS, Timer

log = structlog.get_logger(__name__)

AT_ONCE = 20
ANSWER_SECONDS = 10.0
"""For all of a request: below the lease, so that no other instance sends the same meanwhile."""

GONE = 410


class Answer(StrEnum):
    """What a receiver made of it. ``gone`` asks never to be called again."""

    TAKEN = "taken"
    FAILED = "failed"
    GONE = "gone"


class Webhooks(Timer):
    """A wave is one report of each webhook that has one."""

    name = "webhooks"

    def __init__(
        self, store: Store, evaluator: Evaluator, master: Keyring, bell: Bell, places: Places, seconds: float
    ) -> None:
        super().__init__(store, evaluator, master, bell.ring)
        self._places, self._seconds = places, min(seconds, ANSWER_SECONDS)

    def rest(self, done: int) -> float:
        return 0.0 if done else POLL_SECONDS

    async def wave(self) -> int:
        """Nothing is written while there is nothing to send; what is due is read again once it is ours to send."""
        due = await self._due()
        if due and await self.leads():
            due = await self._due()
            async with self._client() as client:
                await asyncio.gather(*(self._one(client, each) for each in due))
            return len(due)
        return 0

    async def _due(self) -> list[Due]:
        async with self.store.read() as connection:
            return await list_due_webhooks(connection, AT_ONCE, self.master)

    def _client(self) -> httpx2.AsyncClient:
        """Goes nowhere but where it is told: no redirects, and no proxy of the environment."""
        context = ssl.create_default_context()
        return httpx2.AsyncClient(follow_redirects=False, trust_env=False, verify=context, timeout=self._seconds)

    async def _one(self, client: httpx2.AsyncClient, due: Due) -> None:
        answer = await self._post(client, due)
        failures = due.subscription.attempts + 1
        again_in = pause_after(failures)
        async with self.store.write() as connection:
            if answer is Answer.TAKEN:
                await record_delivered(connection, due.subscription.subscription_id, due.sequence)
            elif answer is Answer.FAILED and again_in is not None:
                await record_failure(connection, due, again_in)
            elif await disable(connection, due):
                await put(connection, outbox, [self._disabled(due.subscription)])

    def _disabled(self, of: Subscription) -> Message:
        """A person must ask the coordinator; it is about no patient, so its key is the subscription."""
        now, program = self.evaluator.clock.now(), of.program(self.evaluator.offers)
        item = WorklistItem(item_id=str(uuid.uuid4()), code="webhook_disabled", opened_at=now, program=program)
        name, subject = "worklist.opened", f"worklist/{item.item_id}"
        publisher = self.evaluator.publisher
        return publisher.message(name, of.tenant, of.subscription_id, subject, 1, item, now, topic=TRIALS_OUTCOMES)

    async def _post(self, client: httpx2.AsyncClient, due: Due) -> Answer:
        """One try. What went wrong is logged without the URL, which may hold a secret."""
        try:
            async with asyncio.timeout(self._seconds):
                request = await self._request(client, due)
                answer = await client.send(request, stream=True)
                await answer.aclose()
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, TimeoutError, PlaceRefused) as error:
            why = error.why if isinstance(error, PlaceRefused) else type(error).__name__
            log.warning("webhook_failed", subscription=due.subscription.subscription_id, why=why)
            return Answer.FAILED
        if answer.is_success:
            return Answer.TAKEN
        log.warning("webhook_failed", subscription=due.subscription.subscription_id, status=answer.status_code)
        return Answer.GONE if answer.status_code == GONE else Answer.FAILED

    async def _request(self, client: httpx2.AsyncClient, due: Due) -> httpx2.Request:
        """To the address that was checked, under the name that was asked for."""
        of, secrets = due.subscription, due.subscription.secrets
        url = httpx2.URL(secrets.url or "")
        at = MatchReport.tolerant_json(due.body).at
        body = payload(due.name, at, of.subscription_id, due.sequence, due.report_id)
        address = await self._places.find(str(url))
        return client.build_request(
            "POST", url.copy_with(host=address), content=body, extensions={"sni_hostname": url.host},
            headers={"host": url.netloc.decode(), **headers(secrets.secret or "", due.report_id, due.at, body)},
        )  # fmt: skip
