"""What can never be true, or always is.

Said only when every way to answer the questions was tried, so there are no false alarms. Of one question all are found,
up to ``MAX_WORK``; of several, which may hang together in truth, some stay unseen.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product

from schemas.criteria import Criterion, Eligibility
from schemas.expressions import Atom, Expression, Op, atoms
from schemas.vocabulary import Vocabulary
from services.trials.criteria.explain import Tree, judged_in_worlds
from services.trials.criteria.lint_terms import term_of
from services.trials.criteria.places import Place, places
from services.trials.criteria.questions import NOTHING_SAID, Question, Range, answered, answers, grouped, question
from services.trials.criteria.structured import structured
from services.trials.criteria.truth import TRUE, Truth

MAX_WORK = 50_000
"""Atoms judged per part; what needs more stays untried."""

World = Mapping[int, Truth]


def dead_ends(expression: Expression, vocabulary: Vocabulary) -> Iterator[tuple[str, str]]:
    """The outermost parts that are never or always true, each with its place and what is wrong."""
    said: list[str] = []
    for place in places(expression):
        if any(place.field.startswith(f"{each}.") for each in said):
            continue
        if reason := _dead_end(place, vocabulary):
            said.append(place.field)
            yield place.field, reason


def never_together(
    eligibility: Eligibility, vocabulary: Vocabulary, broken: frozenset[str]
) -> Iterator[tuple[str, str]]:
    """Criteria about one and the same question, age and sex among them, which no answer meets together."""
    told: set[tuple[str, ...]] = set()
    for own in [each.criteria for each in eligibility.cohorts] or [()]:
        criteria = [*structured(eligibility), *eligibility.criteria, *own]
        for trees in about_one(each for each in criteria if each.id not in broken).values():
            names = tuple(each.criterion.id for each in trees)
            met = [all(truths) for truths in meetings(trees, vocabulary)]
            if len(names) > 1 and names not in told and met and not any(met):
                told.add(names)
                yield names[-1], f"can't be met together with {', '.join(names[:-1])}"


def about_one(criteria: Iterable[Criterion]) -> dict[Question, list[Tree]]:
    """The criteria that ask a single question, by that question."""
    found: dict[Question, list[Tree]] = {}
    for each in criteria:
        tree = Tree.of(each)
        if len(asked := {question(atom) for atom in tree.atoms}) == 1:
            found.setdefault(asked.pop(), []).append(tree)
    return found


def meetings(trees: Sequence[Tree], vocabulary: Vocabulary) -> Iterator[tuple[bool, ...]]:
    """For every answer, which of the criteria it meets; nothing where not every answer can be tried."""
    expressions = [tree.criterion.expression for tree in trees]
    asked = [place for each in expressions if each is not None for place in places(each)]
    for world in all_worlds([atom for tree in trees for atom in tree.atoms], asked, vocabulary) or ():
        yield tuple(tree.judge(world) is TRUE for tree in trees)


def all_worlds(asking: Sequence[Atom], asked: Iterable[Place], vocabulary: Vocabulary) -> Iterator[World] | None:
    """Every way to answer what is asked, or None where they are too many to try."""
    by_part = {id(place.part): place for place in asked}
    ranges = {question(each): _range(by_part[id(each)], vocabulary) for each in asking}
    groups = grouped(asking)
    values = [answers(each, group, ranges.get(each, NOTHING_SAID)) for each, group in groups.items()]
    if not all(each.all for each in values) or math.prod(len(each.values) for each in values) * len(asking) > MAX_WORK:
        return None
    return (
        {
            id(atom): answered(atom, value)
            for group, value in zip(groups.values(), chosen, strict=True)
            for atom in group
        }
        for chosen in product(*(each.values for each in values))
    )


def _dead_end(place: Place, vocabulary: Vocabulary) -> str | None:
    asking = list(atoms(place.part))
    worlds = all_worlds(asking, places(place.part, event=place.event), vocabulary)
    if worlds is None:
        return None
    judge = judged_in_worlds(place.part)
    truths = {judge(world) for world in worlds}
    if TRUE not in truths:
        return "can never be true"
    return "is always true" if truths == {TRUE} and not any(map(_asks_knowledge, asking)) else None


def _asks_knowledge(atom: Atom) -> bool:
    """What is known is never false, and yet not true of everybody."""
    return getattr(atom, "op", None) is Op.IS_KNOWN


def _range(place: Place, vocabulary: Vocabulary) -> Range:
    term = term_of(place, vocabulary)
    if term is None:
        return NOTHING_SAID
    return Range(
        codes=frozenset(term.values),
        minimum=-math.inf if term.minimum is None else term.minimum,
        maximum=math.inf if term.maximum is None else term.maximum,
        whole=term.type == "integer",
    )
