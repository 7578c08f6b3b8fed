"""For each of many values, a set of slots. A value that few have costs no bitmap, so memory follows what is held."""

from collections.abc import Hashable, Iterable, Iterator
from typing import Generic, TypeVar

from services.trials.index.bits import bitmap_of, slots_of, without

V = TypeVar("V", bound=Hashable)
FEW = 64


class Holders(Generic[V]):
    """Slots by value; a value that nobody holds leaves nothing."""

    def __init__(self) -> None:
        self._few: dict[V, set[int]] = {}
        self._many: dict[V, int] = {}

    def __iter__(self) -> Iterator[V]:
        yield from self._few
        yield from self._many

    def of(self, value: V) -> int:
        """Who holds it, as a bitmap."""
        return self._many.get(value) or bitmap_of(self._few.get(value, ()))

    def of_any(self, values: Iterable[V]) -> int:
        """Who holds one of these."""
        found = 0
        for value in values:
            found |= self.of(value)
        return found

    def add(self, value: V, slots: Iterable[int]) -> None:
        """These hold it too."""
        if value in self._many:
            self._many[value] |= bitmap_of(slots)
            return
        held = self._few.setdefault(value, set())
        held.update(slots)
        if len(held) > FEW:
            self._many[value] = bitmap_of(self._few.pop(value))
        elif not held:
            del self._few[value]

    def forget(self, gone: int, values: Iterable[V] | None = None) -> None:
        """The slots of ``gone`` hold nothing any more; ``values``: what they held, where that is known."""
        slots = set(slots_of(gone))
        for value in list(self) if values is None else values:
            if value in self._few:
                self._few[value] -= slots
                if not self._few[value]:
                    del self._few[value]
            elif value in self._many:
                self._many[value] = without(self._many[value], gone)
                if not self._many[value]:
                    del self._many[value]
