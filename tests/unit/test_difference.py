"""From plan to ledger, one thing at a time."""

from dataclasses import replace
from typing import Any

import pytest

from schemas.outcomes import DeliveryState, Kind
from services.notifier.difference import Cancel, Changes, End, Move, Reopen, difference
from services.notifier.domain import Delivery, Ledger, Plan, Reason, Wanted
from tests.support.charts import MINUTE, at

S = DeliveryState
NOW, DUE, UNTIL = at("2027-03-12 12:00"), at("2027-03-13 10:00"), at("2027-03-15 10:00")
WANTED = Wanted("key", Kind.REMINDER, "k7q2m9", DUE, "2027-03-13T10:00", "America/Los_Angeles", UNTIL, 2, "visit")
ROW = Delivery("d1", "key", Kind.REMINDER, "k7q2m9", S.PLANNED, None, DUE, UNTIL, "visit")
OPEN = (S.PLANNED, S.CLAIMED, S.HELD)
TAKEN_BACK = (S.CANCELLED, S.SKIPPED)
OVER = (S.SENDING, S.SENT, S.DELIVERED, S.BOUNCED, S.COMPLAINED, S.UNCERTAIN, S.FAILED, S.MISSED)


def changes(wanted: Wanted | None, row: Delivery | None, *, unwanted: Reason | None = None, **options: Any) -> Changes:
    plan = Plan((wanted,) if wanted else (), (), None, {"key": unwanted} if unwanted else {})
    return difference(plan, Ledger((row,) if row else ()), options.pop("now", NOW), **options)


def test_what_is_new_is_inserted_or_recorded_as_ended() -> None:
    assert changes(WANTED, None) == Changes(insert=(WANTED,))
    ended = replace(WANTED, end=Reason.COLLAPSED)
    assert changes(ended, None) == Changes(end=(End(None, ended, Reason.COLLAPSED),))


@pytest.mark.parametrize("state", [*OPEN, *OVER])
def test_what_stands_as_wanted_is_left_alone(state: DeliveryState) -> None:
    assert changes(WANTED, replace(ROW, state=state)) == Changes()


@pytest.mark.parametrize("other", [{"due_at": DUE + MINUTE}, {"useful_until": UNTIL + MINUTE}, {"rides": "other"}])
def test_other_times_or_company_move_an_open_one(other: dict[str, Any]) -> None:
    wanted = replace(WANTED, **other)
    assert changes(wanted, ROW) == Changes(move=(Move("d1", wanted),))
    assert changes(wanted, replace(ROW, state=S.CLAIMED)) == Changes(move=(Move("d1", wanted),))
    assert changes(wanted, replace(ROW, state=S.HELD)) == Changes(reopen=(Reopen("d1", wanted),))
    for state in OVER:
        assert changes(wanted, replace(ROW, state=state)) == Changes()


@pytest.mark.parametrize("state", TAKEN_BACK)
def test_what_never_entered_sending_is_opened_again(state: DeliveryState) -> None:
    row = replace(ROW, state=state, reason=Reason.SUPERSEDED)
    assert changes(WANTED, row) == Changes(reopen=(Reopen("d1", WANTED),))
    assert changes(WANTED, replace(row, entered_sending=True)) == Changes()


def test_what_the_guard_held_is_tried_again_only_after_an_event() -> None:
    held = replace(ROW, state=S.HELD, reason=Reason.NO_ADDRESS)
    assert changes(WANTED, held) == Changes()
    assert changes(WANTED, held, release_held=True) == Changes(reopen=(Reopen("d1", WANTED),))


def test_what_the_guard_put_off_stays_put_off_until_the_plan_has_another_time_ahead() -> None:
    now = DUE + MINUTE
    put_off = replace(ROW, due_at=DUE + 60 * MINUTE, reason=Reason.CAP_REACHED)
    assert changes(WANTED, put_off, now=now) == Changes()
    ahead = replace(WANTED, due_at=DUE + 30 * MINUTE)
    assert changes(ahead, put_off, now=now) == Changes(move=(Move("d1", ahead),))
    assert changes(WANTED, replace(put_off, reason=None), now=now) == Changes(move=(Move("d1", WANTED),))
    earlier = replace(put_off, due_at=DUE - MINUTE)
    assert changes(WANTED, earlier, now=now) == Changes(move=(Move("d1", WANTED),))


def test_what_is_to_end_ends_or_is_asked_back_from_the_sender() -> None:
    ended = replace(WANTED, end=Reason.BEFORE_ARMING)
    for state in (S.PLANNED, S.HELD):
        row = replace(ROW, state=state)
        assert changes(ended, row) == Changes(end=(End("d1", ended, Reason.BEFORE_ARMING),))
    claimed = replace(ROW, state=S.CLAIMED)
    assert changes(ended, claimed) == Changes(request_cancel=(Cancel("d1", Reason.BEFORE_ARMING),))
    for state in (*TAKEN_BACK, *OVER):
        assert changes(ended, replace(ROW, state=state)) == Changes()


def test_what_nobody_wants_is_cancelled_with_the_reason_or_asked_back() -> None:
    for state in (S.PLANNED, S.HELD):
        row = replace(ROW, state=state)
        assert changes(None, row, unwanted=Reason.VISIT_CANCELLED) == Changes(
            cancel=(Cancel("d1", Reason.VISIT_CANCELLED),)
        )
    claimed = replace(ROW, state=S.CLAIMED)
    assert changes(None, claimed, unwanted=Reason.DECEASED) == Changes(request_cancel=(Cancel("d1", Reason.DECEASED),))
    assert changes(None, ROW) == Changes(), "another family's delivery is none of the plan's business"


def test_past_its_use_it_was_missed_unless_a_fact_ended_it() -> None:
    assert changes(None, ROW, unwanted=Reason.SUPERSEDED, now=UNTIL) == Changes(miss=("d1",))
    assert changes(None, ROW, unwanted=Reason.DECEASED, now=UNTIL) == Changes(cancel=(Cancel("d1", Reason.DECEASED),))
