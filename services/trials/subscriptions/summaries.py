"""What a changed trial moved, told as one report with counts once all patients have been compared with it."""

import uuid

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.sealing import Keyring
from chassis.store import Store
from schemas.trials import MatchReport
from services.trials.evaluating import Evaluator
from services.trials.store.reports import (
    PairKey,
    Revision,
    is_awaited,
    list_whole_revisions,
    load_revisions,
    record_revisions,
)
from services.trials.store.subscriptions import lock_subscription
from services.trials.subscription import Subscription
from services.trials.subscriptions.bell import Bell
from services.trials.subscriptions.telling import Entry, Teller
from services.trials.timers import Timer


class Summaries(Timer):
    """Ends the collecting of what nothing is on its way of any more."""

    name = "summaries"

    def __init__(self, store: Store, evaluator: Evaluator, master: Keyring, teller: Teller, bell: Bell) -> None:
        super().__init__(store, evaluator, master, bell.ring)
        self._teller = teller

    async def wave(self) -> int:
        async with self.store.read() as connection:
            waiting = await list_whole_revisions(connection)
        if not waiting or not await self.leads():
            return 0
        return sum([await self._one(key) for key in waiting])

    async def _one(self, key: PairKey) -> bool:
        """Whether it was told, in a transaction of its own."""
        async with self.store.write() as connection:
            await self.evaluator.catalogue.catch_up(connection)
            of = await lock_subscription(connection, key[0], self.master)
            revision = (await load_revisions(connection, [key[0]], [key[1]])).get(key)
            if of is None or revision is None or await is_awaited(connection, key, of.tenant, of.filter):
                return False
            await record_revisions(connection, {key: Revision(revision.criteria_version)})
            return await self._tell(connection, of, key[1], revision)

    async def _tell(self, connection: AsyncConnection, of: Subscription, trial_id: str, revision: Revision) -> bool:
        trial = self.evaluator.catalogue.get(of.tenant, trial_id)
        counts = {"found": revision.found, "changed": revision.changed, "withdrawn": revision.withdrawn}
        told = {name: count for name, count in counts.items() if count}
        if trial is None or not told:
            return False
        report = MatchReport(
            report_id=str(uuid.uuid4()), subscription_id=of.subscription_id, sequence=1,
            registry_id=trial.registry_id, criteria_version=revision.criteria_version, summary=told,
            at=self.evaluator.clock.now(),
        )  # fmt: skip
        await self._teller.tell(connection, [Entry(of, "report.summary", report)])
        return True
