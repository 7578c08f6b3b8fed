"""One question to the guard: the delivery, and everything an answer may depend on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from schemas.outcomes import Kind
from schemas.programs import Program
from services.notifier.caps import SentMail
from services.notifier.domain import SAFETY, Appointment, Delivery, KnownTrial, Ledger, Reason, Truth
from services.notifier.plan.context import Context
from services.notifier.plan.notices import Notice

REMINDERS = frozenset({Kind.REMINDER, Kind.REMINDER_PAPERWORK, Kind.LATE_BOOKING})


@dataclass(frozen=True, slots=True)
class Moment:
    """What the guard looks at beside truth and ledger. ``now`` is civil.

    ``sent``: mails of the last 8 days to this patient or this address, in the whole tenant, sent or uncertain.
    ``throttled``: the recipient's domain or the SMTP account has no token (database clock).
    ``paused``: programs by public code with the kind of mail that people stopped, None: all of it.
    ``breaker_open``: the program's, by volume. ``trials``: the tenant's, by id; None while they or what is asked about
    them may be yesterday's.
    """

    now: datetime
    sent: tuple[SentMail, ...] = ()
    stale_truth: bool = False
    feed_stale: bool = False
    paused: frozenset[tuple[str, Kind | None]] = frozenset()
    breaker_open: bool = False
    suppressed: bool = False
    throttled: bool = False
    trials: Mapping[str, KnownTrial] | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One question to the guard. ``owed`` are the notices this patient is owed as of now."""

    delivery: Delivery
    truth: Truth
    program: Program
    ledger: Ledger
    moment: Moment
    context: Context
    owed: Sequence[Notice]

    @property
    def safety(self) -> bool:
        return self.delivery.kind in SAFETY

    @property
    def owes(self) -> Notice | None:
        """The notice this delivery is, if the patient is owed it."""
        mine = (self.delivery.dedup_key, self.delivery.appointment_id)
        return next((each for each in self.owed if (each.key, each.about.appointment_id) == mine), None)

    @property
    def visit(self) -> Appointment | None:
        return self.context.appointment(self.delivery.appointment_id)

    @property
    def zone(self) -> str:
        return self.context.zone(self.visit, self.program)


Answer = Reason | tuple[Reason, datetime | None] | None
"""What a check says: nothing against it, a reason, or a reason that ends at a known civil time."""
