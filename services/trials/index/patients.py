"""Trial → patients: who is eligible for a trial, and who possibly is, exactly, without asking each.

The tree is evaluated once, on bitmaps of all patients (``pairs.py``, ``columns.py``). Only what asks for some of the
events of a kind, or for the last of them, isn't kept in columns: it is first taken as unknown for those who had such
events, and then asked one by one of those whom nothing else rules out.
"""

from collections.abc import Hashable, Iterator, Mapping
from datetime import date
from typing import Generic, TypeVar

from schemas.criteria import Eligibility
from schemas.vocabulary import AGES, Derived
from services.trials.facts.picture import Picture
from services.trials.index.asking import Asking, Events
from services.trials.index.bits import bitmap_of, slots_of, without
from services.trials.index.columns import Columns
from services.trials.index.slots import Slots

K = TypeVar("K", bound=Hashable)


class PatientIndex(Generic[K]):
    """What is known of patients, by key; of those alone who may be matched at all. One owner changes it.

    ``derivations``: a vocabulary's. A picture may be older than the day for which trials are judged, as long as it is
    changed on the day on which a fact turns stale or something recorded comes (``facts.moments``).
    """

    def __init__(self, derivations: Mapping[str, Derived] = AGES) -> None:
        self._slots: Slots[K] = Slots()
        self._every = 0
        self._columns = Columns(derivations)
        self._events: dict[int, Events] = {}

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, key: K) -> bool:
        return key in self._slots

    def __iter__(self) -> Iterator[K]:
        return iter(self._slots)

    def change(self, pictures: Mapping[K, Picture | None]) -> None:
        """Adds, replaces, or with None removes patients. Many at once cost far less than one by one."""
        gone = bitmap_of(slot for key in pictures if (slot := self._slots.find(key)) is not None)
        for key, picture in pictures.items():
            if picture is None and key in self._slots:
                self._events.pop(self._slots.free(key), None)
        new = {self._slots.take(key): picture for key, picture in pictures.items() if picture is not None}
        self._columns.change(gone, {slot: picture.values for slot, picture in new.items()})
        self._every = without(self._every, gone) | bitmap_of(new)
        for slot, picture in new.items():
            self._remember(slot, {name: each for name, each in picture.values.items() if isinstance(each, tuple)})

    def _remember(self, slot: int, events: Events) -> None:
        self._events.pop(slot, None)
        if some := {name: each for name, each in events.items() if each}:
            self._events[slot] = some

    def candidates(self, eligibility: Eligibility, as_of: date) -> list[K]:
        """Everybody who could match, and some who don't, in no order."""
        return self._keys(self._asking(eligibility, as_of).answer()[1])

    def match(self, eligibility: Eligibility, as_of: date) -> tuple[list[K], list[K]]:
        """Who is eligible, and who possibly is; nobody else."""
        asking = self._asking(eligibility, as_of)
        asking.settle(asking.answer()[1])
        true, could = asking.answer()
        return self._keys(true), self._keys(without(could, true))

    def _asking(self, eligibility: Eligibility, as_of: date) -> Asking:
        return Asking(eligibility, as_of, self._columns, self._events, self._every)

    def _keys(self, patients: int) -> list[K]:
        return [self._slots.key(slot) for slot in slots_of(patients)]
