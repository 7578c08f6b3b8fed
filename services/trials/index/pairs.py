"""Kleene's logic over many subjects at once. A pair holds who is true and who is not false: the rest is false.

What is a bit is the caller's: a patient, or a bucket of a fact's values. Where an atom can't be told exactly, a pair
with fewer true and more not false makes a result with no fewer false than is certain, because every node is monotone.
"""

from collections.abc import Callable, Sequence

from schemas.expressions import AllOf, AnyOf, AtLeast, AtMost, Atom, Expression, Not

Pair = tuple[int, int]


def joined(expression: Expression, ask: Callable[[Atom], Pair], every: int) -> Pair:
    """The pair of a whole tree, where ``ask`` gives that of an atom and ``every`` has a bit for each subject."""
    match expression:
        case AllOf(all_of=parts):
            return _all([joined(each, ask, every) for each in parts], every)
        case AnyOf(any_of=parts):
            return _any([joined(each, ask, every) for each in parts])
        case Not(part=part):
            return turned(joined(part, ask, every), every)
        case AtLeast(at_least=least, of=parts):
            return _at_least(least, [joined(each, ask, every) for each in parts], every)
        case AtMost(at_most=most, of=parts):
            return turned(_at_least(most + 1, [joined(each, ask, every) for each in parts], every), every)
    return ask(expression)


def turned(pair: Pair, every: int) -> Pair:
    """Kleene's not."""
    return every ^ pair[1], every ^ pair[0]


def _all(pairs: list[Pair], every: int) -> Pair:
    true = could = every
    for pair in pairs:
        true &= pair[0]
        could &= pair[1]
    return true, could


def _any(pairs: list[Pair]) -> Pair:
    true = could = 0
    for pair in pairs:
        true |= pair[0]
        could |= pair[1]
    return true, could


def _at_least(least: int, pairs: list[Pair], every: int) -> Pair:
    return _counted(least, [pair[0] for pair in pairs], every), _counted(least, [pair[1] for pair in pairs], every)


def _counted(least: int, bitmaps: Sequence[int], every: int) -> int:
    """Who is in at least so many bitmaps: ``reached[k]`` has those in ``k + 1`` of the ones seen so far."""
    if least == 0:
        return every
    if least > len(bitmaps):
        return 0
    reached = [0] * least
    for bitmap in bitmaps:
        for k in range(least - 1, 0, -1):
            reached[k] |= reached[k - 1] & bitmap
        reached[0] |= bitmap
    return reached[-1]
