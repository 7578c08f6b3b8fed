"""Codes of many patients: who has a value at all, and who has which."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Generic, TypeVar

from services.trials.index.bits import bitmap_of, without
from services.trials.index.holders import Holders

V = TypeVar("V", bound=Hashable)


class Members(Generic[V]):
    """Codes, truth values or sets of codes by slot. ``some``: whose set isn't empty."""

    def __init__(self) -> None:
        self.known = self.some = 0
        self.holders: Holders[V] = Holders()

    def change(self, gone: int, values: Mapping[int, Iterable[V]]) -> None:
        """Forgets the slots of ``gone``, then writes others, which have no value yet. An empty one is known too."""
        if gone & self.known:
            self.known, self.some = without(self.known, gone), without(self.some, gone)
            self.holders.forget(gone)
        found: dict[V, list[int]] = {}
        for slot, held in values.items():
            for value in held:
                found.setdefault(value, []).append(slot)
        for value, slots in found.items():
            self.holders.add(value, slots)
        self.known |= bitmap_of(values)
        self.some |= bitmap_of({slot for slots in found.values() for slot in slots})
