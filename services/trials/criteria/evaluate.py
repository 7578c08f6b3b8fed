"""What a criterion is for a patient on a day: true, false or unknown.

A tree is compiled to closures once, because the same criteria are asked of many patients.
"""

from collections.abc import Callable
from functools import lru_cache

from schemas.criteria import Criterion, Kind
from schemas.expressions import Atom, Count, DaysSince, Exists, Expression, Fact, Last, Op
from services.trials.criteria import events
from services.trials.criteria.compare import comparison
from services.trials.criteria.nodes import joined
from services.trials.criteria.truth import UNKNOWN, Truth, turned
from services.trials.facts.picture import Picture, Unknown

Judge = Callable[[Picture], Truth]


def evaluate(expression: Expression, picture: Picture) -> Truth:
    """The truth of one expression; to ask it of many patients, keep what ``compile_`` gives."""
    return compile_(expression)(picture)


def compile_(expression: Expression) -> Judge:
    """The expression as a function of a picture. It raises nothing: a value of a wrong type is unknown."""
    return joined(expression, judge_of)


def compile_criterion(criterion: Criterion) -> Judge:
    """True means that the criterion is met: an exclusion's expression is false. Without expression it is unknown."""
    if criterion.expression is None:
        return _nobody_knows
    judge = compile_(criterion.expression)
    return judge if criterion.kind is Kind.INCLUSION else lambda picture: turned(judge(picture))


def judge_of(atom: Atom) -> Judge:
    """The judge of one atom."""
    match atom:
        case Fact():
            return _fact(atom)
        case Exists(exists=selection):
            return events.exists(selection)
        case Count():
            return events.count(atom)
        case Last():
            return events.last(atom)
        case DaysSince():
            return events.days_since(atom)
    raise TypeError("a field is asked only inside 'where'")


def _fact(atom: Fact) -> Judge:
    first = atom.value[0] if isinstance(atom.value, tuple) else atom.value
    return _of_fact(atom.fact, atom.op, atom.value, isinstance(first, bool))


@lru_cache(maxsize=100_000)
def _of_fact(name: str, op: Op, operand: object, of_truth: bool) -> Judge:
    """One for all criteria that ask the same: less than half of the memory. ``of_truth`` parts true from 1."""
    test = comparison(op, operand)

    def judge(picture: Picture) -> Truth:
        value = picture.values.get(name)  # not picture.value(): this line takes most of the time of matching
        return UNKNOWN if value is None or type(value) is Unknown else test(value)

    return judge


def _nobody_knows(picture: Picture) -> Truth:
    return UNKNOWN
