"""Codes of many patients: for each code, who has it. A code that few have costs no bitmap."""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Generic, TypeVar

from services.trials.index.bits import bitmap_of, slots_of, without

V = TypeVar("V", bound=Hashable)
FEW = 64


class Members(Generic[V]):
    """Codes, truth values or sets of codes by slot."""

    def __init__(self) -> None:
        self.known = 0
        self.some = 0
        self._few: dict[V, set[int]] = {}
        self._many: dict[V, int] = {}

    def change(self, gone: int, values: Mapping[int, Iterable[V]]) -> None:
        """Forgets the slots of ``gone``, then writes others, which have no value yet. An empty one is known too."""
        if gone & self.known:
            self._forget(gone)
        found: dict[V, list[int]] = {}
        for slot, held in values.items():
            for value in held:
                found.setdefault(value, []).append(slot)
        self.known |= bitmap_of(values)
        for value, slots in found.items():
            self._add(value, slots)
            self.some |= bitmap_of(slots)

    def _forget(self, gone: int) -> None:
        self.known, self.some = without(self.known, gone), without(self.some, gone)
        slots = set(slots_of(gone))
        few = {value: held - slots if held & slots else held for value, held in self._few.items()}
        many = {value: without(held, gone) for value, held in self._many.items()}
        self._few = {value: held for value, held in few.items() if held}
        self._many = {value: held for value, held in many.items() if held}

    def _add(self, value: V, slots: list[int]) -> None:
        if value in self._many:
            self._many[value] |= bitmap_of(slots)
            return
        held = self._few.setdefault(value, set())
        held.update(slots)
        if len(held) > FEW:
            self._many[value] = bitmap_of(self._few.pop(value))

    def __iter__(self) -> Iterator[V]:
        yield from self._few
        yield from self._many

    def of_any(self, values: Iterable[V]) -> int:
        """Who has one of these values."""
        found = 0
        for value in values:
            found |= self.of(value)
        return found

    def of(self, value: V) -> int:
        """Who has this value."""
        return self._many.get(value) or bitmap_of(self._few.get(value, ()))
