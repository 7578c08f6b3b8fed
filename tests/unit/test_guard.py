"""The guard's table: every reason once, who may be written to, and when."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.appointment import AppointmentStatus, Modality
from schemas.outcomes import DeliveryState, Kind
from schemas.patient import ConsentDecision, ConsentScope, EnrolmentStatus, PatientStatus
from schemas.programs import Program
from schemas.protected import Protected
from services.notifier.domain import (
    FINAL,
    ON_EVENT,
    UNTIL,
    Consent,
    Delivery,
    Ledger,
    Preference,
    Reason,
    Told,
    Truth,
)
from services.notifier.guard import Go, Moment, No, SentMail, guard
from services.notifier.keys import notice_key, paperwork_key, reminder_key
from tests.support.charts import LONG_AGO, at, cancelled, chart, edited, forms, moved, patient, received, visit
from tests.support.programs import CEDARS

S = DeliveryState
VISIT = visit("consultation", "2027-03-16 09:30", "2027-02-20 09:00", told=True)
FORMS = forms(VISIT, "2027-02-20 09:00")
TRUTH = chart(VISIT, FORMS)
NOW = at("2027-03-13 10:00")
TOLD = Told("visit", 1, VISIT.start, None, Modality.ON_SITE, VISIT.booked_at, "staff")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def delivery(kind: Kind, key: str, step: str | None = None, **changes: Any) -> Delivery:
    paperwork_id = "forms" if kind is Kind.PAPERWORK else None
    one = Delivery(
        "mine", key, kind, CEDARS.public_code, S.CLAIMED, None, NOW, at("2027-03-15 00:00"), "visit", paperwork_id, step
    )
    return replace(one, **changes)


REMINDER = delivery(Kind.REMINDER, reminder_key("visit", VISIT.start, "P3D"), "P3D")
LAST = delivery(Kind.REMINDER, reminder_key("visit", VISIT.start, "P1D"), "P1D")
ASK = delivery(Kind.PAPERWORK, paperwork_key("forms", "P3D"), "P3D")
OFF = cancelled(VISIT, "2027-03-13 09:40")
AWAY = moved(VISIT, "2027-03-18 13:00", "2027-03-13 09:40")
CHANGE = delivery(Kind.CHANGE, notice_key(Kind.CHANGE, "visit", 1), useful_until=AWAY.start)
CANCELLATION = delivery(Kind.CANCELLATION, notice_key(Kind.CANCELLATION, "visit", 1), useful_until=VISIT.start)
SITUATIONS: Mapping[str, tuple[Delivery, Truth]] = {
    "reminder": (REMINDER, TRUTH),
    "ask": (ASK, TRUTH),
    "change": (CHANGE, chart(AWAY, FORMS)),
    "cancellation": (CANCELLATION, chart(OFF, FORMS)),
}
NOTICES, CARE = ("change", "cancellation"), ("reminder", "ask")


def ask(
    subject: Delivery, truth: Truth, program: Program | None = CEDARS, ledger: Ledger | None = None, **moment: Any
) -> Go | No:
    stored = ledger or Ledger((subject,), {"visit": TOLD}, LONG_AGO)
    return guard(subject, truth, program, stored, Moment(**({"now": NOW} | moment)))


def reason(answer: Go | No) -> Reason | None:
    return None if isinstance(answer, Go) else answer.reason


def consent(scope: ConsentScope, decision: ConsentDecision, program: str | None = None, day: int = 1) -> Consent:
    return Consent(f"{scope}{day}", scope, decision, LONG_AGO + day * DAY, program)


def choice(**changes: Any) -> Preference:
    return replace(Preference(CEDARS.public_code, email=True, reminders=True, forms=True, paused_until=None), **changes)


@pytest.mark.parametrize("name", SITUATIONS)
def test_without_any_record_of_consent_care_mail_goes_at_tier_0(name: str) -> None:
    assert ask(*SITUATIONS[name]) == Go(0)


@pytest.mark.parametrize("name", SITUATIONS)
def test_the_risk_notice_accepted_gives_tier_1(name: str) -> None:
    subject, truth = SITUATIONS[name]
    permit = consent(ConsentScope.EMAIL_DETAILED, ConsentDecision.PERMIT)
    assert ask(subject, replace(truth, consents=(permit,))) == Go(1)
    for later in (ConsentDecision.DENY, ConsentDecision.UNKNOWN):
        withdrawn = consent(ConsentScope.EMAIL_DETAILED, later, day=2)
        assert ask(subject, replace(truth, consents=(permit, withdrawn))) == Go(0)
    other = consent(ConsentScope.EMAIL_DETAILED, ConsentDecision.PERMIT, "other")
    assert ask(subject, replace(truth, consents=(other,))) == Go(0)


@pytest.mark.parametrize(("name", "expected"), [*((n, Reason.OPTED_OUT) for n in CARE), *((n, None) for n in NOTICES)])
def test_a_refusal_stops_all_but_notices(name: str, expected: Reason | None) -> None:
    subject, truth = SITUATIONS[name]
    refused = consent(ConsentScope.EMAIL_BASIC, ConsentDecision.DENY)
    assert reason(ask(subject, replace(truth, consents=(refused,)))) is expected
    no_mail = choice(reminders=False, forms=False)
    assert reason(ask(subject, replace(truth, preferences=(no_mail,)))) is expected


@pytest.mark.parametrize("name", SITUATIONS)
def test_email_refused_altogether_stops_even_notices(name: str) -> None:
    subject, truth = SITUATIONS[name]
    assert reason(ask(subject, replace(truth, preferences=(choice(email=False),)))) is Reason.OPTED_OUT


@pytest.mark.parametrize(
    ("name", "expected"), [*((n, Reason.CONSENT_MISSING) for n in CARE), *((n, None) for n in NOTICES)]
)
def test_a_program_may_require_consent_and_an_unknown_decision_permits_nothing(
    name: str, expected: Reason | None
) -> None:
    subject, truth = SITUATIONS[name]
    strict = CEDARS.model_copy(update={"requires_consent": True})
    assert reason(ask(subject, truth, strict)) is expected
    permit = consent(ConsentScope.EMAIL_BASIC, ConsentDecision.PERMIT)
    assert ask(subject, replace(truth, consents=(permit,)), strict) == Go(0)
    unknown = consent(ConsentScope.EMAIL_BASIC, ConsentDecision.UNKNOWN)
    assert reason(ask(subject, replace(truth, consents=(unknown,)))) is expected


@pytest.mark.parametrize(("forms", "reminders"), [(False, True), (True, False)])
def test_reminders_and_forms_are_chosen_apart(forms: bool, reminders: bool) -> None:
    truth = replace(TRUTH, preferences=(choice(forms=forms, reminders=reminders),))
    assert isinstance(ask(REMINDER, truth), Go) == reminders
    assert isinstance(ask(ASK, truth), Go) == forms


def test_a_pause_waits_for_its_end() -> None:
    paused = replace(TRUTH, preferences=(choice(paused_until=NOW + HOUR),))
    assert ask(REMINDER, paused) == No(Reason.QUIET_HOLD, S.PLANNED, NOW + HOUR)
    over = replace(TRUTH, preferences=(choice(paused_until=NOW),))
    assert ask(REMINDER, over) == Go(0)


def test_of_two_pauses_the_longer_holds() -> None:
    for first, second in ((1, 2), (2, 1)):
        pauses = tuple(choice(paused_until=NOW + n * HOUR) for n in (first, second))
        assert ask(REMINDER, replace(TRUTH, preferences=pauses)) == No(Reason.QUIET_HOLD, S.PLANNED, NOW + 2 * HOUR)


def test_a_pause_or_a_choice_holds_no_notice_and_no_other_programs_mail() -> None:
    quiet = choice(paused_until=NOW + HOUR, reminders=False, forms=False)
    for name in NOTICES:
        subject, truth = SITUATIONS[name]
        assert ask(subject, replace(truth, preferences=(quiet,))) == Go(0)
    elsewhere = replace(quiet, program="other1", email=False)
    both = (replace(choice(), paused_until=None), replace(choice(), paused_until=NOW + HOUR))
    for name in SITUATIONS:
        subject, truth = SITUATIONS[name]
        assert ask(subject, replace(truth, preferences=(elsewhere,))) == Go(0)
    assert ask(REMINDER, replace(TRUTH, preferences=both)) == No(Reason.QUIET_HOLD, S.PLANNED, NOW + HOUR)


def test_at_one_instant_the_more_restrictive_decision_holds_and_an_older_one_does_not() -> None:
    basic, permit, deny = ConsentScope.EMAIL_BASIC, ConsentDecision.PERMIT, ConsentDecision.DENY
    for first, second, expected in (
        (consent(basic, permit), consent(basic, deny, CEDARS.public_code), Reason.OPTED_OUT),
        (consent(basic, deny), consent(basic, permit, day=2), None),
        (consent(basic, permit), consent(basic, deny, day=2), Reason.OPTED_OUT),
    ):
        for order in ((first, second), (second, first)):
            assert reason(ask(REMINDER, replace(TRUTH, consents=order))) is expected


@pytest.mark.parametrize("both", list(combinations(ConsentDecision, 2)), ids=str)
def test_decisions_that_contradict_each_other_at_one_instant_permit_nothing(both: tuple[ConsentDecision, ...]) -> None:
    decided = tuple(consent(ConsentScope.EMAIL_BASIC, each) for each in both)
    assert ask(REMINDER, replace(TRUTH, consents=decided)) == No(Reason.OPTED_OUT, S.SKIPPED)


def test_mails_of_a_day_ago_count_for_no_burst() -> None:
    change, truth = SITUATIONS["change"]
    burst = tuple(SentMail(Kind.CHANGE, NOW - n * HOUR) for n in range(1, 6))
    assert ask(change, truth, sent=(*burst, SentMail(Kind.CHANGE, NOW - DAY))) == Go(0)
    last = SentMail(Kind.CHANGE, NOW - DAY + timedelta(seconds=1))
    assert reason(ask(change, truth, sent=(*burst, last))) is Reason.BREAKER_OPEN


@pytest.mark.parametrize("status", ["arrived", "fulfilled", "noshow"])
def test_a_visit_that_has_begun_ends_its_mail(status: str) -> None:
    begun = edited(VISIT, "2027-03-13 09:50", status=AppointmentStatus(status))
    assert ask(REMINDER, chart(begun, FORMS)) == No(Reason.SUPERSEDED, S.SKIPPED)


def test_a_program_ends_only_its_own_mail_and_a_request_only_its_own_asks() -> None:
    other = replace(TRUTH.enrolments[0], program="other1")
    elsewhere = replace(TRUTH, enrolments=(other,))
    assert reason(ask(REMINDER, elsewhere)) is Reason.SUPERSEDED
    assert ask(REMINDER, replace(TRUTH, enrolments=(other, *TRUTH.enrolments))) == Go(0)
    come, missing = received(FORMS, "2027-03-12 09:00"), replace(FORMS, paperwork_id="others")
    assert reason(ask(ASK, chart(VISIT, come, missing))) is Reason.PAPERWORK_RECEIVED
    assert ask(ASK, chart(VISIT, FORMS, replace(come, paperwork_id="others"))) == Go(0)


EVERYONE: Mapping[Reason, Mapping[str, Any]] = {
    Reason.DECEASED: {"status": PatientStatus.DECEASED},
    Reason.MERGED_RECORD: {"status": PatientStatus.MERGED},
    Reason.SUPERSEDED: {"status": PatientStatus.CLOSED},
    Reason.TRUTH_INCOMPLETE: {"status": PatientStatus.UNKNOWN},
    Reason.RESTRICTED: {"status": PatientStatus.RESTRICTED},
    Reason.NO_ADDRESS: {"email": None},
    Reason.MINOR_REVIEW: {"birth_date": Protected(NOW.date().replace(year=2010))},
    Reason.UNVERIFIED_ADDRESS: {"email_verified_at": None},
}


@pytest.mark.parametrize("name", SITUATIONS)
@pytest.mark.parametrize("expected", EVERYONE)
def test_who_isnt_written_to_isnt_told_of_changes_by_mail_either(name: str, expected: Reason) -> None:
    subject, truth = SITUATIONS[name]
    answer = ask(subject, replace(truth, patient=patient(**EVERYONE[expected])))
    assert answer == No(expected, S.HELD if expected in ON_EVENT else S.SKIPPED)


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_shared_or_suppressed_address_is_held(name: str) -> None:
    subject, truth = SITUATIONS[name]
    shared = replace(truth, patient=patient(shares_address=True))
    assert ask(subject, shared) == No(Reason.UNVERIFIED_ADDRESS, S.HELD)
    assert ask(subject, truth, suppressed=True) == No(Reason.SUPPRESSED, S.HELD)


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_pause_of_another_program_or_kind_holds_nothing(name: str) -> None:
    subject, truth = SITUATIONS[name]
    others = frozenset({("zzzz99", None), ("zzzz99", subject.kind), (CEDARS.public_code, Kind.UNKNOWN)})
    assert ask(subject, truth, paused=others) == ask(subject, truth)


def test_an_eighteenth_birthday_counts_from_the_day_itself() -> None:
    born = patient(birth_date=Protected(NOW.date().replace(year=2009)))
    assert ask(REMINDER, replace(TRUTH, patient=born)) == Go(0)
    tomorrow = patient(birth_date=Protected((NOW + DAY).date().replace(year=2009)))
    assert reason(ask(REMINDER, replace(TRUTH, patient=tomorrow))) is Reason.MINOR_REVIEW
    restricted = replace(TRUTH, patient=patient(status=PatientStatus.RESTRICTED))
    assert ask(REMINDER, restricted, CEDARS.model_copy(update={"restricted_mail": True})) == Go(0)


def test_who_has_no_birth_date_may_be_a_minor() -> None:
    assert ask(REMINDER, replace(TRUTH, patient=patient(birth_date=None))) == No(Reason.MINOR_REVIEW, S.HELD)


def test_a_death_ends_everything_whatever_else_is_the_matter() -> None:
    dead = replace(TRUTH, patient=patient(status=PatientStatus.DECEASED))
    end = No(Reason.DECEASED, S.SKIPPED)
    assert ask(REMINDER, replace(dead, incomplete=True), stale_truth=True, now=REMINDER.useful_until) == end
    assert ask(REMINDER, dead, None) == end
    assert ask(REMINDER, dead, ledger=Ledger((REMINDER,), {}, None)) == end


def test_somebody_of_whom_nothing_is_known_is_waited_for() -> None:
    assert ask(REMINDER, replace(TRUTH, patient=None, enrolments=())) == No(Reason.TRUTH_INCOMPLETE, S.HELD)


@pytest.mark.parametrize("name", SITUATIONS)
def test_what_cant_be_read_is_held(name: str) -> None:
    subject, truth = SITUATIONS[name]
    assert ask(subject, replace(truth, incomplete=True)) == No(Reason.TRUTH_INCOMPLETE, S.HELD)
    assert ask(subject, replace(truth, patient=None)) == No(Reason.TRUTH_INCOMPLETE, S.HELD)
    assert ask(subject, replace(truth, appointments=())) == No(Reason.TRUTH_INCOMPLETE, S.HELD)
    assert ask(subject, truth, stale_truth=True) == No(Reason.STALE_TRUTH, S.PLANNED)
    assert ask(subject, truth, None) == No(Reason.PROGRAM_INCOMPLETE, S.HELD)
    incomplete = CEDARS.model_copy(update={"missing": ("sender",)})
    assert ask(subject, truth, incomplete) == No(Reason.PROGRAM_INCOMPLETE, S.HELD)
    for kind in (None, subject.kind):
        assert ask(subject, truth, paused=frozenset({(CEDARS.public_code, kind)})) == No(Reason.PROGRAM_PAUSED, S.HELD)
    assert ask(subject, truth, breaker_open=True) == No(Reason.BREAKER_OPEN, S.PLANNED, NOW + HOUR / 4)
    assert ask(subject, truth, throttled=True) == No(Reason.DOMAIN_THROTTLE, S.PLANNED)
    disarmed = Ledger((subject,), {"visit": TOLD}, None)
    assert ask(subject, truth, ledger=disarmed) == No(Reason.BEFORE_ARMING, S.SKIPPED)


@pytest.mark.parametrize("status", ["proposed", "pending", "waitlist", "unknown"])
def test_a_visit_that_isnt_settled_holds_its_mail(status: str) -> None:
    unsettled = edited(VISIT, "2027-03-13 09:00", status=AppointmentStatus(status))
    assert ask(REMINDER, chart(unsettled, FORMS)) == No(Reason.TRUTH_INCOMPLETE, S.HELD)


def test_facts_take_the_ground_from_under_a_mail() -> None:
    assert ask(REMINDER, chart(OFF, FORMS)) == No(Reason.VISIT_CANCELLED, S.SKIPPED)
    assert ask(ASK, chart(OFF, FORMS)) == No(Reason.VISIT_CANCELLED, S.SKIPPED)
    assert ask(ASK, chart(VISIT, received(FORMS, "2027-03-13 09:00"))) == No(Reason.PAPERWORK_RECEIVED, S.SKIPPED)
    arrived = edited(VISIT, "2027-03-13 09:00", status=AppointmentStatus.ARRIVED)
    assert ask(REMINDER, chart(arrived, FORMS)) == No(Reason.SUPERSEDED, S.SKIPPED)
    assert ask(REMINDER, chart(AWAY, FORMS)) == No(Reason.SUPERSEDED, S.SKIPPED)
    closed = tuple(replace(each, status=EnrolmentStatus.CLOSED) for each in TRUTH.enrolments)
    assert ask(REMINDER, replace(TRUTH, enrolments=closed)) == No(Reason.SUPERSEDED, S.SKIPPED)
    video = edited(
        visit("follow-up", "2027-03-16 09:30", "2027-02-20 09:00"), "2027-03-12 09:00", modality=Modality.VIDEO
    )
    seven = delivery(Kind.REMINDER, reminder_key("visit", VISIT.start, "P7D"), "P7D")
    assert ask(seven, chart(video)) == No(Reason.MODALITY_MISMATCH, S.SKIPPED)
    unknown_type = edited(VISIT, "2027-03-12 09:00", visit_type="massage")
    assert ask(REMINDER, chart(unknown_type)) == No(Reason.MODALITY_MISMATCH, S.SKIPPED)
    nowhere = edited(VISIT, "2027-03-12 09:00", modality=Modality.UNKNOWN)
    assert ask(REMINDER, chart(nowhere)) == No(Reason.TRUTH_INCOMPLETE, S.HELD)


@pytest.mark.parametrize("name", NOTICES)
def test_a_notice_of_nothing_new_is_superseded(name: str) -> None:
    subject, _ = SITUATIONS[name]
    assert reason(ask(subject, TRUTH)) in (Reason.SUPERSEDED, Reason.VISIT_CANCELLED)
    other = chart(OFF if name == "change" else AWAY, FORMS)
    assert ask(subject, other) == No(Reason.SUPERSEDED, S.SKIPPED)


def test_a_notice_of_uncertain_fate_may_repeat_what_is_still_true() -> None:
    heard = Told("visit", 2, AWAY.start, None, Modality.ON_SITE, NOW, "mine", certain=False)
    ledger = Ledger((CHANGE,), {"visit": heard}, LONG_AGO)
    assert ask(CHANGE, chart(AWAY), ledger=ledger) == Go(0)
    again = moved(AWAY, "2027-03-19 13:00", "2027-03-13 09:50")
    assert reason(ask(CHANGE, chart(again), ledger=ledger)) is Reason.SUPERSEDED
    for other in (replace(heard, certain=True), replace(heard, by="another")):
        told = replace(ledger, told={"visit": other})
        assert reason(ask(CHANGE, chart(AWAY), ledger=told)) is Reason.SUPERSEDED
    assert reason(ask(CHANGE, chart(AWAY), ledger=replace(ledger, told={}))) is Reason.SUPERSEDED


def test_past_its_use_a_mail_is_missed() -> None:
    assert ask(REMINDER, TRUTH, now=REMINDER.useful_until) == No(Reason.TOO_LATE, S.MISSED)
    put_off = replace(REMINDER, reason=Reason.CAP_REACHED)
    assert ask(put_off, TRUTH, now=REMINDER.useful_until) == No(Reason.CAP_REACHED, S.MISSED)


def test_what_was_moved_while_claimed_waits_for_its_new_time() -> None:
    later = replace(REMINDER, due_at=NOW + HOUR)
    assert ask(later, TRUTH) == No(Reason.SETTLE, S.PLANNED, NOW + HOUR)


@pytest.mark.parametrize(
    ("local", "care", "notice"),
    [
        ("2027-03-13 07:59", "2027-03-13 09:00", "2027-03-13 08:00"),
        ("2027-03-13 08:30", "2027-03-13 09:00", None),
        ("2027-03-13 09:00", None, None),
        ("2027-03-13 18:59", None, None),
        ("2027-03-13 19:00", "2027-03-14 09:00", None),
        ("2027-03-13 21:00", "2027-03-14 09:00", "2027-03-14 08:00"),
    ],
)
def test_the_window_is_the_recipients_day(local: str, care: str | None, notice: str | None) -> None:
    now = at(local)
    hold = {text: No(Reason.QUIET_HOLD, S.PLANNED, at(text)) for text in (care, notice) if text}
    assert ask(replace(REMINDER, due_at=now), TRUTH, now=now) == (hold[care] if care else Go(0))
    change, truth = SITUATIONS["change"]
    assert ask(replace(change, due_at=now), truth, now=now) == (hold[notice] if notice else Go(0))


def test_within_a_day_of_the_visit_a_notice_goes_at_any_hour() -> None:
    now = at("2027-03-15 22:00")
    off = cancelled(VISIT, "2027-03-15 21:59")
    assert ask(replace(CANCELLATION, due_at=now), chart(off), now=now) == Go(0)


def test_a_notice_keeps_to_its_window_a_day_ahead_and_once_the_time_told_has_come() -> None:
    early = visit("consultation", "2027-03-16 06:00", "2027-02-20 09:00", told=True)
    told = {"visit": replace(TOLD, start=early.start)}
    for now, answer in (
        ("2027-03-15 06:00", No(Reason.QUIET_HOLD, S.PLANNED, at("2027-03-15 08:00"))),
        ("2027-03-15 06:01", Go(0)),
        ("2027-03-16 05:59", Go(0)),
        ("2027-03-16 06:00", No(Reason.QUIET_HOLD, S.PLANNED, at("2027-03-16 08:00"))),
    ):
        change = replace(CHANGE, due_at=at(now), useful_until=at("2027-03-25 13:00"))
        away = moved(early, "2027-03-25 13:00", now)
        assert ask(change, chart(away), ledger=Ledger((change,), told, LONG_AGO), now=at(now)) == answer


def mails(*days: str, kind: Kind = Kind.REMINDER) -> tuple[SentMail, ...]:
    return tuple(SentMail(kind, at(f"{day} 10:00")) for day in days)


def capped(subject: Delivery, sent: tuple[SentMail, ...], *others: Delivery, now: str = "2027-03-13 10:00") -> Go | No:
    ledger = Ledger((subject, *others), {"visit": TOLD}, LONG_AGO)
    return ask(replace(subject, useful_until=at("2027-03-30 00:00")), TRUTH, ledger=ledger, sent=sent, now=at(now))


def test_one_mail_a_day_and_three_in_seven_days() -> None:
    today = mails("2027-03-13")
    assert capped(ASK, today, now="2027-03-13 12:00") == No(Reason.CAP_REACHED, S.PLANNED, at("2027-03-14 10:00"))
    week = mails("2027-03-07", "2027-03-09", "2027-03-11")
    assert capped(ASK, week) == No(Reason.CAP_REACHED, S.PLANNED, at("2027-03-14 10:00"))
    assert capped(ASK, mails("2027-03-06", "2027-03-09", "2027-03-11")) == Go(0)


def test_notices_neither_count_nor_are_counted() -> None:
    assert capped(ASK, mails("2027-03-13", "2027-03-12", "2027-03-11", kind=Kind.CHANGE)) == Go(0)
    change, truth = SITUATIONS["change"]
    assert ask(change, truth, sent=mails("2027-03-13", "2027-03-12", "2027-03-11")) == Go(0)


def test_room_is_kept_for_the_day_before_and_paperwork_gives_way() -> None:
    coming = replace(LAST, delivery_id="last", state=S.PLANNED, due_at=at("2027-03-15 10:00"))
    two = mails("2027-03-10", "2027-03-11")
    assert capped(ASK, two, coming) == No(Reason.CAP_REACHED, S.PLANNED, at("2027-03-17 10:00"))
    assert capped(ASK, mails("2027-03-08", "2027-03-10"), coming) == Go(0)
    assert capped(LAST, two, replace(coming, delivery_id="other")) == Go(0)


def test_what_is_due_at_once_shares_one_mail_and_takes_no_room() -> None:
    assert capped(ASK, (), replace(LAST, delivery_id="other", state=S.PLANNED)) == Go(0)


def test_a_reminder_waits_for_its_visits_notice_unless_that_can_no_longer_come() -> None:
    reminder = replace(REMINDER, dedup_key=reminder_key("visit", AWAY.start, "P3D"))
    for state, answer in (
        (S.PLANNED, No(Reason.SETTLE, S.PLANNED, NOW + timedelta(minutes=5))),
        (S.SENDING, No(Reason.SETTLE, S.PLANNED, NOW + timedelta(minutes=5))),
        (S.FAILED, Go(0)),
    ):
        notice = replace(CHANGE, delivery_id="notice", state=state, due_at=NOW + timedelta(minutes=5))
        ledger = Ledger((reminder, notice), {"visit": TOLD}, LONG_AGO)
        assert ask(reminder, chart(AWAY), ledger=ledger) == answer


def test_a_reminder_waits_for_no_other_visits_notice_and_for_none_that_nobody_made() -> None:
    other = visit("surgery", "2027-03-17 09:30", "2027-02-20 09:00", name="other")
    reminder = replace(REMINDER, dedup_key=reminder_key("other", other.start, "P3D"), appointment_id="other")
    ledger = Ledger((reminder, replace(CHANGE, delivery_id="notice", state=S.PLANNED)), {"visit": TOLD}, LONG_AGO)
    assert ask(reminder, chart(AWAY, other), ledger=ledger) == Go(0)
    mine = replace(REMINDER, dedup_key=reminder_key("visit", AWAY.start, "P3D"))
    assert ask(mine, chart(AWAY), ledger=Ledger((mine,), {"visit": TOLD}, LONG_AGO)) == Go(0)


def test_more_than_six_mails_in_a_day_stop_everything() -> None:
    burst = tuple(SentMail(Kind.CHANGE, NOW - n * HOUR) for n in range(1, 7))
    change, truth = SITUATIONS["change"]
    assert ask(change, truth, sent=burst) == No(Reason.BREAKER_OPEN, S.PLANNED, NOW + 18 * HOUR)
    assert ask(change, truth, sent=burst[1:]) == Go(0)


def test_a_silent_feed_holds_reminders_and_lets_notices_go() -> None:
    assert ask(REMINDER, TRUTH, feed_stale=True) == No(Reason.FEED_STALE, S.PLANNED, NOW + HOUR / 4)
    change, truth = SITUATIONS["change"]
    assert ask(change, truth, feed_stale=True) == Go(0)


@given(
    name=st.sampled_from(sorted(SITUATIONS)),
    status=st.sampled_from(sorted(PatientStatus)),
    verified=st.booleans(),
    shared=st.booleans(),
    decision=st.sampled_from([None, *ConsentDecision]),
    email=st.booleans(),
    suppressed=st.booleans(),
    stale=st.booleans(),
    incomplete=st.booleans(),
)
def test_nothing_goes_that_the_table_forbids(
    name: str, status: PatientStatus, verified: bool, shared: bool, decision: ConsentDecision | None, email: bool,
    suppressed: bool, stale: bool, incomplete: bool,
) -> None:  # fmt: skip
    subject, truth = SITUATIONS[name]
    person = patient(status=status, email_verified_at=LONG_AGO if verified else None, shares_address=shared)
    consents = (consent(ConsentScope.EMAIL_BASIC, decision),) if decision else ()
    truth = replace(truth, patient=person, consents=consents, preferences=(choice(email=email),), incomplete=incomplete)
    answer = ask(subject, truth, suppressed=suppressed, stale_truth=stale)
    addressed = status is PatientStatus.ACTIVE and verified and not shared and not suppressed
    chosen = email and (name in NOTICES or decision in (None, ConsentDecision.PERMIT))
    assert isinstance(answer, Go) == (addressed and chosen and not stale and not incomplete)
    if isinstance(answer, No):
        classes = {S.SKIPPED: FINAL, S.PLANNED: UNTIL, S.HELD: ON_EVENT}
        assert answer.reason in classes[answer.state]
