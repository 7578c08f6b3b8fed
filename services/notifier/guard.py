"""May this delivery go out now? Asked between claim and SMTP, on the truth of now. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from schemas.outcomes import DeliveryState, Kind
from schemas.programs import Program
from services.notifier.domain import Delivery, Ledger, Reason, Truth


@dataclass(frozen=True, slots=True)
class SentMail:
    """One mail (not one delivery) this patient was sent; for caps and the breaker."""

    kind: Kind
    at: datetime


@dataclass(frozen=True, slots=True)
class Moment:
    """What the guard looks at beside truth and ledger. ``now`` is civil.

    ``sent``: mails of the last 8 days to this patient or this address, in the whole tenant, sent or uncertain.
    ``throttled``: the recipient's domain or the SMTP account has no token (database clock).
    ``breaker_open``: the program's, by volume.
    """

    now: datetime
    sent: tuple[SentMail, ...] = ()
    stale_truth: bool = False
    feed_stale: bool = False
    paused_programs: frozenset[str] = frozenset()
    breaker_open: bool = False
    suppressed: bool = False
    throttled: bool = False


@dataclass(frozen=True, slots=True)
class Go:
    """Send, at most with the content of this tier."""

    tier: Literal[0, 1]


@dataclass(frozen=True, slots=True)
class No:
    """Don't send. ``state`` is what the delivery becomes: skipped, planned (again at ``again_at``), held or missed.

    ``again_at`` is civil. Planned without it: try again by the database's clock (30 s), because what is in the way is
    not civil time (stale truth, a throttle).
    """

    reason: Reason
    state: DeliveryState
    again_at: datetime | None = None


def guard(delivery: Delivery, truth: Truth, program: Program | None, ledger: Ledger, moment: Moment) -> Go | No:
    """Whether this delivery may go out now, and at which tier; ``program`` is the delivery's, None when unknown.

    A mail of several deliveries asks for each; those with ``No`` drop out, the mail's tier is the lowest of the rest.
    """
    raise NotImplementedError
