"""What several sources together say of one fact on a day. The order in which facts came in makes no difference.

A newer observation of a source replaces its older one, also when it has gone stale meanwhile. Sources that differ are
in conflict, unless the vocabulary lets the latest observation count; lists of events are merged.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime

from schemas.vocabulary import FieldTerm, Term
from services.trials.facts.dates import days_after
from services.trials.facts.merge import merged
from services.trials.facts.values import Known, RecordedFact, Unknown

Standing = tuple[Known | Unknown, tuple[RecordedFact, ...]]
"""A value, and the recorded facts that it (or the conflict, or the staleness) rests on."""

_HOLDS: Mapping[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "code": (str,),
    "codes": (frozenset,),
    "date": (date,),
    "events": (tuple,),
}
_EARLIEST = datetime.min.replace(tzinfo=UTC)


def holds(term: Term | FieldTerm, value: object) -> bool:
    """Whether the value is of the term's type. A boolean is no number."""
    return type(value) in _HOLDS[term.type]


def standing(recorded: Iterable[RecordedFact], terms: Mapping[str, Term], as_of: date) -> dict[str, Standing]:
    """By name, what was told up to ``as_of``; nothing for what the vocabulary doesn't know, or not so."""
    told: dict[str, list[RecordedFact]] = {}
    for fact in recorded:
        term = terms.get(fact.name)
        if term is not None and fact.observed_on <= as_of and type(fact.value) in _HOLDS[term.type]:
            told.setdefault(fact.name, []).append(fact)
    return {name: _settled(facts, terms[name], as_of) for name, facts in told.items()}


def _settled(told: list[RecordedFact], term: Term, as_of: date) -> Standing:
    if len(told) > 1:
        told = _newest(told) if term.latest else _newest_of_each_source(told)
    valid = [each for each in told if not _is_stale(each, term, as_of)]
    if not valid:
        return Unknown.STALE, tuple(told)
    first = valid[0].value
    if len(valid) == 1:
        return first, (valid[0],)
    if term.type == "events":
        return merged([each.value for each in valid if isinstance(each.value, tuple)]), tuple(valid)
    return first if all(each.value == first for each in valid) else Unknown.CONFLICT, tuple(valid)


def expires_on(fact: RecordedFact, term: Term) -> date | None:
    """The first day on which the fact is stale; its own word counts before the vocabulary's. None: never."""
    if fact.valid_until is not None or term.valid_days is None:
        return fact.valid_until
    return days_after(fact.observed_on, term.valid_days)


def _is_stale(fact: RecordedFact, term: Term, as_of: date) -> bool:
    expires = expires_on(fact, term)
    return expires is not None and expires <= as_of


def _newest_of_each_source(told: Sequence[RecordedFact]) -> list[RecordedFact]:
    """By source; more than one of a source only where the moment is the same."""
    by_source: dict[str, list[RecordedFact]] = {}
    for each in told:
        by_source.setdefault(each.source, []).append(each)
    return [fact for _, facts in sorted(by_source.items()) for fact in (facts if len(facts) == 1 else _newest(facts))]


def _newest(told: Sequence[RecordedFact]) -> list[RecordedFact]:
    newest = max(map(_moment, told))
    return sorted((each for each in told if _moment(each) == newest), key=lambda each: each.source)


def _moment(fact: RecordedFact) -> tuple[date, datetime]:
    return fact.observed_on, fact.observed_at or _EARLIEST
