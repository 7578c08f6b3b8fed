"""One list of events out of what several sources told. The order of the sources makes no difference.

Two sources that tell of the same day tell of the same events, and an undated event is any that it doesn't contradict:
nothing is counted twice. What they disagree on is unknown.
"""

from collections.abc import Iterable, Sequence
from datetime import date

from services.trials.facts.values import Happening


def merged(lists: Iterable[Sequence[Happening]]) -> tuple[Happening, ...]:
    """By date, undated ones last."""
    found: list[Happening] = []
    for told in sorted((sorted(each, key=_order) for each in lists), key=lambda told: [_order(each) for each in told]):
        found = _joined(found, told)
    return tuple(sorted(found, key=_order))


def _joined(known: list[Happening], told: Iterable[Happening]) -> list[Happening]:
    """Each event of ``told`` meets at most one of ``known``; what meets none is new."""
    left, joined = list(known), []
    for each in told:
        same = min((one for one in left if _may_be_same(one, each)), key=lambda one: _unlike(one, each), default=None)
        if same is None:
            joined.append(each)
        else:
            left.remove(same)
            joined.append(_both(same, each))
    return joined + left


def _may_be_same(one: Happening, other: Happening) -> bool:
    if one.on is not None and other.on is not None:
        return one.on == other.on
    return not _contradictions(one, other)


def _unlike(one: Happening, other: Happening) -> tuple[bool, int, int]:
    """The less, the likelier it is the same event: dated alike, fewer contradictions, more in common."""
    common = sum(other.fields.get(name) == value for name, value in one.fields.items())
    return one.on != other.on, len(_contradictions(one, other)), -common


def _contradictions(one: Happening, other: Happening) -> set[str]:
    return {name for name in one.fields.keys() & other.fields.keys() if one.fields[name] != other.fields[name]}


def _both(one: Happening, other: Happening) -> Happening:
    disputed = _contradictions(one, other)
    fields = {name: value for name, value in {**one.fields, **other.fields}.items() if name not in disputed}
    return Happening(one.on or other.on, fields)


def _order(event: Happening) -> tuple[bool, date, list[tuple[str, str]]]:
    return event.on is None, event.on or date.min, sorted((name, repr(value)) for name, value in event.fields.items())
