"""Looks into the notifier's ledger from outside, a few times a second, for the lives that wait for something in it."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from chassis.store import Store, is_outage
from schemas.outcomes import DeliveryState, Kind
from services.notifier.domain import OPEN_STATES, SAFETY, Reason
from services.notifier.tables import deliveries, mails, subjects

LOOK_SECONDS = 0.25
LATER = timedelta(minutes=30)
"""What falls due later than this is nobody's business here."""
ENDED = frozenset({DeliveryState.SENT, DeliveryState.UNCERTAIN, DeliveryState.MISSED})
TOLD = frozenset({DeliveryState.SENT, DeliveryState.UNCERTAIN})
_DELIVERIES = select(deliveries, mails.c.resends).outerjoin(mails, mails.c.mail_id == deliveries.c.mail_id)


class Watch:
    """The deliveries of those who are followed, as last seen; while the store is away, as seen before.

    ``ahead`` is how much the notifier's clock is, by a fault.
    """

    def __init__(self, store: Store) -> None:
        self.ahead = timedelta()
        self._store = store
        self._ids: Sequence[str] = ()
        self._rows: dict[str, list[Any]] = {}
        self._heard: dict[str, datetime] = {}

    def follow(self, ids: Iterable[str]) -> None:
        """These from now on, and nobody else."""
        self._ids = list(ids)

    def heard_of(self, patient_id: str) -> datetime | None:
        """When the notifier was first seen to know their visit, by its clock: at most a moment after it heard of it."""
        return self._heard.get(patient_id)

    def of(self, patient_id: str) -> list[Any]:
        return self._rows.get(patient_id, [])

    def at_rest(self, owed: Mapping[str, Mapping[Kind, int]], *, repeated: bool) -> bool:
        """Whether each of these has come to the end of each kind, and nothing is in hand or due.

        A notice that is uncertain may be repeated once its lease is over, within two minutes: ``repeated`` waits for
        that, too.
        """
        soon = datetime.now(UTC) + LATER
        for patient_id, kinds in owed.items():
            rows = [each for each in self.of(patient_id) if each.due_at < soon]
            ended = Counter(each.kind for each in rows if each.state in ENDED or collapsed(each))
            if any(ended[kind] < number for kind, number in kinds.items()) or any(
                _goes_on(each, repeated) for each in rows
            ):
                return False
        return True

    def told(self, patient_id: str, kind: Kind | None = None) -> bool:
        """Whether a mail (of that kind) is out, or nobody knows whether it is."""
        return any(each.state in TOLD and kind in (None, each.kind) for each in self.of(patient_id))

    async def look(self) -> None:
        """Read them now."""
        found: defaultdict[str, list[Any]] = defaultdict(list)
        mine = deliveries.c.patient_id.in_(self._ids)
        async with self._store.read() as connection:
            for row in await connection.execute(_DELIVERIES.where(mine)):
                found[row.patient_id].append(row)
            visits = subjects.c.patient_id.in_(self._ids) & subjects.c.subject.startswith("appointment/")
            for patient_id in (await connection.execute(select(subjects.c.patient_id).where(visits))).scalars():
                self._heard.setdefault(patient_id, datetime.now(UTC) + self.ahead)
        self._rows = dict(found)

    async def run(self) -> None:
        """Again and again, for ever."""
        while True:
            try:
                await self.look()
            except Exception as error:
                if not is_outage(error):
                    raise
            await asyncio.sleep(LOOK_SECONDS)


def collapsed(row: Any) -> bool:
    """A reminder whose visit was heard of so late that its booking's mail takes its place."""
    return bool(row.state == DeliveryState.SKIPPED and row.reason == Reason.COLLAPSED)


def _goes_on(row: Any, repeated: bool) -> bool:
    """In hand or due, or a notice whose one repeat may begin."""
    if row.state == DeliveryState.UNCERTAIN and row.kind in SAFETY:
        return bool(row.resends == 0 and (repeated or row.lease_until < datetime.now(UTC)))
    return row.state in OPEN_STATES


@asynccontextmanager
async def watching(store: Store) -> AsyncIterator[Watch]:
    """A watch at work until the block ends; its own failure is raised then."""
    watch = Watch(store)
    task = asyncio.create_task(watch.run())
    try:
        yield watch
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
