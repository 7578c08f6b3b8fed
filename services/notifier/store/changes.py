"""Writes what ``difference`` asks for: a handful of set-wise statements for a whole batch of patients."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.tracing import continuing, current_traceparent
from schemas.outcomes import DeliveryState
from services.notifier.difference import Changes
from services.notifier.domain import Delivery, Ledger, Reason, Wanted
from services.notifier.store.ledger import add_deliveries, add_history, change_deliveries, next_outcome_versions
from services.notifier.store.patients import PatientKey

S = DeliveryState


@dataclass(slots=True)
class Written:
    """What became of one patient's deliveries. ``ended`` holds each outcome's version too; falsy: nothing changed.

    ``trace`` is the ``traceparent`` of what changed them, where that isn't the transaction's own.
    """

    all: list[Delivery] = field(default_factory=list)
    ended: list[tuple[Delivery, int]] = field(default_factory=list)
    trace: str | None = None

    def __bool__(self) -> bool:
        return bool(self.all)


@dataclass(slots=True)
class _Statements:
    """Rows for the statements, gathered over all patients."""

    add: list[dict[str, Any]] = field(default_factory=list)
    move: list[dict[str, Any]] = field(default_factory=list)
    reopen: list[dict[str, Any]] = field(default_factory=list)
    state: list[dict[str, Any]] = field(default_factory=list)
    request: list[dict[str, Any]] = field(default_factory=list)
    history: list[tuple[str, S | None, S, Reason | None]] = field(default_factory=list)


async def write_changes(
    connection: AsyncConnection,
    changes: Mapping[PatientKey, Changes],
    ledgers: Mapping[PatientKey, Ledger],
    now: datetime,
    already: Mapping[PatientKey, Written],
) -> dict[PatientKey, Written]:
    """Write every patient's changes at civil time ``now``; returns what each one's deliveries became.

    That is added to what the transaction has ``already`` written, and belongs to the same trace.
    """
    rows, written = _Statements(), {}
    versions = await next_outcome_versions(connection, [each for its in changes.values() for each in _ending(its)])
    for key, its in changes.items():
        before = {each.delivery_id: each for each in ledgers[key].deliveries}
        written[key] = already[key] if key in already else Written()
        with continuing(written[key].trace):
            _one(key, its, before, versions, rows, written[key], now)
    await add_deliveries(connection, rows.add)
    await change_deliveries(connection, rows.move)
    await change_deliveries(connection, rows.reopen)
    await change_deliveries(connection, rows.state)
    await change_deliveries(connection, rows.request)
    await add_history(connection, rows.history, now, "plan")
    return written


def _ending(its: Changes) -> list[str]:
    return [*(c.delivery_id for c in its.cancel), *(e.delivery_id for e in its.end if e.delivery_id), *its.miss]


def _one(
    key: PatientKey,
    its: Changes,
    before: Mapping[str, Delivery],
    versions: Mapping[str, int],
    rows: _Statements,
    written: Written,
    now: datetime,
) -> None:

    def end(old: Delivery, state: S, reason: Reason | None) -> None:
        version = versions[old.delivery_id]
        ended = replace(old, state=state, reason=reason, ended_at=now)
        rows.state.append({
            "delivery_id": old.delivery_id, "state": state, "reason": reason, "ended_at": now,
            "outcome_version": version,
        })  # fmt: skip
        rows.history.append((old.delivery_id, old.state, state, reason))
        written.all.append(ended)
        written.ended.append((ended, version))

    def add(wanted: Wanted, state: S, reason: Reason | None) -> None:
        new = _new(wanted, state, reason, now)
        rows.add.append(_row(key, new, wanted, now))
        rows.history.append((new.delivery_id, None, state, reason))
        written.all.append(new)
        if state is not S.PLANNED:
            written.ended.append((new, 1))

    for wanted in its.insert:
        add(wanted, S.PLANNED, None)
    for move in its.move:
        moved = _moved(before[move.delivery_id], move.wanted)
        rows.move.append({"delivery_id": moved.delivery_id} | _times(move.wanted))
        written.all.append(moved)
    for reopen in its.reopen:
        old = before[reopen.delivery_id]
        again = {"delivery_id": old.delivery_id, "state": S.PLANNED, "ended_at": None, "cancel_requested": None}
        rows.reopen.append(again | _times(reopen.wanted))
        rows.history.append((old.delivery_id, old.state, S.PLANNED, None))
        written.all.append(replace(_moved(old, reopen.wanted), state=S.PLANNED, ended_at=None))
    for ending in its.end:
        if ending.delivery_id is None:
            add(ending.wanted, S.SKIPPED, ending.reason)
        else:
            end(before[ending.delivery_id], S.SKIPPED, ending.reason)
    for cancel in its.cancel:
        end(before[cancel.delivery_id], S.CANCELLED, cancel.reason)
    for missed in its.miss:
        end(before[missed], S.MISSED, before[missed].reason)
    rows.request += [{"delivery_id": c.delivery_id, "cancel_requested": c.reason} for c in its.request_cancel]


def _moved(old: Delivery, wanted: Wanted) -> Delivery:
    return replace(
        old, kind=wanted.kind, appointment_id=wanted.appointment_id, request_id=wanted.request_id, due_at=wanted.due_at,
        useful_until=wanted.useful_until, rides=wanted.rides, reason=None,
    )  # fmt: skip


def _times(wanted: Wanted) -> dict[str, Any]:
    """What a move sets; back-off by the database's clock is forgotten with the old time.

    Kind and visit too: a new booking may take the place of a visit that is off under the same key. And the request.
    """
    return {
        "kind": wanted.kind, "appointment_id": wanted.appointment_id, "request_id": wanted.request_id,
        "due_at": wanted.due_at, "due_local": wanted.due_local, "zone": wanted.zone, "rides": wanted.rides,
        "useful_until": wanted.useful_until, "priority": wanted.priority, "asks_confirm": wanted.asks_confirm,
        "asks_left": wanted.asks_left, "rule": wanted.rule, "reason": None, "not_before": None,
        "trace": current_traceparent(),
    }  # fmt: skip


def _new(wanted: Wanted, state: S, reason: Reason | None, now: datetime) -> Delivery:
    return Delivery(
        delivery_id=str(uuid.uuid4()),
        dedup_key=wanted.dedup_key,
        kind=wanted.kind,
        program=wanted.program,
        state=state,
        reason=reason,
        due_at=wanted.due_at,
        useful_until=wanted.useful_until,
        appointment_id=wanted.appointment_id,
        paperwork_id=wanted.paperwork_id,
        step=wanted.step,
        ended_at=None if state is S.PLANNED else now,
        rides=wanted.rides,
        request_id=wanted.request_id,
    )


def _row(key: PatientKey, new: Delivery, wanted: Wanted, now: datetime) -> dict[str, Any]:
    return _times(wanted) | {
        "delivery_id": new.delivery_id, "tenant": key[0], "patient_id": key[1], "dedup_key": new.dedup_key,
        "program": new.program, "paperwork_id": new.paperwork_id, "step": new.step, "state": new.state,
        "reason": new.reason,
        "created_at": now, "ended_at": new.ended_at, "outcome_version": 0 if new.state is S.PLANNED else 1,
    }  # fmt: skip
