"""The published trials in memory, ready to be asked: built from the store, and caught up with it before each use.

The store is the source and not ``trials.catalog.v1``, which is for others: whoever judges shares the catalogue's lock,
so what stands here is what counts until that transaction ends (``store.catalogue``).
"""

import asyncio
import gc
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext

from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.criteria import Eligibility
from schemas.trials import TrialState
from services.trials.domain import Offers
from services.trials.index import TrialIndex, cut_points, windows
from services.trials.judging import Shelf
from services.trials.matching.gates import Person, blocking, gates
from services.trials.store.catalogue import list_published, share

PAGE = 2000
"""Trials read and taken in together: some seconds of work, while the transaction must not stand idle for a minute."""

_ANYBODY = Person(trial_contact=True, age=100, program_offers_trials=True)


def is_open(state: TrialState) -> bool:
    """Whether study and a site recruit: nobody is matched to any other."""
    return not blocking(gates(_ANYBODY, state.status, state.sites))


class Catalogue:
    """Trials by tenant and id, and a shelf for each program that offers trials."""

    def __init__(self, offers: Offers) -> None:
        self._offers = offers
        self._change = -1
        self._turn = asyncio.Lock()
        self._trials: dict[tuple[str, str], TrialState] = {}
        self._shelves = {code: _Shelf() for code, offer in offers.items() if offer.program.offers_trials}

    def __len__(self) -> int:
        return len(self._trials)

    @property
    def change(self) -> int:
        """The number of the newest change that is in here; -1 before the first."""
        return self._change

    def get(self, tenant: str, trial_id: str) -> TrialState | None:
        return self._trials.get((tenant, trial_id))

    def shelves(self, tenant: str) -> Mapping[str, Shelf]:
        """By public code, the open trials of a tenant's programs."""
        return {
            code: shelf.shelf for code, shelf in self._shelves.items() if self._offers[code].program.tenant == tenant
        }

    async def catch_up(self, connection: AsyncConnection) -> None:
        """Bring it up to this transaction, and keep it so: nobody publishes before the transaction ends."""
        number = await share(connection)
        async with self._turn:
            while self._change < number:
                page = await list_published(connection, self._change, PAGE)
                with _no_garbage() if len(page) == PAGE else nullcontext():
                    await _to_its_end(lambda: self._take(page))  # noqa: B023 - over before the next page
                self._change = page[-1][0] if len(page) == PAGE else number

    def _take(self, page: Sequence[tuple[int, str, str]]) -> None:
        states = [(tenant, TrialState.tolerant_json(text)) for _, tenant, text in page]
        changed = {(tenant, state.trial_id): state for tenant, state in states}
        self._trials |= changed
        for code, shelf in self._shelves.items():
            tenant = self._offers[code].program.tenant
            shelf.take({
                trial_id: state if is_open(state) and code in (state.programs or [code]) else None
                for (of, trial_id), state in changed.items() if of == tenant
            })  # fmt: skip


@contextmanager
def _no_garbage() -> Iterator[None]:
    """What comes to stay isn't looked through for garbage, now or ever: that was half of the time of a start."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


async def _to_its_end(act: Callable[[], None]) -> None:
    """In a thread, so that heartbeats go on. Who is cancelled meanwhile waits: two must not change the same index."""
    work = asyncio.ensure_future(asyncio.to_thread(act))
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        await work
        raise


class _Shelf:
    """A shelf that changes. How often each number and span is asked for is counted, so that it can go again."""

    def __init__(self) -> None:
        self._trials: dict[str, TrialState] = {}
        self._index: TrialIndex[str] = TrialIndex()
        self._cuts: defaultdict[str, Counter[float]] = defaultdict(Counter)
        self._windows: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.shelf = Shelf(self._index, self._trials, {}, {})

    def take(self, changed: Mapping[str, TrialState | None]) -> None:
        """Put trials on the shelf, or with None take them off it."""
        for trial_id, state in changed.items():
            if (old := self._trials.pop(trial_id, None)) is not None:
                self._count(old.eligibility, -1)
            if state is not None:
                self._trials[trial_id] = state
                self._count(state.eligibility, +1)
        self._index.change({trial_id: state.eligibility if state else None for trial_id, state in changed.items()})
        cuts = {name: sorted(+numbers) for name, numbers in self._cuts.items()}
        self.shelf = Shelf(self._index, self._trials, cuts, {name: sorted(+its) for name, its in self._windows.items()})

    def _count(self, eligibility: Eligibility, by: int) -> None:
        for name, numbers in cut_points([eligibility]).items():
            for number in numbers:
                self._cuts[name][number] += by
        for name, spans in windows([eligibility]).items():
            for span in spans:
                self._windows[name][span] += by
