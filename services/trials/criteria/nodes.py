"""The nodes of a tree as closures over any kind of leaf: the only place that knows how truths are joined.

Every node is monotone: knowing more can settle what was unknown, and never turns true to false or false to true.
"""

from collections.abc import Callable
from typing import TypeVar

from schemas.expressions import AllOf, AnyOf, AtLeast, AtMost, Atom, Expression, Not
from services.trials.criteria.truth import FALSE, TRUE, UNKNOWN, Truth, turned

S = TypeVar("S")
Judge = Callable[[S], Truth]


def joined(expression: Expression, leaf: Callable[[Atom], Judge[S]]) -> Judge[S]:
    """What judges a subject by the whole tree, where ``leaf`` gives what judges it by one atom."""
    match expression:
        case AllOf(all_of=parts):
            return _until([joined(each, leaf) for each in parts], FALSE, TRUE)
        case AnyOf(any_of=parts):
            return _until([joined(each, leaf) for each in parts], TRUE, FALSE)
        case Not(part=part):
            return _not(joined(part, leaf))
        case AtLeast(at_least=least, of=parts):
            return _counted([joined(each, leaf) for each in parts], least)
        case AtMost(at_most=most, of=parts):
            return _not(_counted([joined(each, leaf) for each in parts], most + 1))
        case _:
            return leaf(expression)


def _until(parts: list[Judge[S]], decisive: Truth, otherwise: Truth) -> Judge[S]:
    if len(parts) == 1:
        return parts[0]

    def judge(subject: S) -> Truth:
        answer = otherwise
        for part in parts:
            truth = part(subject)
            if truth is decisive:
                return decisive
            if truth is UNKNOWN:
                answer = UNKNOWN
        return answer

    return judge


def _not(part: Judge[S]) -> Judge[S]:
    return lambda subject: turned(part(subject))


def _counted(parts: list[Judge[S]], least: int) -> Judge[S]:
    """True when ``least`` are true, false when fewer than that could be."""

    def judge(subject: S) -> Truth:
        true, could = 0, 0
        for part in parts:
            truth = part(subject)
            true += truth is TRUE
            could += truth is not FALSE
        if true >= least:
            return TRUE
        return UNKNOWN if could >= least else FALSE

    return judge
