"""Age and sex, which registries hold in fields of their own, as criteria like all others."""

from collections.abc import Iterator
from functools import lru_cache

from schemas.criteria import AgeLimit, AgeUnit, Criterion, Eligibility, Kind, Status
from schemas.expressions import AllOf, DaysSince, Expression, Fact, FactDate, Op

_FACTS = {AgeUnit.YEARS: "age", AgeUnit.MONTHS: "age-in-months"}
_DAY = 1440
_MINUTES = {AgeUnit.WEEKS: 7 * _DAY, AgeUnit.DAYS: _DAY, AgeUnit.HOURS: 60, AgeUnit.MINUTES: 1}


def structured(eligibility: Eligibility) -> tuple[Criterion, ...]:
    """The criteria ``age`` and ``sex``, in this order; neither where everybody may take part."""
    return _structured(eligibility.minimum_age, eligibility.maximum_age, eligibility.sex)


@lru_cache(maxsize=10_000)
def _structured(minimum: AgeLimit | None, maximum: AgeLimit | None, sex: str | None) -> tuple[Criterion, ...]:
    """Made once: most trials ask for the same ages."""
    limits = tuple(_age(minimum, maximum))
    age = [_criterion("age", limits[0] if len(limits) == 1 else AllOf(all_of=limits))] if limits else []
    return (*age, *([_criterion("sex", Fact(fact="sex", op=Op.EQ, value=sex))] if sex else []))


def _criterion(name: str, expression: Expression) -> Criterion:
    return Criterion(id=name, kind=Kind.INCLUSION, expression=expression, status=Status.PARSED)


def _age(minimum: AgeLimit | None, maximum: AgeLimit | None) -> Iterator[Expression]:
    if minimum:
        yield _limit(minimum, Op.GE)
    if maximum:
        yield _limit(maximum, Op.LE)


def _limit(age: AgeLimit, op: Op) -> Expression:
    """Whole years and months by calendar, all shorter units in whole days: a birth has a date and no hour."""
    if age.unit in _FACTS:
        return Fact(fact=_FACTS[age.unit], op=op, value=age.number)
    minutes = age.number * _MINUTES[age.unit]
    days = -(-minutes // _DAY) if op is Op.GE else minutes // _DAY
    return DaysSince(days_since=FactDate(fact="birth-date"), op=op, value=days)
