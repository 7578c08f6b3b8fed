"""Which missing facts are worth asking a patient about: those that would settle most trials."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.trials.criteria.explain import Tree, World, truths_of, unknown_atoms, worlds_with
from services.trials.facts.picture import Picture
from services.trials.matching.verdict import Matcher, Verdict, of_truths

_ORDER = (Verdict.INELIGIBLE, Verdict.POSSIBLE, Verdict.ELIGIBLE)


@dataclass(frozen=True, slots=True)
class Deciding:
    """A fact and the trials that it settles.

    A fact settles a trial whose verdict is possible when some value of it, with all else as it is now, makes the
    verdict eligible or ineligible. ``to_eligible``: those of them which it could make eligible.
    """

    fact: str
    settles: tuple[str, ...]
    to_eligible: tuple[str, ...]


def deciding(trials: Mapping[str, Matcher], picture: Picture) -> tuple[Deciding, ...]:
    """Facts of one patient by the number of trials they settle, then could make eligible, then by name.

    A fact that can't settle any alone is left out. Values are tried on both sides of each cut point; what is asked of
    events is taken as independent, so a fact may be said to settle a trial that it can't, never the other way round.
    """
    settles: dict[str, dict[str, set[Verdict]]] = {}
    for trial_id, matcher in trials.items():
        for fact, verdicts in settled(matcher, picture).items():
            settles.setdefault(fact, {})[trial_id] = verdicts
    found = [
        Deciding(fact, tuple(by), tuple(each for each, verdicts in by.items() if Verdict.ELIGIBLE in verdicts))
        for fact, by in settles.items()
    ]
    return tuple(sorted(found, key=lambda each: (-len(each.settles), -len(each.to_eligible), each.fact)))


def settled(matcher: Matcher, picture: Picture) -> dict[str, set[Verdict]]:
    """The facts that would settle one trial, with the verdicts they could bring; none where it isn't possible now."""
    if matcher.verdict(picture).verdict is not Verdict.POSSIBLE:
        return {}
    cohorts = matcher.trees
    trees = list({id(each): each for cohort in cohorts for each in cohort}.values())
    world = truths_of(trees, picture)
    found: dict[str, set[Verdict]] = {}
    for fact, asking in unknown_atoms(trees, world).items():
        verdicts = {_verdict(cohorts, each) for each in worlds_with(world, asking)} - {Verdict.POSSIBLE}
        if verdicts:
            found[fact] = verdicts
    return found


def _verdict(cohorts: Iterable[Iterable[Tree]], world: World) -> Verdict:
    """Of the best cohort."""
    verdicts = [of_truths({each.criterion.id: each.judge(world) for each in trees}).verdict for trees in cohorts]
    return max(verdicts, key=_ORDER.index)
