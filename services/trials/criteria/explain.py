"""Why a criterion is true, false or unknown, and what would decide it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import combinations, islice

from schemas.criteria import Criterion, Kind
from schemas.expressions import Atom, Expression, atoms
from services.trials.criteria.evaluate import Judge, compile_criterion, judge_of
from services.trials.criteria.nodes import joined
from services.trials.criteria.questions import question, worlds
from services.trials.criteria.truth import FALSE, TRUE, UNKNOWN, Truth, turned
from services.trials.facts.picture import Picture, RecordedFact, Unknown, Value

MAX_SETS = 2000
MAX_WORLDS = 4096

World = Mapping[int, Truth]
"""The truth of each atom, by its identity."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One fact that a criterion asks: what is known of it, and what that rests on (source, date)."""

    fact: str
    value: Value
    recorded: tuple[RecordedFact, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """``falsified_by``: of a false criterion, a smallest set of facts that makes it false whatever else is known.

    ``decided_by``: of an unknown one, the facts each of which alone could settle it; where none could, all that are
    unknown.
    """

    criterion_id: str
    truth: Truth
    readings: tuple[Reading, ...]
    falsified_by: tuple[str, ...] = ()
    decided_by: tuple[str, ...] = ()


def explain(criterion: Criterion, picture: Picture) -> Explanation:
    """One criterion; without an expression nothing is read and nothing would decide."""
    judge, asked = compile_criterion(criterion), facts_of(criterion)
    truth = judge(picture)
    return Explanation(
        criterion.id,
        truth,
        tuple(Reading(each, picture.value(each), picture.behind.get(each, ())) for each in asked),
        falsified_by=falsifying(judge, asked, picture) if truth is FALSE else (),
        decided_by=_deciding(Tree.of(criterion), picture) if truth is UNKNOWN else (),
    )


def facts_of(criterion: Criterion) -> tuple[str, ...]:
    """The facts and event lists that a criterion asks, in its order."""
    return tuple(dict.fromkeys(question(each).fact for each in _atoms(criterion)))


def falsifying(judge: Judge, asked: Iterable[str], picture: Picture) -> tuple[str, ...]:
    """A smallest set of facts that alone makes the judge say false; the first of several in the criterion's order.

    After ``MAX_SETS`` tries it is a set from which no fact can be spared, which may not be the smallest.
    """
    known = [each for each in asked if not isinstance(picture.value(each), Unknown)]
    sets = (each for size in range(len(known) + 1) for each in combinations(known, size))
    for tried in islice(sets, MAX_SETS):
        if judge(_only(tried, picture)) is FALSE:
            return tried
    needed = known
    for each in known:
        fewer = [other for other in needed if other != each]
        needed = fewer if judge(_only(fewer, picture)) is FALSE else needed
    return tuple(needed)


def turns_true_on(
    criterion: Criterion,
    at: Callable[[date], Picture],
    next_change: Callable[[date], date | None],
    after: date,
    until: date,
) -> date | None:
    """The first day after ``after``, up to ``until``, on which time alone makes the criterion true.

    ``at`` gives the picture of a day, ``next_change`` the next day on which time changes what the criterion asks.
    """
    judge, day = compile_criterion(criterion), next_change(after)
    while day is not None and day <= until:
        if judge(at(day)) is TRUE:
            return day
        day = next_change(day)
    return None


@dataclass(frozen=True, slots=True)
class Tree:
    """A criterion that can be judged in a world that isn't."""

    criterion: Criterion
    atoms: tuple[Atom, ...]
    judge: Callable[[World], Truth]

    @classmethod
    def of(cls, criterion: Criterion) -> "Tree":
        """A criterion without expression is unknown in every world."""
        return cls(criterion, tuple(_atoms(criterion)), _judge(criterion))


def truths_of(trees: Iterable[Tree], picture: Picture) -> dict[int, Truth]:
    """The world as it is known."""
    return {id(atom): judge_of(atom)(picture) for tree in trees for atom in tree.atoms}


def unknown_atoms(trees: Iterable[Tree], world: World) -> dict[str, list[Atom]]:
    """By the fact that would answer them."""
    found: dict[str, list[Atom]] = {}
    for tree in trees:
        for atom in tree.atoms:
            if world[id(atom)] is UNKNOWN:
                found.setdefault(question(atom).fact, []).append(atom)
    return found


def worlds_with(world: World, asking: Iterable[Atom]) -> Iterator[World]:
    """The world with every answer to what is asked; after ``MAX_WORLDS`` it stops, so something may be missed."""
    for each in islice(worlds(asking), MAX_WORLDS):
        yield {**world, **each}


def _deciding(tree: Tree, picture: Picture) -> tuple[str, ...]:
    world = truths_of([tree], picture)
    open_ = unknown_atoms([tree], world)
    alone = tuple(
        fact
        for fact, asking in open_.items()
        if any(tree.judge(each) is not UNKNOWN for each in worlds_with(world, asking))
    )
    return alone or tuple(open_)


def _atoms(criterion: Criterion) -> Iterable[Atom]:
    return atoms(criterion.expression) if criterion.expression is not None else ()


def _judge(criterion: Criterion) -> Callable[[World], Truth]:
    if criterion.expression is None:
        return lambda world: UNKNOWN
    judge = judged_in_worlds(criterion.expression)
    return judge if criterion.kind is Kind.INCLUSION else lambda world: turned(judge(world))


def judged_in_worlds(expression: Expression) -> Callable[[World], Truth]:
    """The tree over the truths of its atoms."""
    return joined(expression, _leaf)


def _leaf(atom: Atom) -> Callable[[World], Truth]:
    key = id(atom)
    return lambda world: world[key]


def _only(names: Iterable[str], picture: Picture) -> Picture:
    return Picture(picture.as_of, {each: picture.value(each) for each in names})
