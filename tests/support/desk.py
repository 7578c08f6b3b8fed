"""A whole notifier without store, broker or mail: truth and ledger in memory, the real pure core in between.

The reference for what planner, sender and sweeper do: it applies differences, sends what is due, and replans when told.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from schemas.outcomes import DeliveryState, Kind
from schemas.programs import Program
from services.notifier.difference import Changes, difference
from services.notifier.domain import (
    OPEN_STATES,
    SAFETY,
    Delivery,
    KnownTrial,
    Ledger,
    Plan,
    Reason,
    Task,
    Told,
    Truth,
    Wanted,
)
from services.notifier.grouping import Bundle, group
from services.notifier.guard import Go, Moment, No, SentMail, guard
from services.notifier.plan import plan
from services.notifier.told import told_after_event, told_after_mail
from services.notifier.transitions import may
from tests.support.charts import LONG_AGO
from tests.support.programs import PROGRAMS

S = DeliveryState


@dataclass(frozen=True, slots=True)
class Sent:
    """One mail that went out."""

    at: datetime
    kind: Kind
    keys: tuple[str, ...]
    rules: tuple[str, ...]
    deliveries: tuple[Delivery, ...]
    truth: Truth
    told_before: Mapping[str, Told]


@dataclass(slots=True, repr=False)
class Desk:
    """One patient. ``before_guard`` is called with the claimed deliveries, where a test stages what arrives then."""

    truth: Truth
    now: datetime
    programs: Mapping[str, Program] = field(default_factory=lambda: PROGRAMS)
    armed_at: datetime | None = LONG_AGO
    trials: Mapping[str, KnownTrial] | None = None
    verdict: Callable[[Bundle, datetime], DeliveryState] = lambda bundle, now: S.SENT
    before_guard: Callable[["Desk", list[Delivery]], None] = lambda desk, claimed: None
    ledger: Ledger = field(init=False)
    made: Plan = field(init=False)
    sent: list[Sent] = field(default_factory=list)
    inserted: list[tuple[datetime, Wanted]] = field(default_factory=list)
    opened: dict[str, Task] = field(default_factory=dict)
    _rules: dict[str, str] = field(default_factory=dict)
    _ids: "itertools.count[int]" = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.ledger = Ledger(armed_at=self.armed_at)
        self.hear(self.truth)

    # events

    def hear(self, truth: Truth, *, at: datetime | None = None) -> None:
        """An event has arrived: time passes until ``at``, then the truth is ``truth``."""
        if at:
            self.until(at)
        self.swallow(truth)
        self.replan(release_held=True)

    def swallow(self, truth: Truth) -> None:
        """Take the new truth in, as a consumer does before it plans."""
        told = dict(self.ledger.told)
        for appointment in truth.appointments:
            if heard := told_after_event(told.get(appointment.appointment_id), appointment):
                told[appointment.appointment_id] = heard
        self.truth = truth
        self.ledger = replace(self.ledger, told=told)

    # time

    def until(self, end: datetime) -> None:
        """Let time pass, stopping at each moment at which something is due."""
        while (moment := self._next()) is not None and moment <= end:
            self.now = max(self.now, moment)
            if self.made.replan_at and self.made.replan_at <= self.now:
                self.replan()
            self.send()
        self.now = max(self.now, end)

    def _next(self) -> datetime | None:
        moments = [each.due_at for each in self.ledger.deliveries if each.state is S.PLANNED]
        if self.made.replan_at:
            moments.append(self.made.replan_at)
        return min(moments, default=None)

    # plan

    def replan(self, *, release_held: bool = False) -> Changes:
        self.made = plan(self.truth, self.programs, self.ledger, self.now)
        changes = difference(self.made, self.ledger, self.now, release_held=release_held)
        self._apply(changes)
        for task in self.made.tasks:
            self.opened.setdefault(task.key, task)
        return changes

    def _apply(self, changes: Changes) -> None:
        for wanted in changes.insert:
            self.inserted.append((self.now, wanted))
            self._add(wanted, S.PLANNED, None)
        for move in changes.move:
            self._set(move.delivery_id, **self._times(move.wanted))
        for reopen in changes.reopen:
            self._set(reopen.delivery_id, state=S.PLANNED, ended_at=None, **self._times(reopen.wanted))
        for end in changes.end:
            if end.delivery_id is None:
                self._add(end.wanted, S.SKIPPED, end.reason)
            else:
                self._set(end.delivery_id, state=S.SKIPPED, reason=end.reason, ended_at=self.now)
        for cancel in changes.cancel:
            self._set(cancel.delivery_id, state=S.CANCELLED, reason=cancel.reason, ended_at=self.now)
        for missed in changes.miss:
            self._set(missed, state=S.MISSED, ended_at=self.now)

    def _add(self, wanted: Wanted, state: DeliveryState, reason: Reason | None) -> None:
        assert wanted.dedup_key not in {each.dedup_key for each in self.ledger.deliveries}, "a key twice"
        self._rules[wanted.dedup_key] = wanted.rule
        ended_at = None if state is S.PLANNED else self.now
        row = Delivery(
            f"d{next(self._ids)}", wanted.dedup_key, wanted.kind, wanted.program, state, reason, wanted.due_at,
            wanted.useful_until, wanted.appointment_id, wanted.paperwork_id, wanted.step, ended_at=ended_at,
            rides=wanted.rides, created_at=self.now, request_id=wanted.request_id,
        )  # fmt: skip
        self.ledger = replace(self.ledger, deliveries=(*self.ledger.deliveries, row))

    def _times(self, wanted: Wanted) -> dict[str, object]:
        self._rules[wanted.dedup_key] = wanted.rule
        return {
            "kind": wanted.kind, "appointment_id": wanted.appointment_id, "due_at": wanted.due_at,
            "useful_until": wanted.useful_until, "rides": wanted.rides, "request_id": wanted.request_id, "reason": None,
        }  # fmt: skip

    def _set(self, delivery_id: str, **changes: object) -> None:
        rows = []
        for row in self.ledger.deliveries:
            if row.delivery_id == delivery_id:
                state = changes.get("state", row.state)
                assert isinstance(state, DeliveryState)
                assert state is row.state or may(row.state, state), f"{row.state} → {state}"
                row = replace(row, **changes)  # type: ignore[arg-type]  # the names are those of Delivery's fields
            rows.append(row)
        self.ledger = replace(self.ledger, deliveries=tuple(rows))

    # send

    def send(self) -> None:
        """Claim what is due, guard each, send what may go, record."""
        due = [each for each in self.ledger.deliveries if each.state is S.PLANNED and each.due_at <= self.now]
        for each in due:
            self._set(each.delivery_id, state=S.CLAIMED)
        if not due:
            return
        self.before_guard(self, due)
        claimed = {each.delivery_id for each in due}
        going: list[Delivery] = []
        for row in sorted(self.ledger.deliveries, key=lambda each: (each.kind not in SAFETY, each.due_at)):
            if row.delivery_id in claimed:
                answer = guard(row, self.truth, self.programs.get(row.program), self.ledger, self.moment())
                if isinstance(answer, Go):
                    going.append(row)
                else:
                    self._refuse(row, answer)
        for bundle in group(going, self.truth):
            self._send(bundle)
        self.replan()

    def moment(self) -> Moment:
        sent = tuple(SentMail(each.kind, each.at) for each in self.sent)
        return Moment(now=self.now, sent=sent, trials=self.trials)

    def _refuse(self, row: Delivery, answer: No) -> None:
        ended_at = None if answer.state in OPEN_STATES else self.now
        due_at = answer.again_at or row.due_at
        self._set(row.delivery_id, state=answer.state, reason=answer.reason, due_at=due_at, ended_at=ended_at)

    def _send(self, bundle: Bundle) -> None:
        for each in bundle.deliveries:
            answer = guard(each, self.truth, self.programs.get(each.program), self.ledger, self.moment())
            if isinstance(answer, No):
                self._refuse(each, answer)
                continue
            self._set(each.delivery_id, state=S.SENDING, entered_sending=True)
        going = tuple(each for each in self._rows(bundle) if each.state is S.SENDING)
        if not going:
            return
        verdict = self.verdict(bundle, self.now)
        for each in going:
            self._set(each.delivery_id, state=verdict, ended_at=self.now)
        if verdict in (S.SENT, S.UNCERTAIN):
            certain = verdict is S.SENT
            before = self.ledger.told
            heard = told_after_mail(going, self.truth, self.ledger.told, self.now, certain=certain)
            self.ledger = replace(self.ledger, told={**self.ledger.told, **heard})
            keys = tuple(each.dedup_key for each in going)
            rules = tuple(self._rules[key] for key in keys)
            self.sent.append(Sent(self.now, bundle.kind, keys, rules, going, self.truth, before))

    def _rows(self, bundle: Bundle) -> list[Delivery]:
        ids = {each.delivery_id for each in bundle.deliveries}
        return [each for each in self.ledger.deliveries if each.delivery_id in ids]

    # what a test looks at

    def row(self, end_of_key: str) -> Delivery:
        """The one delivery whose dedup key ends so."""
        (found,) = [each for each in self.ledger.deliveries if each.dedup_key.endswith(end_of_key)]
        return found
