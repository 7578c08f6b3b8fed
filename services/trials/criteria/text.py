"""Criteria in English, for coordinators: made from the tree alone, with the labels of the program's vocabulary."""

from collections.abc import Callable, Mapping
from typing import Any

from schemas.criteria import Criterion, Kind
from schemas.expressions import (
    AllOf,
    AnyOf,
    AtLeast,
    AtMost,
    Compared,
    Count,
    DaysSince,
    EventField,
    Exists,
    Expression,
    Fact,
    Last,
    Not,
    Op,
    Selection,
    children,
    is_number,
)
from schemas.vocabulary import Term, Vocabulary

_COMPARED = {
    Op.EQ: "is {}",
    Op.IN: "is {}",
    Op.NOT_IN: "is not {}",
    Op.HAS_ANY: "include {}",
    Op.HAS_ALL: "include {}",
    Op.LT: "below {}",
    Op.LE: "at most {}",
    Op.GT: "above {}",
    Op.GE: "at least {}",
    Op.BETWEEN: "from {}",
    Op.IS_KNOWN: "is known",
}
_COMPARED_DATES = {Op.LT: "before {}", Op.LE: "{} or before", Op.GT: "after {}", Op.GE: "{} or after"}
_JOINED = {Op.HAS_ALL: " and ", Op.BETWEEN: " to "}
_UNITS = {"a": "years", "mo": "months", "wk": "weeks", "d": "days", "h": "hours", "min": "minutes", "s": "seconds",
          "cm[H2O]": "cm H2O", "/uL": "per µL", "Cel": "°C", "deg": "°"}  # fmt: skip
_SPANS = {"D": "days", "W": "weeks", "M": "months", "Y": "years"}
_SINGULAR = {"years", "months", "weeks", "days", "hours", "minutes", "seconds"}


def sentence(criterion: Criterion, vocabulary: Vocabulary) -> str:
    """What must hold: an exclusion begins with "not". Without an expression it is the sentence of the trial."""
    if criterion.expression is None:
        return criterion.text
    said = describe(criterion.expression, vocabulary)
    if criterion.kind is Kind.INCLUSION:
        return said
    return f"not ({said})" if children(criterion.expression) else f"not: {said}"


def describe(expression: Expression, vocabulary: Vocabulary) -> str:
    """``opening pressure at most 6 cm H2O``. A name that the vocabulary lacks is told as it is written."""
    return _node(expression, lambda atom: _atom(atom, vocabulary))


def unit_in_words(unit: str, number: float | None = None) -> str:
    """``cm[H2O]`` is cm H2O; one ``a`` is a year. A unit without words is told as it is written."""
    words = _UNITS.get(unit, unit)
    return words[:-1] if number == 1 and words in _SINGULAR else words


def _node(expression: Expression, atom: Callable[[Expression], str]) -> str:
    parts = [_part(each, atom) for each in children(expression)]
    match expression:
        case AllOf():
            return " and ".join(parts) or "nothing is asked"
        case AnyOf():
            return " or ".join(parts) or "nothing can fulfil this"
        case Not():
            return f"not {parts[0]}" if children(expression.part) else f"not ({parts[0]})"
        case AtLeast(at_least=number):
            return f"at least {number} of: {'; '.join(parts)}"
        case AtMost(at_most=number):
            return f"at most {number} of: {'; '.join(parts)}"
    return atom(expression)


def _part(expression: Expression, atom: Callable[[Expression], str]) -> str:
    said = _node(expression, atom)
    return f"({said})" if children(expression) and not isinstance(expression, Not) else said


def _atom(atom: Expression, vocabulary: Vocabulary) -> str:
    match atom:
        case Fact():
            return _compared(atom, _label(vocabulary.terms, atom.fact), vocabulary.terms.get(atom.fact))
        case Exists(exists=selection):
            return f"{_events(selection, vocabulary)}: at least one"
        case Count(count=selection):
            return f"{_events(selection, vocabulary)}: {_compared(atom, 'number', None)}"
        case Last(last=selection):
            fields = _fields(selection, vocabulary)
            said = f"{_label(fields, atom.field)} of the last {_events(selection, vocabulary)}"
            return _compared(atom, said, fields.get(atom.field))
        case DaysSince(days_since=Selection() as selection):
            return _compared(atom, f"days since the last {_events(selection, vocabulary)}", None)
        case DaysSince(days_since=since):
            return _compared(atom, f"days since {_label(vocabulary.terms, since.fact)}", None)  # type: ignore[union-attr]  # no selection here
    return describe_field(atom, {})


def describe_field(atom: Expression, fields: Mapping[str, Any]) -> str:
    """One condition on a field of an event."""
    if not isinstance(atom, EventField):
        raise TypeError("'where' asks fields of the event only")
    return _compared(atom, _label(fields, atom.field), fields.get(atom.field))


def _events(selection: Selection, vocabulary: Vocabulary) -> str:
    said = _label(vocabulary.terms, selection.event)
    if selection.where is not None:
        fields = _fields(selection, vocabulary)
        said += f" where {_node(selection.where, lambda atom: describe_field(atom, fields))}"
    if selection.within is not None:
        number = int(selection.within[1:-1])
        words = _SPANS[selection.within[-1]]
        said += f" in the last {number} {words}" if number > 1 else f" in the last {words[:-1]}"
    return said


def _fields(selection: Selection, vocabulary: Vocabulary) -> Mapping[str, Any]:
    term = vocabulary.terms.get(selection.event)
    return term.fields if term else {}


def _label(terms: Mapping[str, Any], name: str) -> str:
    return str(terms[name].label) if name in terms else name


def _compared(atom: Compared, subject: str, term: Any) -> str:
    if atom.op is Op.EXISTS:
        return f"{subject}: at least one" if isinstance(term, Term) and term.type in ("codes", "events") else subject
    if isinstance(atom.value, bool):
        return subject if atom.value else f"not: {subject}"
    values = atom.value if isinstance(atom.value, tuple) else (atom.value,)
    dates = _COMPARED_DATES if values and isinstance(values[0], str) else {}
    how = dates.get(atom.op) or _COMPARED[atom.op]
    said = _JOINED.get(atom.op, " or ").join(_value(each, term) for each in values)
    unit = atom.unit or (term.unit if term is not None and is_number(values[0]) else None)
    number = values[-1] if is_number(values[-1]) else None
    return f"{subject} {how.format(said)}{_unit(unit, number, subject)}"


def _unit(unit: str | None, number: Any, subject: str) -> str:
    """Nothing after "days since …", which says it already."""
    return f" {unit_in_words(unit, number)}" if unit and unit_in_words(unit) not in subject.split() else ""


def _value(value: Any, term: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(term.values.get(value, value)) if term is not None and isinstance(value, str) else str(value)
