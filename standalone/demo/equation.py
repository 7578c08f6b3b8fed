"""What became of every planned mail, from the notifier's ledger, and whether the mailbox agrees.

Balanced means: each delivery is in exactly one state that the equation names, and the mailbox holds each accepted mail
once, and no other.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import select

from schemas.outcomes import DeliveryState
from services.notifier.domain import OPEN_STATES
from services.notifier.smtp import Verdict
from services.notifier.tables import deliveries, mails
from standalone.mailbox.message import Message
from standalone.system import System

S = DeliveryState
TERMS: Mapping[str, frozenset[DeliveryState]] = {
    "sent": frozenset({S.SENT, S.DELIVERED, S.BOUNCED, S.COMPLAINED}),
    "skipped": frozenset({S.SKIPPED}),
    "cancelled": frozenset({S.CANCELLED}),
    "missed": frozenset({S.MISSED}),
    "failed": frozenset({S.FAILED}),
    "uncertain": frozenset({S.UNCERTAIN}),
    "open": OPEN_STATES,
}
"""The right side, in this order. ``sent`` counts what became of a mail afterwards, too."""


@dataclass(frozen=True, slots=True)
class Equation:
    """``states`` counts deliveries; ``accepted`` are Message-IDs by the ledger, ``arrived`` those in the mailbox."""

    states: Mapping[str, int]
    accepted: tuple[str, ...]
    arrived: tuple[str, ...]

    @property
    def planned(self) -> int:
        return sum(self.states.values())

    @property
    def terms(self) -> dict[str, int]:
        return {term: sum(self.states.get(each, 0) for each in states) for term, states in TERMS.items()}

    @property
    def held(self) -> int:
        """Of the open ones, those that wait for an event."""
        return self.states.get(S.HELD, 0)

    @property
    def balanced(self) -> bool:
        once = len(set(self.arrived)) == len(self.arrived)
        return self.planned == sum(self.terms.values()) and once and set(self.accepted) == set(self.arrived)

    @property
    def sum(self) -> str:
        """``planned 3 = sent 1 + … + open 1 (held 1)``, all terms always, in this order."""
        right = " + ".join(f"{term} {count}" for term, count in self.terms.items())
        return f"planned {self.planned} = {right} (held {self.held})"

    def __str__(self) -> str:
        return f"{self.sum}: {'balanced' if self.balanced else 'NOT BALANCED'}"


async def equation(system: System) -> Equation:
    """As of now."""
    accepted = select(mails.c.message_id).where(mails.c.verdict == Verdict.ACCEPTED)
    async with system.notifier.store.read() as connection:
        states = Counter((await connection.execute(select(deliveries.c.state))).scalars())
        by_ledger = tuple((await connection.execute(accepted)).scalars())
    return Equation(states, by_ledger, message_ids(system.mailbox.messages))


def message_ids(messages: Iterable[Message]) -> tuple[str, ...]:
    return tuple(each.header("Message-ID").strip() for each in messages)
