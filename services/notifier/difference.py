"""From the plan to the ledger: what to insert, move, cancel, reopen, end or miss. Pure.

A delivery that has entered ``sending`` is never touched again, and no key is ever inserted twice.
"""

from dataclasses import dataclass
from datetime import datetime

from services.notifier.domain import Ledger, Plan, Reason, Wanted


@dataclass(frozen=True, slots=True)
class Move:
    """Set times and what rides where. The state stays as it is, a reason from the guard is cleared."""

    delivery_id: str
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class Reopen:
    """Back to ``planned`` with these times, no reason, no ``ended_at``."""

    delivery_id: str
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class Cancel:
    """To ``cancelled`` with this reason; in ``request_cancel``: it is claimed, so set ``cancel_requested``."""

    delivery_id: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class End:
    """To ``skipped`` with this reason (``wanted.end``). ``delivery_id`` is None when it is to be inserted so."""

    delivery_id: str | None
    wanted: Wanted
    reason: Reason


@dataclass(frozen=True, slots=True)
class Changes:
    """What the store does in one transaction. ``miss`` holds ids of open deliveries past their ``useful_until``."""

    insert: tuple[Wanted, ...] = ()
    move: tuple[Move, ...] = ()
    reopen: tuple[Reopen, ...] = ()
    end: tuple[End, ...] = ()
    cancel: tuple[Cancel, ...] = ()
    request_cancel: tuple[Cancel, ...] = ()
    miss: tuple[str, ...] = ()


def difference(plan: Plan, ledger: Ledger, now: datetime, *, release_held: bool = False) -> Changes:
    """What turns the ledger into the plan at civil time ``now``.

    ``release_held``: an event has arrived, so what the guard held is tried again. Without it a held delivery stays
    held, or a guard that says no would be asked for ever.
    """
    raise NotImplementedError
