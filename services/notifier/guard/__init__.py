"""May this delivery go out now? Asked between claim and SMTP, on the truth of now. Pure.

A no is final (skipped), until a time (planned again), or until an event (held); past its use a delivery is missed. The
checks stand in the order of their weight: what ends a delivery for good comes before what only delays it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from schemas.outcomes import DeliveryState
from schemas.programs import Program
from services.notifier.caps import SentMail
from services.notifier.domain import FINAL, ON_EVENT, Delivery, Ledger, Reason, Truth
from services.notifier.guard import choices, ground, invitation, timing
from services.notifier.guard.case import Answer, Case, Moment
from services.notifier.plan import context_of
from services.notifier.plan.notices import needed
from services.notifier.plan.standing import gone

__all__ = ["Go", "Moment", "No", "SentMail", "guard"]

_CHECKS: Sequence[Callable[[Case], Answer]] = (
    ground.armed, ground.ground, ground.still_true, invitation.over, choices.choices, choices.consent,
    invitation.known, ground.paused, choices.person,
    timing.settled, timing.technical, timing.window, timing.caps,
)  # fmt: skip


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
    if truth.patient and (reason := gone(truth.patient)):
        return _no(reason)
    if moment.now >= delivery.useful_until:
        return No(delivery.reason or Reason.TOO_LATE, DeliveryState.MISSED)
    if moment.stale_truth:
        return _no(Reason.STALE_TRUTH)
    if truth.incomplete or truth.patient is None:
        return _no(Reason.TRUTH_INCOMPLETE)
    if program is None or program.missing:
        return _no(Reason.PROGRAM_INCOMPLETE)
    programs: Mapping[str, Program] = {program.public_code: program}
    context = context_of(truth, programs, ledger, moment.now)
    case = Case(delivery, truth, program, ledger, moment, context, needed(context))
    for check in _CHECKS:
        if answer := check(case):
            return _no(*answer) if isinstance(answer, tuple) else _no(answer)
    return Go(choices.tier(case))


def _no(reason: Reason, again_at: datetime | None = None) -> No:
    if reason in FINAL:
        return No(reason, DeliveryState.SKIPPED)
    return No(reason, DeliveryState.HELD if reason in ON_EVENT else DeliveryState.PLANNED, again_at)
