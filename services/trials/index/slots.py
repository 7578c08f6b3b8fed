"""Numbers for trials and patients: small, so that bitmaps stay short, and given again once they are free."""

import heapq
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Slots(Generic[K]):
    """Which slot whose is. The lowest free one is given first; trailing free slots are forgotten."""

    def __init__(self) -> None:
        self._of: dict[K, int] = {}
        self._keys: list[K | None] = []
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self._of)

    def __contains__(self, key: K) -> bool:
        return key in self._of

    def __iter__(self) -> Iterator[K]:
        return iter(self._of)

    def find(self, key: K) -> int | None:
        """The slot of ``key``, if it has one."""
        return self._of.get(key)

    def take(self, key: K) -> int:
        """The slot of ``key``; a free one, or a new one, if it has none."""
        if (slot := self._of.get(key)) is not None:
            return slot
        if self._free:
            slot = heapq.heappop(self._free)
            self._keys[slot] = key
        else:
            slot = len(self._keys)
            self._keys.append(key)
        self._of[key] = slot
        return slot

    def free(self, key: K) -> int:
        """Gives the slot of ``key`` back and says which it was; ``KeyError`` if it has none."""
        slot = self._of.pop(key)
        self._keys[slot] = None
        heapq.heappush(self._free, slot)
        if slot == len(self._keys) - 1:
            self._shrink()
        return slot

    def _shrink(self) -> None:
        while self._keys and self._keys[-1] is None:
            self._keys.pop()
        self._free = [slot for slot in self._free if slot < len(self._keys)]
        heapq.heapify(self._free)

    def key(self, slot: int) -> K:
        """Whose slot it is; ``KeyError`` of a free one."""
        key = self._keys[slot]
        if key is None:
            raise KeyError(slot)
        return key
