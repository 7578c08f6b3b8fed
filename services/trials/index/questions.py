"""A trial as its questions: each criterion with the inputs by which, alone, it could fail."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from schemas.criteria import Criterion, Eligibility, Kind
from schemas.expressions import AllOf, AnyOf, AtLeast, AtMost, Atom, Expression, Not, atoms
from services.trials.criteria.structured import structured
from services.trials.index.inputs import Input, inputs_of
from services.trials.index.pairs import Pair, joined


class Question(NamedTuple):
    """A criterion that has an expression. ``asks``: its atoms by each input that alone could make it fail.

    ``group``: 0 of a shared criterion, else the cohort's number.
    """

    tree: Expression
    excludes: bool
    asks: dict[Input, list[Atom]]
    group: int


class Questions:
    """All questions of one trial; ``inputs``: every input that alone could rule it out, with the atoms that ask it."""

    def __init__(self, eligibility: Eligibility) -> None:
        self.inputs: dict[Input, list[Atom]] = {}
        self._groups = len(eligibility.cohorts)
        self._each = [*_questions((*structured(eligibility), *eligibility.criteria), 0)]
        for number, cohort in enumerate(eligibility.cohorts, 1):
            self._each += _questions(cohort.criteria, number)
        for question in self._each:
            for asked, by in question.asks.items():
                self.inputs.setdefault(asked, []).extend(by)

    def ruled_out(self, asked: Input, pair: Callable[[Atom], Pair], every: int) -> int:
        """In which of ``every`` bucket the trial is false, with this input known and nothing else.

        ``pair`` says in which an atom that asks the input is true, and in which it isn't false.
        """
        groups = [0] * (self._groups + 1)
        for each in self._each:
            if asked in each.asks:
                groups[each.group] |= _false(each, asked, pair, every)
        shared, *cohorts = groups
        everywhere = every if cohorts else 0
        for own in cohorts:
            everywhere &= own
        return shared | everywhere


def _false(question: Question, asked: Input, pair: Callable[[Atom], Pair], every: int) -> int:
    known = {id(atom): pair(atom) for atom in question.asks[asked]}
    true, could = joined(question.tree, lambda atom: known.get(id(atom), (0, every)), every)
    return true if question.excludes else every ^ could


def _questions(criteria: Iterable[Criterion], group: int) -> Iterator[Question]:
    for each in criteria:
        if each.expression is not None:
            excludes = each.kind is Kind.EXCLUSION
            decides = decided(each.expression)[excludes]
            asks: dict[Input, list[Atom]] = {}
            for atom in atoms(each.expression) if decides else ():
                for asked in inputs_of(atom):
                    if asked in decides:
                        asks.setdefault(asked, []).append(atom)
            yield Question(each.expression, excludes, asks, group)


Inputs = frozenset[Input]
NO_INPUTS: Inputs = frozenset()


def decided(tree: Expression) -> tuple[Inputs, Inputs]:
    """The inputs each of which alone could make a tree false, and true; of most nested trees there are few."""
    match tree:
        case AllOf(all_of=parts):
            found = [decided(each) for each in parts]
            return _united(each[0] for each in found), _common([each[1] for each in found], len(found))
        case AnyOf(any_of=parts):
            found = [decided(each) for each in parts]
            return _common([each[0] for each in found], len(found)), _united(each[1] for each in found)
        case Not(part=part):
            return decided(part)[::-1]
        case AtLeast(at_least=least, of=parts):
            found = [decided(each) for each in parts]
            false = _common([each[0] for each in found], len(found) - least + 1)
            return false, _common([each[1] for each in found], least)
        case AtMost(at_most=most, of=parts):
            return decided(AtLeast.model_construct(at_least=most + 1, of=parts))[::-1]
    alone = frozenset(inputs_of(tree))
    return alone, alone


def _united(found: Iterable[Inputs]) -> Inputs:
    return NO_INPUTS.union(*found)


def _common(found: Sequence[Inputs], least: int) -> Inputs:
    """Those in at least so many."""
    if least >= len(found) > 0:
        return frozenset.intersection(*found) if least == len(found) else NO_INPUTS
    times = Counter(asked for each in found for asked in each)
    return frozenset(asked for asked, number in times.items() if number >= least)
