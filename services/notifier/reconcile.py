"""Does the ledger add up? planned = sent + … + open, per tenant and program, and every state follows from a history.

Asked once per civil day (``timers``), and whenever somebody wants to know. What it finds is never repaired here: a
ledger that doesn't add up is an error of the program, and a person looks at it first.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, true
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.outcomes import DeliveryState
from services.notifier.domain import OPEN_STATES
from services.notifier.store import audit
from services.notifier.tables import deliveries
from services.notifier.transitions import may

S = DeliveryState

EXAMPLES = 20

ENDS = (S.SENT, S.DELIVERED, S.BOUNCED, S.COMPLAINED, S.SKIPPED, S.CANCELLED, S.MISSED, S.FAILED, S.UNCERTAIN)
_UNRECORDED: Mapping[S, frozenset[S]] = {
    S.PLANNED: frozenset({S.CLAIMED, S.SENDING}),
    S.UNCERTAIN: frozenset({S.SENDING}),
}
"""Claims come and go too often for the history: where a delivery may be without a row that says so."""
_VERDICTS: Mapping[S, frozenset[str | None]] = {
    S.SENDING: frozenset({None}),
    S.SENT: frozenset({"accepted"}),
    S.FAILED: frozenset({"refused"}),
    S.UNCERTAIN: frozenset({"uncertain"}),
    **dict.fromkeys((S.DELIVERED, S.BOUNCED, S.COMPLAINED), frozenset({"accepted", "uncertain"})),
}


@dataclass(frozen=True, slots=True)
class Equation:
    """One program's sum: ``planned`` by the histories, ``states`` by the rows."""

    tenant: str
    program: str
    planned: int
    states: Mapping[str, int]

    @property
    def open(self) -> int:
        return sum(self.states.get(each, 0) for each in OPEN_STATES)

    @property
    def difference(self) -> int:
        """How many more were planned than can be accounted for; below nought: fewer."""
        return self.planned - self.open - sum(self.states.get(each, 0) for each in ENDS)

    @property
    def balanced(self) -> bool:
        return not self.difference

    def __str__(self) -> str:
        ends = [f"{each} {self.states.get(each, 0)}" for each in ENDS]
        held = self.states.get(S.HELD, 0)
        right = " + ".join([*ends, f"open {self.open} (held {held})"])
        return f"planned {self.planned} = {right}: {'balanced' if self.balanced else 'NOT BALANCED'}"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that can't be: ``code`` says what, ``ids`` are the first deliveries (or mails) it is true of."""

    code: str
    detail: str
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """``balanced`` is the one answer; ``uncertain`` are listed because a person should look, not because of a fault."""

    equations: tuple[Equation, ...]
    findings: tuple[Finding, ...]
    uncertain: tuple[str, ...]

    @property
    def balanced(self) -> bool:
        return not self.findings and all(each.balanced for each in self.equations)

    @property
    def total(self) -> Equation:
        """All programs together."""
        states: Counter[str] = Counter()
        for each in self.equations:
            states.update(each.states)
        return Equation("", "", sum(each.planned for each in self.equations), states)


async def reconcile(connection: AsyncConnection, civil: datetime, tenant: str | None = None) -> Report:
    """Look at the ledger as of this (read-only) transaction and civil time; of one tenant, or of all."""
    mine = true() if tenant is None else deliveries.c.tenant == tenant
    findings = [
        *await _steps(connection, mine),
        *await _ends(connection, mine),
        *await _mails(connection, mine),
        *_found("no_history", "deliveries without a history", await audit.find_unrecorded(connection, mine, EXAMPLES)),
        *_found(
            "overdue", "open although of no use any more", await audit.find_overdue(connection, mine, civil, EXAMPLES)
        ),
        *_found("abandoned", "in nobody's hands any more", await audit.find_abandoned(connection, mine, EXAMPLES)),
        *_found("orphan_mail", "mails of no delivery", await audit.find_orphan_mails(connection, tenant, EXAMPLES)),
    ]
    if tenant is None:
        findings += _found("vanished", "histories without a delivery", await audit.find_vanished(connection, EXAMPLES))
    equations = await _equations(connection, mine)
    return Report(equations, tuple(findings), tuple(await audit.list_uncertain(connection, mine)))


async def _equations(connection: AsyncConnection, mine: ColumnElement[bool]) -> tuple[Equation, ...]:
    planned = {each.values: each.size for each in await audit.count_planned(connection, mine)}
    states: dict[tuple[str, str], dict[str, int]] = {key: {} for key in planned}
    for (tenant, program, state), count in await audit.count_states(connection, mine):
        states.setdefault((tenant, program), {})[state] = count
    return tuple(Equation(*key, planned.get(key, 0), states[key]) for key in sorted(states))


Find = Callable[[AsyncConnection, ColumnElement[bool], Sequence[Any], int], Awaitable[list[str]]]


async def _judged(
    connection: AsyncConnection,
    mine: ColumnElement[bool],
    groups: Iterable[audit.Group],
    right: Callable[..., bool],
    find: Find,
    code: str,
) -> list[Finding]:
    findings = []
    for values, count in groups:
        if not right(*values):
            ids = await find(connection, mine, values, EXAMPLES)
            findings.append(Finding(code, f"{count} × {' → '.join(map(str, values))}", tuple(ids)))
    return findings


async def _steps(connection: AsyncConnection, mine: ColumnElement[bool]) -> list[Finding]:
    groups = await audit.count_steps(connection, mine)
    return await _judged(connection, mine, groups, _may_follow, audit.find_step, "history_broken")


def _may_follow(stood: str | None, before: str | None, after: str) -> bool:
    """Whether a row of the history may come after one that ended in ``stood``."""
    if stood is None or before is None:
        return stood is None and before is None and after in (S.PLANNED, S.SKIPPED)
    return _may_be(stood, before) and may(S(before), S(after))


def _may_be(recorded: str, state: str) -> bool:
    return recorded == state or state in _UNRECORDED.get(S(recorded), ())


async def _ends(connection: AsyncConnection, mine: ColumnElement[bool]) -> list[Finding]:
    groups = await audit.count_ends(connection, mine)
    return await _judged(connection, mine, groups, _may_be, audit.find_end, "state_unexplained")


async def _mails(connection: AsyncConnection, mine: ColumnElement[bool]) -> list[Finding]:
    groups = await audit.count_verdicts(connection, mine)
    return await _judged(connection, mine, groups, _agrees, audit.find_verdict, "mail_disagrees")


def _agrees(state: str, verdict: str | None, there: bool) -> bool:
    return bool(there) and verdict in _VERDICTS[S(state)]


def _found(code: str, detail: str, ids: Sequence[str]) -> list[Finding]:
    return [Finding(code, detail, tuple(ids))] if ids else []
