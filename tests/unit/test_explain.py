"""Why, as a pure function of the evidence: data, and sentences that a person can read aloud."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from schemas.appointment import Modality
from schemas.outcomes import DeliveryState, Kind
from services.notifier.domain import Delivery, Reason, Told
from services.notifier.evidence import Attempt, Change, Evidence
from services.notifier.explain import explain
from tests.support.programs import CEDARS

S = DeliveryState
DUE = datetime(2027, 3, 14, 14, 0, tzinfo=UTC)
DELIVERY = Delivery(
    delivery_id="d1", dedup_key="reminder/a1/20270315T180000Z/P1D", kind=Kind.REMINDER, program=CEDARS.public_code,
    state=S.PLANNED, reason=None, due_at=DUE, useful_until=DUE + timedelta(days=1), appointment_id="a1", step="P1D",
    created_at=DUE - timedelta(days=10),
)  # fmt: skip
EVIDENCE = Evidence(
    delivery=DELIVERY, patient_id="p1", rule="follow-up/on-site/P1D", due_local="2027-03-14T10:00",
    zone="America/New_York", attempts=0, history=(Change(DELIVERY.created_at or DUE, None, S.PLANNED, None, "plan"),),
    program=CEDARS,
)  # fmt: skip
MAIL = Attempt(
    "m1", "<m1@mail.example.com>", 1, "v7", "t3", {"mails_in_eight_days": 2, "revision": 5}, DUE, DUE, "accepted",
    "dot", 250, "2.0.0", 0,
)  # fmt: skip
TOLD = Told("a1", 3, datetime(2027, 3, 15, 18, 0, tzinfo=UTC), None, Modality.ON_SITE, DUE - timedelta(days=7), "staff")


def test_a_planned_one_says_its_rule_and_its_times_on_both_clocks_across_the_change_to_summer_time() -> None:
    shown = explain(EVIDENCE)
    assert shown["text"] == [
        "Appointment reminder: Will be sent.",
        "Rule: A reminder the day before the visit, at 10:00 on the patient's clock.",
        "Due Sunday, March 14, 2027, 10:00 AM Eastern Daylight Time; of no use from Monday, March 15, 2027, 10:00 AM "
        "Eastern Daylight Time on.",
        "On the clinic's clock that is Sunday, March 14, 2027, 7:00 AM Pacific Daylight Time.",
        "Thursday, March 4, 2027, 9:00 AM Eastern Standard Time, by the plan: Planned.",
    ]
    assert shown["rule"]["version"] == CEDARS.version
    assert shown["times"]["due_at"] == "2027-03-14T14:00:00+00:00"
    assert (shown["mail"], shown["told"], shown["looked_at"], shown["same_mail"]) == (None, None, None, [])


def test_a_sent_one_says_what_the_check_saw_what_the_server_said_and_what_went_with_it() -> None:
    other = replace(DELIVERY, delivery_id="d2", kind=Kind.PAPERWORK, step="P1D", state=S.SENT)
    sent = replace(EVIDENCE, delivery=replace(DELIVERY, state=S.SENT), attempt=MAIL, together=(other,), told=TOLD)
    shown = explain(sent)
    assert shown["rule"]["version"] == "v7"
    assert shown["looked_at"] == {"mails_in_eight_days": 2, "revision": 5}
    assert shown["same_mail"] == [{"delivery_id": "d2", "kind": "paperwork-request", "step": "P1D", "state": "sent"}]
    text = "\n".join(shown["text"])
    assert "Mail <m1@mail.example.com>, tier 1, handed over on Sunday, March 14, 2027, 10:00 AM" in text
    assert "The mail server took it (250 2.0.0)." in text
    assert "as the last check knew: 2." in text
    assert "In the same mail: request for forms." in text
    assert (
        "The patient last heard by staff on Sunday, March 7, 2027, 9:00 AM Eastern Standard Time that the visit" in text
    )


def test_a_no_says_its_class_and_what_to_do() -> None:
    held = replace(EVIDENCE, delivery=replace(DELIVERY, state=S.HELD, reason=Reason.SUPPRESSED))
    shown = explain(held)
    assert shown["reason_class"] == "on_event"
    assert shown["text"][:2] == [
        "Appointment reminder: Is held. The address refused mail before.",
        "What to do: Ask the patient for another address, or call.",
    ]


def test_what_may_not_have_arrived_and_what_was_called_off_is_said_so() -> None:
    doubtful = replace(TOLD, certain=False, by="d1", start=None)
    shown = explain(
        replace(
            EVIDENCE, told=doubtful, attempt=replace(MAIL, verdict="uncertain", code=None, enhanced=None, resends=1)
        )
    )
    text = "\n".join(shown["text"])
    assert "The patient may have heard by this message on" in text
    assert "that the visit is cancelled." in text
    assert "nobody knows whether it arrived. It was sent once more, with the same bytes." in text


def test_a_zone_or_program_this_machine_does_not_know_is_no_reason_to_fail() -> None:
    shown = explain(replace(EVIDENCE, zone="Mars/Olympus", program=None))
    assert "Coordinated Universal Time" in shown["times"]["due"]
    assert shown["rule"]["version"] is None


def test_the_answer_is_json() -> None:
    assert json.loads(json.dumps(explain(replace(EVIDENCE, attempt=MAIL, told=TOLD))))["delivery_id"] == "d1"
