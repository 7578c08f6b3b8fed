"""From the plan to the ledger: what to insert, move, cancel, reopen, end or miss. Pure.

What is being sent, or was, is never touched again, and no key is ever inserted twice.
"""

from dataclasses import dataclass, field
from datetime import datetime

from schemas.outcomes import DeliveryState
from services.notifier.domain import UNTIL, Delivery, Ledger, Plan, Reason, Wanted

S = DeliveryState


@dataclass(frozen=True, slots=True)
class Move:
    """Set times, kind, visit and what rides where. The state stays, a reason from the guard is cleared."""

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
    rows = {row.dedup_key: row for row in ledger.deliveries}
    changes = _Changes()
    for wanted in plan.wanted:
        row = rows.get(wanted.dedup_key)
        if row is None:
            changes.add(wanted)
        else:
            changes.adapt(row, wanted, now, release_held=release_held)
    for row in ledger.deliveries:
        if row.dedup_key in plan.unwanted:
            changes.drop(row, plan.unwanted[row.dedup_key], now)
    return changes.done()


@dataclass(slots=True)
class _Changes:
    """Collects; one method for each thing that can be the matter with a key."""

    insert: list[Wanted] = field(default_factory=list)
    move: list[Move] = field(default_factory=list)
    reopen: list[Reopen] = field(default_factory=list)
    end: list[End] = field(default_factory=list)
    cancel: list[Cancel] = field(default_factory=list)
    request_cancel: list[Cancel] = field(default_factory=list)
    miss: list[str] = field(default_factory=list)

    def add(self, wanted: Wanted) -> None:
        if wanted.end:
            self.end.append(End(None, wanted, wanted.end))
        else:
            self.insert.append(wanted)

    def adapt(self, row: Delivery, wanted: Wanted, now: datetime, *, release_held: bool) -> None:
        """The plan wants what the ledger has: end it, open it again, or give it other times."""
        if wanted.end:
            self._end(row, wanted, wanted.end)
            return
        other = _other(row, wanted, now)
        ended = row.state in (S.CANCELLED, S.SKIPPED) and not row.entered_sending
        if ended or (row.state is S.HELD and (release_held or other)):
            self.reopen.append(Reopen(row.delivery_id, wanted))
        elif row.state in (S.PLANNED, S.CLAIMED) and other:
            self.move.append(Move(row.delivery_id, wanted))

    def _end(self, row: Delivery, wanted: Wanted, reason: Reason) -> None:
        if row.state is S.CLAIMED:
            self.request_cancel.append(Cancel(row.delivery_id, reason))
        elif row.state in (S.PLANNED, S.HELD):
            self.end.append(End(row.delivery_id, wanted, reason))

    def drop(self, row: Delivery, reason: Reason, now: datetime) -> None:
        """Nobody wants it any more. One past its use was missed, unless a fact took the ground from under it."""
        if row.state is S.CLAIMED:
            self.request_cancel.append(Cancel(row.delivery_id, reason))
        elif row.useful_until <= now and reason is Reason.SUPERSEDED:
            self.miss.append(row.delivery_id)
        else:
            self.cancel.append(Cancel(row.delivery_id, reason))

    def done(self) -> Changes:
        return Changes(
            tuple(self.insert), tuple(self.move), tuple(self.reopen), tuple(self.end), tuple(self.cancel),
            tuple(self.request_cancel), tuple(self.miss),
        )  # fmt: skip


def _other(row: Delivery, wanted: Wanted, now: datetime) -> bool:
    """Whether times or company differ. What the guard has put off stays off until its time or new facts come."""
    same = (row.useful_until, row.rides, row.kind, row.appointment_id, row.request_id) == (
        wanted.useful_until, wanted.rides, wanted.kind, wanted.appointment_id, wanted.request_id,
    )  # fmt: skip
    put_off = row.reason in UNTIL and wanted.due_at <= now and wanted.due_at < row.due_at
    return not same or (row.due_at != wanted.due_at and not put_off)
