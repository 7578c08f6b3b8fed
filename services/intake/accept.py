"""The one way in: whatever an adapter read becomes commands, and a batch of them is one transaction, all or nothing.

State, outbox rows and the answer to the request are written together, under the locks of the batch's patients. A feed
that posts one event at a time, and often, has several of them share a transaction.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.api_keys import Caller
from chassis.outbox import put
from chassis.together import Together
from services.intake.batch import Accepted, Posted, decide_batch
from services.intake.resources import Resources
from services.intake.store.batches import read_batch, write_batch
from services.intake.store.requests import Earlier, RequestKey, claim, record_answer
from services.intake.tables import outbox
from services.intake.wire import Sender, messages

MOST = 64
"""Of posts that share a transaction: they wait for each other, and hold their patients' locks as long."""

TRIES = 3
"""Two batches that take the same new subject id at once: the second finds the first one's row when it tries again."""


class KeyReused(Exception):  # noqa: N818  # an answer, not an error of the program
    """The ``Idempotency-Key`` came before, with another body."""


class Arrivals:
    """Where posts come in. A post of one event without an ``Idempotency-Key`` goes with others of the same caller.

    No two of one patient go together. What is refused, or fails, in company is tried alone: nobody answers for others.
    """

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._singles: dict[Caller, Together[Posted, Accepted]] = {}

    async def accept(self, caller: Caller, batch: Sequence[Posted], key: RequestKey | None) -> list[Accepted]:
        """Accept all of ``batch``, or raise ``BatchRefused`` or ``KeyReused``; a repeat gets its first answer."""
        if len(batch) != 1 or key is not None:
            return await _accept(self._resources, caller, batch, key)
        return [await self._of(caller).one(batch[0])]

    def _of(self, caller: Caller) -> Together[Posted, Accepted]:
        if caller not in self._singles:

            async def work(events: Sequence[Posted]) -> list[Accepted]:
                return await _accept(self._resources, caller, events)

            self._singles[caller] = Together(work, lambda event: event.command.patient_id, MOST)
        return self._singles[caller]

    async def close(self) -> None:
        """Stop what is under way."""
        await asyncio.gather(*(each.close() for each in self._singles.values()))


async def _accept(
    resources: Resources, caller: Caller, batch: Sequence[Posted], key: RequestKey | None = None
) -> list[Accepted]:
    for attempt in range(1, TRIES + 1):
        try:
            async with resources.store.write() as connection:
                answer = await _once(connection, resources, caller, batch, key)
            break
        except IntegrityError:
            if attempt == TRIES:
                raise
    resources.nudge()
    return answer


async def _once(
    connection: AsyncConnection, resources: Resources, caller: Caller, batch: Sequence[Posted], key: RequestKey | None
) -> list[Accepted]:
    context = resources.context(caller.scope)
    earlier = await claim(connection, key, context.now) if key else None
    if earlier is not None:
        return _as_before(earlier)
    tenant, rings = caller.scope.tenant, resources.rings
    stored = await read_batch(connection, tenant, batch, rings.master)
    decided = decide_batch(batch, stored.read, context)
    sender = Sender(tenant, resources.host, rings)
    records = messages(decided.changes, sender, caller.key_id, context.now)
    await write_batch(connection, tenant, caller.key_id, decided, stored, context.now)
    await put(connection, outbox, records)
    answer = list(decided.answers)
    if key:
        await record_answer(connection, key, [asdict(each) for each in answer])
    return answer


def _as_before(earlier: Earlier) -> list[Accepted]:
    if not earlier.same_body:
        raise KeyReused
    return [Accepted(**each) for each in earlier.answer]
