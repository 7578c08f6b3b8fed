"""The judge of ``tests.chaos`` sees what it is there to see: it would be of no use if it were always content."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from schemas.outcomes import DeliveryState, Kind
from services.notifier.reconcile import Report
from tests.chaos.load import Client, Life, Moved, Reminded
from tests.chaos.truth import Judge, Outcome
from tests.chaos.watch import Watch
from tests.support.smtp_server import ReceivedMail

S = DeliveryState
FIRST: dict[str, Any] = {"kind": Kind.LATE_BOOKING, "mail_id": "one"}
NOTICE: dict[str, Any] = {"kind": Kind.CHANGE, "mail_id": "two"}


def row(state: S = S.SENT, *, until: timedelta = timedelta(days=1), **more: Any) -> Any:
    about = {"delivery_id": more["mail_id"], "reason": None, "useful_until": datetime.now(UTC) + until}
    return SimpleNamespace(state=state, **about, **more)


def mail(name: str) -> ReceivedMail:
    return ReceivedMail("a@example.org", ("b@example.org",), f"Message-ID: <{name}>\r\n\r\n".encode(), "")


def judged(
    sort: type[Life], rows: Sequence[Any], arrived: Sequence[str], *, resends: int = 0, listed: Sequence[str] = ()
) -> Outcome:
    # Neither is asked anything: the life has ended.
    life = sort(Client(list, ""), Watch(None), ended=True)  # type: ignore[arg-type]  # it is never looked into
    attempts = {f"<{name}>": SimpleNamespace(mail_id=name, resends=resends) for name in ("one", "two")}
    outcome = Outcome()
    Judge(outcome, life, rows, attempts, [mail(each) for each in arrived], Report((), (), tuple(listed))).judge()
    return outcome


def test_what_was_owed_and_came_once_is_well() -> None:
    outcome = judged(Moved, [row(**FIRST), row(**NOTICE)], ["one", "two"])
    assert (outcome.owed, outcome.sent, outcome.well) == (2, 2, True)


@pytest.mark.parametrize(
    ("rows", "arrived", "what"),
    [
        ([], [], "lost"),
        ([row(**FIRST)], [], "lost"),
        ([row(S.SKIPPED, **FIRST)], [], "lost"),
        ([row(S.MISSED, **FIRST)], [], "lost"),
        ([row(S.PLANNED, **FIRST)], [], "waits"),
        ([row(**FIRST)], ["one", "one"], "doubled"),
        ([row(**FIRST)], ["one", "two"], "doubled"),
        ([row(**FIRST)], ["one", "unheard-of"], "doubled"),
        ([row(**FIRST), row(**FIRST)], ["one"], "doubled"),
        ([row(until=timedelta(minutes=-1), **FIRST)], ["one"], "stale"),
        ([row(S.UNCERTAIN, **FIRST)], [], "wrong"),
    ],
)
def test_what_is_not_well_is_seen(rows: Sequence[Any], arrived: Sequence[str], what: str) -> None:
    outcome = judged(Life, rows, arrived)
    assert getattr(outcome, what)
    assert not outcome.well


def test_an_uncertain_mail_that_is_listed_is_well_whether_it_came_or_not() -> None:
    for arrived in ([], ["one"]):
        assert judged(Life, [row(S.UNCERTAIN, **FIRST)], arrived, listed=["one"]).well


def test_a_notice_may_come_once_more_as_its_one_repeat_and_no_third_time() -> None:
    rows = [row(**FIRST), row(**NOTICE)]
    assert judged(Moved, rows, ["one", "two", "two"], resends=1).repeated == 1
    assert judged(Moved, rows, ["one", "two", "two"], resends=1).well
    assert judged(Moved, rows, ["one", "two", "two"]).doubled
    assert judged(Moved, rows, ["one", "two", "two", "two"], resends=1).doubled


class Soon(Reminded):
    due = datetime.now(UTC)


def test_a_reminder_may_give_way_to_its_bookings_mail_and_to_nothing_else() -> None:
    reminder: dict[str, Any] = {"kind": Kind.REMINDER, "mail_id": "three"}
    gave_way, skipped = (row(S.SKIPPED, **reminder) for _ in range(2))
    gave_way.reason = "collapsed"
    assert judged(Soon, [row(**FIRST), gave_way], ["one"]).well
    assert judged(Soon, [row(**FIRST), skipped], ["one"]).lost
    assert judged(Soon, [gave_way], []).lost
    assert judged(Moved, [row(**FIRST), row(S.SKIPPED, **NOTICE)], ["one"]).lost
