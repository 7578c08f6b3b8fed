"""Invitations to trials: once in a life for each, in hours for trials, and only in words that are approved now."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from schemas.envelope import Origin
from schemas.outcomes import DeliveryState, Kind
from schemas.patient import ConsentDecision, ConsentScope, EnrolmentStatus, PatientStatus
from schemas.programs import Program
from schemas.protected import Protected
from schemas.trials import ApprovalStatus, RecruitmentStatus
from services.notifier.domain import Consent, Delivery, KnownTrial, Ledger, Reason, Stop, Truth
from services.notifier.grouping import group
from services.notifier.guard import Go, Moment, No, guard
from services.notifier.plan import plan
from tests.support.charts import LONG_AGO, NEW_YORK, agreed, at, chart, known_trial, local, patient, request, visit
from tests.support.desk import Desk
from tests.support.programs import CEDARS, PROGRAMS

S = DeliveryState
NOW = at("2027-03-01 10:00")
"""A Monday."""
ASKED = request("2027-03-01 10:00", "2027-03-04 10:00")
TRUTH = replace(chart(ASKED), consents=(agreed(),))
TRIALS = {"trial": known_trial()}
ARMED = Ledger(armed_at=LONG_AGO)


def desk(truth: Truth = TRUTH, now: datetime = NOW, **more: Any) -> Desk:
    return Desk(truth, now, trials=TRIALS, **more)


# plan


def test_a_request_is_one_delivery_due_at_once_and_useful_until_it_expires() -> None:
    [wanted] = plan(TRUTH, PROGRAMS, ARMED, NOW).wanted
    assert (wanted.kind, wanted.dedup_key, wanted.request_id) == (Kind.TRIAL_INVITATION, "trial/trial", "request")
    assert (wanted.due_at, wanted.useful_until, wanted.program) == (NOW, ASKED.expires_at, CEDARS.public_code)


@pytest.mark.parametrize(
    ("asked", "zone", "due"),
    [
        ("2027-03-01 17:00", None, "2027-03-02 09:00"),
        ("2027-03-05 18:00", None, "2027-03-08 09:00"),
        ("2027-03-01 14:30", NEW_YORK, "2027-03-02 06:00"),
        ("2027-03-01 05:00", NEW_YORK, "2027-03-01 06:00"),
    ],
)
def test_it_waits_for_the_hours_for_trials_on_the_recipients_clock(asked: str, zone: str | None, due: str) -> None:
    truth = chart(request(asked, "2027-03-12 10:00"), person=patient(**({"zone": zone} if zone else {})))
    for later in (timedelta(0), timedelta(hours=20)):  # planned again later, it is due when it was
        [wanted] = plan(truth, PROGRAMS, ARMED, at(asked) + later).wanted
        assert local(wanted.due_at) == due


def test_it_goes_out_once_and_never_again_whoever_asks() -> None:
    one = desk()
    one.until(NOW + timedelta(days=1))
    assert [each.kind for each in one.sent] == [Kind.TRIAL_INVITATION]
    again = request("2027-03-09 10:00", "2027-03-12 10:00", "another")
    one.hear(replace(TRUTH, requests=(ASKED, again)), at=at("2027-03-09 10:00"))
    one.until(at("2027-03-20 10:00"))
    assert len(one.sent) == 1


def test_two_requests_for_one_trial_are_one_delivery_and_for_two_trials_two() -> None:
    twice = request("2027-03-01 10:00", "2027-03-05 10:00", "longer")
    other = request("2027-03-01 10:00", "2027-03-05 10:00", "other", trial="other")
    for requests in ((ASKED, twice, other), (other, twice, ASKED)):
        wanted = plan(replace(TRUTH, requests=requests), PROGRAMS, ARMED, NOW).wanted
        assert {(each.dedup_key, each.request_id) for each in wanted} == {
            ("trial/trial", "longer"), ("trial/other", "other"),
        }  # fmt: skip


def test_withdrawn_before_it_went_out_it_is_cancelled_and_asked_for_again_planned_again() -> None:
    evening = request("2027-03-01 18:00", "2027-03-05 10:00")
    one = desk(replace(TRUTH, requests=(evening,)), evening.requested_at)
    one.hear(replace(TRUTH, requests=()))
    row = one.row("trial/trial")
    assert (row.state, row.reason) == (S.CANCELLED, Reason.MATCH_WITHDRAWN)
    again = request("2027-03-01 19:00", "2027-03-05 10:00", "again")
    one.hear(replace(TRUTH, requests=(again,)))
    assert (one.row("trial/trial").state, one.row("trial/trial").request_id) == (S.PLANNED, "again")


def test_a_request_that_expires_unsent_is_missed() -> None:
    one = Desk(replace(TRUTH, consents=()), NOW, trials=TRIALS)
    one.until(ASKED.expires_at + timedelta(hours=1))
    assert one.row("trial/trial").state is S.MISSED
    assert one.sent == []


def test_what_was_refused_for_good_is_asked_anew_by_another_request_alone() -> None:
    refused = replace(TRUTH, consents=(replace(agreed(), decision=ConsentDecision.DENY),))
    one = desk(refused)
    one.until(NOW)
    assert (one.row("trial/trial").state, one.row("trial/trial").reason) == (S.SKIPPED, Reason.OPTED_OUT)
    one.hear(TRUTH)
    assert one.row("trial/trial").state is S.SKIPPED
    anew = request("2027-03-02 10:00", "2027-03-05 10:00", "anew")
    one.hear(replace(TRUTH, requests=(ASKED, anew)), at=at("2027-03-02 10:00"))
    one.until(at("2027-03-02 10:00"))
    assert one.row("trial/trial").state is S.SENT


def test_nobody_who_isnt_enrolled_is_invited_and_who_leaves_isnt_any_more() -> None:
    gone = replace(TRUTH, enrolments=tuple(replace(e, status=EnrolmentStatus.CLOSED) for e in TRUTH.enrolments))
    assert plan(gone, PROGRAMS, ARMED, NOW).wanted == ()
    one = desk(replace(TRUTH, requests=(request("2027-03-01 18:00", "2027-03-05 10:00"),)), at("2027-03-01 18:00"))
    one.hear(replace(gone, requests=one.truth.requests))
    assert one.row("trial/trial").state is S.CANCELLED


def test_an_unknown_program_is_staffs_to_put_right() -> None:
    elsewhere = replace(ASKED, program="zzzz")
    enrolment = replace(TRUTH.enrolments[0], program="zzzz")
    made = plan(replace(TRUTH, requests=(elsewhere,), enrolments=(enrolment,)), PROGRAMS, ARMED, NOW)
    assert (made.wanted, [each.code for each in made.tasks]) == ((), ["unknown_program"])


@pytest.mark.parametrize("old", [{"origin": Origin.SNAPSHOT}, {"recorded_at": NOW - timedelta(hours=49)}])
def test_old_news_and_what_was_due_before_arming_invite_nobody(old: Mapping[str, Any]) -> None:
    [wanted] = plan(chart(replace(ASKED, **old)), PROGRAMS, ARMED, NOW).wanted
    assert wanted.end is Reason.BEFORE_ARMING
    [wanted] = plan(TRUTH, PROGRAMS, Ledger(armed_at=NOW + timedelta(hours=1)), NOW).wanted
    assert wanted.end is Reason.BEFORE_ARMING


def test_the_dead_are_not_invited() -> None:
    one = desk(replace(TRUTH, requests=(request("2027-03-01 18:00", "2027-03-05 10:00"),)), at("2027-03-01 18:00"))
    one.hear(replace(one.truth, patient=patient(status=PatientStatus.DECEASED)))
    assert (one.row("trial/trial").state, one.row("trial/trial").reason) == (S.CANCELLED, Reason.DECEASED)


def test_of_two_mails_on_one_day_the_reminder_goes_and_the_invitation_waits() -> None:
    booking = visit("consultation", "2027-03-16 09:30", "2027-02-20 09:00", told=True)
    one = desk(replace(chart(booking), consents=(agreed(),)), booking.booked_at)
    one.hear(replace(one.truth, requests=(request("2027-03-02 10:00", "2027-03-09 10:00"),)), at=at("2027-03-02 09:59"))
    one.until(at("2027-03-04 12:00"))
    assert [(local(each.at)[:10], each.kind) for each in one.sent] == [
        ("2027-03-02", Kind.REMINDER), ("2027-03-03", Kind.TRIAL_INVITATION),
    ]  # fmt: skip


def test_an_invitation_is_a_mail_of_its_own_behind_all_others() -> None:
    reminder = Delivery("r", "reminder/visit/x/P3D", Kind.REMINDER, CEDARS.public_code, S.CLAIMED, None, NOW, NOW)
    notice = replace(reminder, delivery_id="n", kind=Kind.CHANGE)
    mails = group([INVITATION, reminder, notice], TRUTH)
    assert [each.kind for each in mails] == [Kind.CHANGE, Kind.REMINDER, Kind.TRIAL_INVITATION]


# guard

INVITATION = Delivery(
    "mine", "trial/trial", Kind.TRIAL_INVITATION, CEDARS.public_code, S.CLAIMED, None, NOW, ASKED.expires_at,
    request_id="request",
)  # fmt: skip


def ask(
    truth: Truth = TRUTH, program: Program = CEDARS, trials: Mapping[str, KnownTrial] | None = TRIALS, **moment: Any
) -> Go | No:
    ledger = Ledger((INVITATION,), {}, LONG_AGO)
    return guard(INVITATION, truth, program, ledger, Moment(**({"now": NOW, "trials": trials} | moment)))


def consented(*decisions: ConsentDecision, scope: ConsentScope = ConsentScope.TRIAL_CONTACT) -> Truth:
    made = (Consent(f"c{n}", scope, d, LONG_AGO + timedelta(days=n), None) for n, d in enumerate(decisions))
    return replace(TRUTH, consents=tuple(made))


def test_tier_1_needs_both_consents() -> None:
    assert ask() == Go(0)
    both = replace(TRUTH, consents=(agreed(), agreed(ConsentScope.EMAIL_DETAILED)))
    assert ask(both) == Go(1)
    assert ask(replace(TRUTH, consents=(agreed(ConsentScope.EMAIL_DETAILED),))) == No(Reason.CONSENT_MISSING, S.HELD)


@pytest.mark.parametrize(
    ("truth", "answer"),
    [
        (consented(), No(Reason.CONSENT_MISSING, S.HELD)),
        (consented(ConsentDecision.DENY), No(Reason.OPTED_OUT, S.SKIPPED)),
        (consented(ConsentDecision.PERMIT, ConsentDecision.DENY), No(Reason.OPTED_OUT, S.SKIPPED)),
        (consented(ConsentDecision.UNKNOWN), No(Reason.CONSENT_MISSING, S.HELD)),
        (replace(TRUTH, stops=(Stop(Kind.TRIAL_INVITATION, NOW),)), No(Reason.OPTED_OUT, S.SKIPPED)),
        (replace(TRUTH, stops=(Stop(Kind.REMINDER, NOW),)), Go(0)),
        (replace(TRUTH, requests=()), No(Reason.MATCH_WITHDRAWN, S.SKIPPED)),
        (replace(TRUTH, patient=patient(status=PatientStatus.DECEASED)), No(Reason.DECEASED, S.SKIPPED)),
        (replace(TRUTH, patient=patient(status=PatientStatus.RESTRICTED)), No(Reason.RESTRICTED, S.HELD)),
        (replace(TRUTH, patient=patient(birth_date=Protected(date(2015, 1, 1)))), No(Reason.MINOR_REVIEW, S.HELD)),
    ],
)
def test_who_is_invited_has_agreed_to_it_and_may_be_written_to(truth: Truth, answer: Go | No) -> None:
    assert ask(truth) == answer


def approved(**changes: Any) -> dict[str, KnownTrial]:
    trial = known_trial()
    return {"trial": replace(trial, approvals=(trial.approvals[0].model_copy(update=changes),))}


@pytest.mark.parametrize(
    ("trials", "answer"),
    [
        (None, No(Reason.STALE_TRUTH, S.PLANNED)),
        ({}, No(Reason.APPROVAL_UNKNOWN, S.HELD)),
        ({"trial": known_trial(approvals=())}, No(Reason.APPROVAL_UNKNOWN, S.HELD)),
        (approved(approval_id="other"), No(Reason.APPROVAL_UNKNOWN, S.HELD)),
        (approved(text_version="v2"), No(Reason.APPROVAL_UNKNOWN, S.HELD)),
        (approved(language="es"), No(Reason.APPROVAL_UNKNOWN, S.HELD)),
        (approved(status=ApprovalStatus.SUSPENDED), No(Reason.IRB_EXPIRED, S.SKIPPED)),
        (approved(status=ApprovalStatus.UNKNOWN), No(Reason.IRB_EXPIRED, S.SKIPPED)),
        (approved(valid_until=date(2027, 2, 28)), No(Reason.IRB_EXPIRED, S.SKIPPED)),
        (approved(valid_until=date(2027, 3, 1)), Go(0)),
        ({"trial": known_trial(status=RecruitmentStatus.SUSPENDED)}, No(Reason.MATCH_WITHDRAWN, S.SKIPPED)),
        ({"trial": known_trial(status=RecruitmentStatus.UNKNOWN)}, No(Reason.MATCH_WITHDRAWN, S.SKIPPED)),
        ({"trial": known_trial(programs=("other",))}, No(Reason.TRIALS_NOT_OFFERED, S.SKIPPED)),
        ({"trial": known_trial(programs=(CEDARS.public_code,))}, Go(0)),
    ],
)
def test_only_words_that_are_approved_now_go_out(trials: Mapping[str, KnownTrial] | None, answer: Go | No) -> None:
    assert ask(trials=trials) == answer


def test_words_are_approved_in_one_language_each() -> None:
    spanish = replace(TRUTH, requests=(replace(ASKED, language="es"),))
    assert ask(spanish) == No(Reason.APPROVAL_UNKNOWN, S.HELD)
    assert ask(spanish, trials=approved(language="es")) == Go(0)


def test_the_last_day_of_an_approval_ends_at_midnight_in_the_programs_zone() -> None:
    last = approved(valid_until=date(2027, 3, 1))
    tonight, tomorrow = at("2027-03-01 23:59"), at("2027-03-02 00:00")
    assert ask(trials=last, now=tonight) == No(Reason.QUIET_HOLD, S.PLANNED, at("2027-03-02 09:00"))
    assert ask(trials=last, now=tomorrow) == No(Reason.IRB_EXPIRED, S.SKIPPED)


def test_a_program_must_offer_trials_and_have_an_address_for_them() -> None:
    none = CEDARS.model_copy(update={"offers_trials": False})
    assert ask(program=none) == No(Reason.TRIALS_NOT_OFFERED, S.SKIPPED)
    assert ask(program=none, trials=None) == No(Reason.TRIALS_NOT_OFFERED, S.SKIPPED)
    assert ask(program=CEDARS.model_copy(update={"trials_sender": None})) == No(Reason.PROGRAM_INCOMPLETE, S.HELD)


@pytest.mark.parametrize(
    ("now", "again"),
    [
        ("2027-03-01 08:59", "2027-03-01 09:00"),
        ("2027-03-01 17:00", "2027-03-02 09:00"),
        ("2027-03-03 16:59", None),
        ("2027-03-03 18:30", "2027-03-04 09:00"),
    ],
)
def test_it_goes_out_only_in_the_hours_for_trials(now: str, again: str | None) -> None:
    early = replace(INVITATION, due_at=at("2027-03-01 08:00"))
    answer = guard(early, TRUTH, CEDARS, Ledger((early,), {}, LONG_AGO), Moment(at(now), trials=TRIALS))
    assert answer == (No(Reason.QUIET_HOLD, S.PLANNED, at(again)) if again else Go(0))
