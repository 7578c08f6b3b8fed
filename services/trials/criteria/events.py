"""Atoms over dated events. Where a date or a field is unknown, all events that could be meant must give one answer."""

from collections.abc import Callable, Iterable
from datetime import date
from typing import NamedTuple

from schemas.expressions import Atom, Count, DaysSince, EventField, Last, Op, Selection
from services.trials.criteria.compare import Test, comparison
from services.trials.criteria.nodes import joined
from services.trials.criteria.truth import FALSE, TRUE, UNKNOWN, Truth, agreed, truth_of
from services.trials.facts.dates import days_since as days_between
from services.trials.facts.dates import is_within
from services.trials.facts.picture import NEVER, Happening, Picture

_DAYS = {"D": 1, "W": 7}


class Found(NamedTuple):
    """An event that is, or with more knowledge could be, among those selected."""

    truth: Truth
    event: Happening


def finder(selection: Selection) -> Callable[[Picture], list[Found] | None]:
    """What finds a patient's selected events; None where nobody knows whether there were any."""
    name, where, recent = selection.event, _where(selection), _recent(selection)

    def find(picture: Picture) -> list[Found] | None:
        events = picture.value(name)
        if not isinstance(events, tuple):
            return None
        found = []
        for each in events:
            truth = recent(each, picture.as_of)
            if truth is not FALSE and (truth := min(truth, where(each))) is not FALSE:
                found.append(Found(truth, each))
        return found

    return find


def _where(selection: Selection) -> Callable[[Happening], Truth]:
    if selection.where is None:
        return lambda event: TRUE
    return joined(selection.where, _field)


def _recent(selection: Selection) -> Callable[[Happening, date], Truth]:
    span = selection.within
    if span is None:
        return lambda event, as_of: TRUE
    if span[-1] in _DAYS:
        return _recent_days(int(span[1:-1]) * _DAYS[span[-1]])
    return lambda event, as_of: UNKNOWN if event.on is None else truth_of(is_within(event.on, span, as_of))


def _recent_days(days: int) -> Callable[[Happening, date], Truth]:
    """As ``is_within`` has it, which would read the span again for every event."""

    def recent(event: Happening, as_of: date) -> Truth:
        return UNKNOWN if event.on is None else truth_of(0 <= days_between(event.on, as_of) <= days)

    return recent


def _field(atom: Atom) -> Callable[[Happening], Truth]:
    if not isinstance(atom, EventField):
        raise TypeError("'where' asks fields of the event only")
    name, test = atom.field, comparison(atom.op, atom.value)

    def judge(event: Happening) -> Truth:
        value = event.fields.get(name)
        return UNKNOWN if value is None else test(value)

    return judge


def exists(selection: Selection) -> Callable[[Picture], Truth]:
    """Whether there is at least one such event."""
    find = finder(selection)

    def judge(picture: Picture) -> Truth:
        found = find(picture)
        return UNKNOWN if found is None else max((each.truth for each in found), default=FALSE)

    return judge


def count(atom: Count) -> Callable[[Picture], Truth]:
    """Compares how many there are, between those that are selected for certain and those that could be."""
    find, test, asks_knowledge = finder(atom.count), comparison(atom.op, atom.value), atom.op is Op.IS_KNOWN

    def judge(picture: Picture) -> Truth:
        found = find(picture)
        if found is None:
            return UNKNOWN
        certain = sum(each.truth is TRUE for each in found)
        if asks_knowledge and certain < len(found):
            return UNKNOWN
        return agreed({test(number) for number in range(certain, len(found) + 1)})

    return judge


def last(atom: Last) -> Callable[[Picture], Truth]:
    """Compares a field of the latest event. Where there is no such event only ``not_in`` is true."""
    find, name, test = finder(atom.last), atom.field, comparison(atom.op, atom.value)
    if_none = truth_of(atom.op is Op.NOT_IN)

    def judge(picture: Picture) -> Truth:
        found = find(picture)
        if found is None:
            return UNKNOWN
        values = {each.fields.get(name) for each in _latest(found)}
        if atom.op is Op.IS_KNOWN and len(values) > 1:
            return UNKNOWN
        answers = {UNKNOWN if value is None else test(value) for value in values}
        return agreed(answers if _certain(found) else {*answers, if_none})

    return judge


def days_since(atom: DaysSince) -> Callable[[Picture], Truth]:
    """Compares whole days up to the day of judgement. Where there is no such event it is for ever ago."""
    test = comparison(atom.op, atom.value)
    if not isinstance(atom.days_since, Selection):
        return _since_fact(atom.days_since.fact, test)
    find = finder(atom.days_since)

    def judge(picture: Picture) -> Truth:
        found = find(picture)
        if found is None:
            return UNKNOWN
        days = {None if each.on is None else days_between(each.on, picture.as_of) for each in _latest(found)}
        possible = days if _certain(found) else {*days, NEVER}
        if atom.op is Op.IS_KNOWN and len(possible) > 1:
            return UNKNOWN
        return agreed({UNKNOWN if each is None else test(each) for each in possible})

    return judge


def _since_fact(name: str, test: Test) -> Callable[[Picture], Truth]:
    def judge(picture: Picture) -> Truth:
        value = picture.value(name)
        return test(days_between(value, picture.as_of)) if isinstance(value, date) else UNKNOWN

    return judge


def _certain(found: Iterable[Found]) -> bool:
    return any(each.truth is TRUE for each in found)


def _latest(found: list[Found]) -> list[Happening]:
    """Those that could be the latest: not those before one that is certain and dated."""
    dated = [each.event.on for each in found if each.truth is TRUE and each.event.on is not None]
    since = max(dated, default=None)
    return [each.event for each in found if since is None or each.event.on is None or each.event.on >= since]
