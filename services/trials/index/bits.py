"""Sets of slots as bitmaps: plain ``int``s, bit ``n`` for slot ``n``. Never negative: Python is slow on those."""

from collections.abc import Iterable

_WORD = 64


def bitmap_of(slots: Iterable[int]) -> int:
    """The bitmap of many slots at once; an ``int`` grown slot by slot would be copied each time."""
    found = list(slots)
    if len(found) < 2:
        return 1 << found[0] if found else 0
    octets = bytearray(max(found) // 8 + 1)
    for slot in found:
        octets[slot >> 3] |= 1 << (slot & 7)
    return int.from_bytes(octets, "little")


def slots_of(bitmap: int) -> list[int]:
    """The slots in a bitmap, ascending. Reads whole words: shifting the bitmap would copy it for each slot."""
    length = -(-bitmap.bit_length() // _WORD) * (_WORD // 8)
    slots: list[int] = []
    for place, word in enumerate(memoryview(bitmap.to_bytes(length, "little")).cast("Q").tolist()):
        rest = word
        while rest:
            lowest = rest & -rest
            slots.append(place * _WORD + lowest.bit_length() - 1)
            rest ^= lowest
    return slots


def without(bitmap: int, gone: int) -> int:
    """What is in ``bitmap`` and not in ``gone``."""
    return bitmap ^ (bitmap & gone)


def span(first: int, last: int) -> int:
    """The slots from ``first`` to ``last``, both included; none when ``last`` is lower."""
    return (1 << (last + 1)) - (1 << first) if last >= first else 0
