"""A trial as its questions: each criterion with the inputs that its atoms ask."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from schemas.criteria import Criterion, Eligibility, Kind
from schemas.expressions import Atom, Expression, atoms
from services.trials.criteria.structured import structured
from services.trials.index.inputs import Input, inputs_of
from services.trials.index.pairs import Pair, joined


class Question(NamedTuple):
    """A criterion that has an expression. ``asks``: its atoms by input. ``group``: 0 when shared, else the cohort's."""

    tree: Expression
    excludes: bool
    asks: dict[Input, list[Atom]]
    group: int


class Questions:
    """All questions of one trial; ``inputs``: every input asked, with the atoms that ask it."""

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
            asks: dict[Input, list[Atom]] = {}
            for atom in atoms(each.expression):
                for asked in inputs_of(atom):
                    asks.setdefault(asked, []).append(atom)
            yield Question(each.expression, each.kind is Kind.EXCLUSION, asks, group)
