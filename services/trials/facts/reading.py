"""Facts as they come in events → recorded facts, or the reasons why not. Instants become days in the program's zone."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from schemas.patient import Fact
from schemas.vocabulary import OF_EVENT, Vocabulary
from services.trials.facts.checks import WRITTEN, FactProblem, check_fact, not_recordable
from services.trials.facts.values import Happening, Known, RecordedFact

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def read_facts(
    facts: Iterable[Fact], vocabulary: Vocabulary, zone: str, today: date
) -> tuple[tuple[RecordedFact, ...], tuple[FactProblem, ...]]:
    """The facts that can be taken, and every problem of the others. ``today`` in the program's zone."""
    taken: list[RecordedFact] = []
    problems: list[FactProblem] = []
    for fact in facts:
        read = read_fact(fact, vocabulary, zone)
        found = (read,) if isinstance(read, FactProblem) else check_fact(read, vocabulary, today)
        problems += found
        if isinstance(read, RecordedFact) and not found:
            taken.append(read)
    return tuple(taken), tuple(problems)


def read_fact(fact: Fact, vocabulary: Vocabulary, zone: str) -> RecordedFact | FactProblem:
    """The value as the vocabulary's type has it, otherwise unchecked."""
    term = vocabulary.facts.get(fact.name)
    if term is None:
        return FactProblem(fact.name, not_recordable(fact.name, vocabulary))
    try:
        value = _READ[term.type](fact.value)
    except (ValueError, TypeError):
        return FactProblem(fact.name, WRITTEN[term.type])
    return RecordedFact(
        fact.name, value, fact.source, _day_of(fact.observed_at, zone),
        _day_of(fact.valid_until, zone) if fact.valid_until else None, fact.unit, fact.observed_at,
    )  # fmt: skip


def _day_of(instant: datetime, zone: str) -> date:
    return instant.astimezone(ZoneInfo(zone)).date()


def _exactly(*types: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) not in types:
            raise TypeError
        return value

    return read


def _integer(value: Any) -> int:
    """JSON knows no whole numbers: 2.0 is one."""
    if type(value) is float and value.is_integer():
        return int(value)
    if type(value) is not int:
        raise TypeError
    return value


def _codes(value: Any) -> frozenset[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise TypeError
    return frozenset(value)


def _date(value: Any) -> date:
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise TypeError
    return date.fromisoformat(value)


def _events(value: Any) -> tuple[Happening, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError
    return tuple(_event(each) for each in value)


def _event(value: Any) -> Happening:
    """A field that is null is unknown, as an absent one."""
    if not isinstance(value, Mapping):
        raise TypeError
    fields = {name: each for name, each in value.items() if name != OF_EVENT and each is not None}
    if not all(isinstance(each, str | int | float) for each in fields.values()):
        raise TypeError
    on = value.get(OF_EVENT)
    return Happening(None if on is None else _date(on), fields)


_READ: Mapping[str, Callable[[Any], Known]] = {
    "boolean": _exactly(bool),
    "integer": _integer,
    "number": _exactly(int, float),
    "code": _exactly(str),
    "codes": _codes,
    "date": _date,
    "events": _events,
}
