"""Numbers of many patients, one bitmap for each binary digit, so that all are compared at once.

A comparison costs one operation a digit, whatever the numbers are and whatever is asked: no cut needs to be known
before. Memory is one bit a patient and digit. Floats are kept as whole tenths, hundredths or thousandths; the few that
are none, and the huge, are kept one by one.
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import floor

from services.trials.index.bits import bitmap_of, slots_of, without
from services.trials.index.spans import AFTER, HIGHEST, INFINITY, LOWEST, Cut, Span

SCALES = (1, 10, 100, 1000)
HUGE = 1 << 40


class Slices:
    """Numbers by slot. ``zeros[n]``: whose digit ``n`` is 0, in two's complement. Infinity is kept in ``never``."""

    def __init__(self) -> None:
        self.finite = self.negative = self.never = 0
        self.zeros: list[int] = []
        self.scale = 1
        self.odd: dict[int, float] = {}

    @property
    def known(self) -> int:
        """Who has a number."""
        return self.finite | self.never | bitmap_of(self.odd)

    def change(self, gone: int, numbers: Mapping[int, float]) -> None:
        """Forgets the slots of ``gone``, then writes others, which have no number yet."""
        self.finite, self.negative, self.never = (without(x, gone) for x in (self.finite, self.negative, self.never))
        self.zeros = [without(each, gone) for each in self.zeros] if self.finite else []
        self.odd = {slot: number for slot, number in self.odd.items() if not gone >> slot & 1} if self.odd else {}
        self.never |= bitmap_of(slot for slot, number in numbers.items() if number == INFINITY)
        usual = {slot: number for slot, number in numbers.items() if number != INFINITY and _scale(number)}
        self.odd |= {slot: number for slot, number in numbers.items() if number != INFINITY and slot not in usual}
        self._refine(max((_scale(number) for number in usual.values()), default=1))
        self._write({slot: round(number * self.scale) for slot, number in usual.items()})

    def _refine(self, scale: int) -> None:
        if scale > self.scale:
            factor, self.scale = scale // self.scale, scale
            numbers = {slot: number * factor for slot, number in self._read().items()}
            self.finite = self.negative = 0
            self.zeros = []
            self._write(numbers)

    def _read(self) -> dict[int, int]:
        numbers = {slot: (1 << len(self.zeros)) - 1 for slot in slots_of(self.finite)}
        for digit, zeros in enumerate(self.zeros):
            for slot in slots_of(zeros):
                numbers[slot] ^= 1 << digit
        for slot in slots_of(self.negative):
            numbers[slot] -= 1 << len(self.zeros)
        return numbers

    def _write(self, numbers: Mapping[int, int]) -> None:
        digits = max((number.bit_length() for number in numbers.values()), default=0)
        while len(self.zeros) < digits:
            self.zeros.append(self.finite ^ self.negative)
        self.finite |= bitmap_of(numbers)
        self.negative |= bitmap_of(slot for slot, number in numbers.items() if number < 0)
        for digit in range(len(self.zeros)):
            self.zeros[digit] |= bitmap_of(slot for slot, number in numbers.items() if not number >> digit & 1)

    def within(self, spans: Iterable[Span]) -> int:
        """Whose number lies in one of the spans."""
        found = 0
        for low, high in spans:
            found |= without(self._before(high), self._before(low))
        return found

    def _before(self, cut: Cut) -> int:
        if cut == LOWEST:
            return 0
        odd = bitmap_of(slot for slot, number in self.odd.items() if (number, 0) < cut)
        return odd | (self.finite | self.never if cut == HIGHEST else self.below(self._whole(cut)))

    def _whole(self, cut: Cut) -> int:
        """The first whole number, in the scale, that isn't before the cut."""
        if abs(cut[0]) >= HUGE:
            return (HUGE if cut[0] > 0 else -HUGE) * self.scale
        whole = floor(Fraction(cut[0]) * self.scale) - 1
        while (whole / self.scale, 0) < cut:
            whole += 1
        return whole

    def below(self, whole: int) -> int:
        """Whose number is less, in the scale."""
        if whole >= 1 << len(self.zeros):
            return self.finite
        if whole <= -1 << len(self.zeros):
            return 0
        less = 0
        for digit, zeros in enumerate(self.zeros):
            less = less | zeros if whole >> digit & 1 else less & zeros
        return less | self.negative if whole >= 0 else less & self.negative


def _scale(number: float) -> int:
    """The coarsest scale in which the number is whole; 0 if there is none."""
    if not -HUGE < number < HUGE:
        return 0
    return next((scale for scale in SCALES if round(number * scale) / scale == number), 0)


def whole_from(cut: Cut) -> int:
    """The first whole number that isn't before the cut."""
    return floor(cut[0]) + 1 if cut[1] == AFTER else -floor(-cut[0])
