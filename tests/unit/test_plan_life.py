"""A patient's life at random: edits of visits and forms while time passes. What must hold whatever happens."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from schemas.appointment import AppointmentStatus, ItemStatus, Modality
from schemas.envelope import Origin
from schemas.outcomes import DeliveryState, Kind
from services.notifier.difference import Changes
from services.notifier.domain import OPEN_STATES, SAFETY, Appointment, Paperwork, Patient, Truth, Wanted
from services.notifier.told import differs
from tests.support.charts import MINUTE, NEW_YORK, PACIFIC, at, chart, edited, forms, local, patient, visit
from tests.support.desk import Desk, Sent

START = at("2027-02-26 09:00")
DAY = timedelta(days=1)
TYPES = ("consultation", "follow-up", "blood-patch", "surgery")
LATER = (timedelta(), 7 * MINUTE, 14 * MINUTE, 40 * MINUTE, timedelta(hours=5), 26 * timedelta(hours=1), 5 * DAY)
AHEAD = (timedelta(hours=2), timedelta(hours=20), 2 * DAY, 4 * DAY, 9 * DAY + 5 * timedelta(hours=1), 20 * DAY)
ACTIONS = (
    "book", "book", "move", "move", "back", "cancel", "rebook", "reinstate", "clinician", "pending", "video",
    "ask", "receive", "travel", "arrive", "remove", "backfill",
)  # fmt: skip


@dataclass(slots=True)
class Life:
    """A random patient's records as intake would keep them, and the desk that hears of them."""

    desk: Desk
    person: Patient = field(default_factory=patient)
    visits: dict[str, Appointment] = field(default_factory=dict)
    asked: dict[str, Paperwork] = field(default_factory=dict)

    def act(self, action: str, ahead: timedelta, told: bool, pick: int) -> None:
        now = self.desk.now
        text = local(now)
        chosen = [*self.visits.values()][pick % len(self.visits)] if self.visits else None
        start = (now + ahead).replace(second=0, microsecond=0)
        if action in ("book", "rebook", "backfill") or chosen is None:
            if len(self.visits) < 3:
                same = chosen.visit_type if chosen and action == "rebook" else TYPES[pick % len(TYPES)]
                origin = Origin.BACKFILL if action == "backfill" else Origin.LIVE
                new = visit(same, local(start), text, told=told, name=f"v{len(self.visits)}", origin=origin)
                self.visits[new.appointment_id] = new
        elif action in ("move", "back"):
            back = chosen.booked_at + ahead if action == "back" else start
            self._set(replace(edited(chosen, text, told=told, start=back), status=AppointmentStatus.BOOKED))
        elif action in ("cancel", "reinstate", "pending", "arrive", "remove"):
            self._set(edited(chosen, text, told=told, status=_STATUS[action]))
        elif action == "clinician":
            self._set(edited(chosen, text))
        elif action == "video":
            self._set(edited(chosen, text, modality=Modality.VIDEO if pick % 2 else Modality.ON_SITE))
        elif action == "travel":
            self.person = replace(self.person, zone=(NEW_YORK, PACIFIC, "Asia/Tokyo", "No/Where")[pick % 4])
        elif action == "ask" and not self.asked:
            self.asked["forms"] = forms(chosen, text)
        elif action == "receive" and self.asked:
            one = self.asked["forms"]
            items = tuple(replace(each, status=ItemStatus.RECEIVED) for each in one.items[: pick % 5])
            self.asked["forms"] = replace(one, items=items + one.items[len(items) :], changed_at=now, recorded_at=now)
        self.desk.hear(self.truth)

    def _set(self, visit: Appointment) -> None:
        self.visits[visit.appointment_id] = visit

    @property
    def truth(self) -> Truth:
        return replace(
            chart(*self.visits.values(), *self.asked.values(), person=self.person),
            enrolments=chart(visit("surgery", "2027-03-01 10:00", "2027-02-01 10:00")).enrolments,
        )


_STATUS = {
    "cancel": AppointmentStatus.CANCELLED,
    "reinstate": AppointmentStatus.BOOKED,
    "pending": AppointmentStatus.PENDING,
    "arrive": AppointmentStatus.ARRIVED,
    "remove": AppointmentStatus.ENTERED_IN_ERROR,
}
edits = st.lists(
    st.tuples(
        st.sampled_from(LATER), st.sampled_from(ACTIONS), st.sampled_from(AHEAD), st.booleans(), st.integers(0, 7)
    ),
    min_size=1,
    max_size=10,
)
verdicts = st.sampled_from([DeliveryState.SENT] * 4 + [DeliveryState.FAILED, DeliveryState.UNCERTAIN])


ARRIVED_BY_MISTAKE = [
    (timedelta(), "book", timedelta(hours=2), False, 0),
    (timedelta(), "book", 4 * DAY, False, 0),
    (timedelta(), "arrive", DAY, False, 1),
    (timedelta(), "ask", DAY, False, 1),
    (26 * timedelta(hours=1), "reinstate", DAY, False, 1),
]
"""Reinstated an hour after its reminder was due."""


@example(edits=ARRIVED_BY_MISTAKE, fates=[DeliveryState.SENT])
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(edits=edits, fates=st.lists(verdicts, min_size=1, max_size=5))
def test_whatever_happens_the_rules_of_the_desk_hold(
    edits: Sequence[tuple[timedelta, str, timedelta, bool, int]], fates: Sequence[DeliveryState]
) -> None:
    turn = iter(range(10_000))
    life = Life(Desk(chart(), START, verdict=lambda bundle, now: fates[next(turn) % len(fates)]))
    desk = life.desk
    for later, action, ahead, told, pick in edits:
        desk.until(desk.now + later)
        life.act(action, ahead, told, pick)
        assert desk.replan() == Changes(), "planning again changes nothing"
    desk.until(desk.now + timedelta(hours=12))
    assert_notices_are_owed_or_made(desk)
    desk.until(desk.now + 30 * DAY)
    assert not [each for each in desk.ledger.deliveries if each.state in OPEN_STATES], "every delivery ends"
    assert_created_ahead(desk.inserted)
    for mail in desk.sent:
        assert_fit_to_send(mail)
    assert_within_caps(desk)


def assert_notices_are_owed_or_made(desk: Desk) -> None:
    """Told differs from the truth exactly where a notice is on its way, has failed, or the visit is over."""
    for each in desk.truth.appointments:
        told = desk.ledger.told.get(each.appointment_id)
        if differs(told, each) and told:
            last = max(each.start, told.start or each.start)
            if each.status in (AppointmentStatus.CANCELLED, AppointmentStatus.ENTERED_IN_ERROR):
                last = told.start or last
            notices = [row for row in desk.ledger.deliveries if row.kind in SAFETY]
            mine = [row for row in notices if f"/{each.appointment_id}/{told.sequence}" in row.dedup_key]
            known = [row for row in notices if row.appointment_id == each.appointment_id]
            assert mine or known or last <= desk.now, "told differs, and nobody says so"


def assert_created_ahead(inserted: Sequence[tuple[datetime, Wanted]]) -> None:
    """Nothing is due in the past when it is planned, but a notice or the one mail of a late booking.

    An ask may ride on a reminder that was planned ahead, came to nothing with its visit, and goes out after all.
    """
    planned: set[str] = set()
    for now, wanted in inserted:
        immediate = wanted.kind in SAFETY or wanted.kind is Kind.LATE_BOOKING or wanted.step == "request"
        assert immediate or wanted.due_at >= now or wanted.rides in planned, wanted
        planned.add(wanted.dedup_key)


def assert_fit_to_send(mail: Sent) -> None:
    visits = {each.appointment_id: each for each in mail.truth.appointments}
    steps = [each.appointment_id for each in mail.deliveries if each.kind is not Kind.PAPERWORK]
    assert len(set(steps)) == len(steps), "never two steps of one visit in one mail"
    for each in mail.deliveries:
        assert each.due_at <= mail.at < each.useful_until
        about = visits.get(each.appointment_id or "")
        if each.kind in SAFETY:
            _, old, sequence = each.dedup_key.split("/")
            told = mail.told_before[old]
            assert told.sequence == int(sequence)
            assert differs(told, visits[old]), "a notice of nothing new"
            continue
        assert about is None or about.status is AppointmentStatus.BOOKED
        own = mail.truth.patient.zone if mail.truth.patient else None
        zone = own if own and own != "No/Where" else PACIFIC
        assert time(9) <= mail.at.astimezone(ZoneInfo(zone)).time() < time(19)


def assert_within_caps(desk: Desk) -> None:
    """One mail a day and three in seven days; only for a recipient who stayed in one zone can days be counted."""
    zones = {each.truth.patient.zone for each in desk.sent if each.truth.patient}
    if len(zones) != 1 or zones & {"No/Where"}:
        return
    zone = ZoneInfo(zones.pop() or PACIFIC)
    days = sorted(each.at.astimezone(zone).date() for each in desk.sent if each.kind not in SAFETY)
    assert len(set(days)) == len(days)
    assert all(later - first >= 7 * timedelta(days=1) for first, later in zip(days, days[3:], strict=False))


def test_a_desk_that_breaks_a_rule_is_noticed() -> None:
    """The checks above can fail."""
    visits = chart(visit("surgery", "2027-03-16 08:00", "2027-02-26 09:00"))
    desk = Desk(visits, START)
    with pytest.raises(AssertionError, match="due_at"):
        assert_created_ahead([(desk.now + 60 * DAY, desk.inserted[0][1])])
