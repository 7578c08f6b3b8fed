"""What criteria compare times with: what a patient's next moment depends on (``facts.moments``)."""

from collections.abc import Iterable, Iterator

from schemas.criteria import Eligibility
from schemas.expressions import Atom, DaysSince, Fact, Selection, atoms, selection
from services.trials.criteria.structured import structured
from services.trials.facts.moments import CutPoints, Windows
from services.trials.index.spans import cuts_of, number_spans


def cut_points(trials: Iterable[Eligibility]) -> CutPoints:
    """By name, every number that a criterion compares a fact, or the days since a date or an event, with."""
    found: dict[str, set[float]] = {}
    for atom in _atoms(trials):
        name = _measured(atom)
        if name is not None and isinstance(atom, Fact | DaysSince) and (cuts := cuts_of(number_spans(atom))):
            found.setdefault(name, set()).update(cut[0] for cut in cuts)
    return {name: sorted(numbers) for name, numbers in found.items()}


def windows(trials: Iterable[Eligibility]) -> Windows:
    """By kind of event, every span within which a criterion looks for one."""
    found: dict[str, set[str]] = {}
    for atom in _atoms(trials):
        if (events := selection(atom)) and events.within:
            found.setdefault(events.event, set()).add(events.within)
    return {name: sorted(spans) for name, spans in found.items()}


def _atoms(trials: Iterable[Eligibility]) -> Iterator[Atom]:
    for each in trials:
        for criterion in (*structured(each), *each.every()):
            if criterion.expression is not None:
                yield from atoms(criterion.expression)


def _measured(atom: Atom) -> str | None:
    if isinstance(atom, Fact):
        return atom.fact
    if isinstance(atom, DaysSince):
        return atom.days_since.event if isinstance(atom.days_since, Selection) else atom.days_since.fact
    return None
