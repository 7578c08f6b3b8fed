"""What may follow what, and what is refused with which field: the tables of intake's domain, row by row."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chassis.scope import Scope
from schemas.appointment import AppointmentStatus
from schemas.envelope import Origin
from schemas.patient import PatientStatus
from services.intake.domain import Command, Context, Record, Refused, patients
from services.intake.domain import appointments as visits
from services.intake.domain.record import Appointment, Paperwork, Patient
from tests.support.commands import (
    CONTEXT,
    ENROLLED,
    FORMS,
    ITEMS,
    NOW,
    PATIENT,
    START,
    VISIT,
    command,
    enrol,
    forms,
    move,
    reason,
    register,
    run,
    visit,
)

S, P = AppointmentStatus, PatientStatus
HOUR = timedelta(hours=1)
BOOKED = run(visit(), record=ENROLLED)[1]
LATER = replace(CONTEXT, now=START + HOUR)


def refusal(each: Command, record: Record = ENROLLED, context: Context = CONTEXT) -> set[str]:
    """The pointers of the problems."""
    with pytest.raises(Refused) as refused:
        run(each, record=record, context=context)
    assert all(problem.detail for problem in refused.value.problems)
    return {problem.pointer for problem in refused.value.problems}


def with_visit(status: AppointmentStatus) -> Record:
    booked = BOOKED.find(Appointment, VISIT)
    assert booked is not None
    return replace(BOOKED, subjects={**BOOKED.subjects, f"appointment/{VISIT}": replace(booked, status=status)})


ALLOWED = {
    "scheduled": {S.PROPOSED: S.BOOKED, S.PENDING: S.BOOKED, S.WAITLIST: S.BOOKED, S.CANCELLED: S.BOOKED},
    "rescheduled": {each: each for each in (S.PROPOSED, S.PENDING, S.WAITLIST, S.BOOKED)},
    "updated": {each: each for each in (S.PROPOSED, S.PENDING, S.WAITLIST, S.BOOKED, S.ARRIVED)},
    "cancelled": dict.fromkeys((S.PROPOSED, S.PENDING, S.WAITLIST, S.BOOKED), S.CANCELLED),
    "arrived": dict.fromkeys((S.BOOKED, S.NO_SHOW), S.ARRIVED),
    "completed": dict.fromkeys((S.BOOKED, S.ARRIVED, S.NO_SHOW), S.FULFILLED),
    "no_show": dict.fromkeys((S.BOOKED, S.ARRIVED), S.NO_SHOW),
    "removed": {each: S.ENTERED_IN_ERROR for each in S if each is not S.ENTERED_IN_ERROR},
}


@pytest.mark.parametrize("status", list(S))
@pytest.mark.parametrize("name", list(ALLOWED))
def test_a_visit_goes_only_where_its_table_says(name: str, status: AppointmentStatus) -> None:
    start = START + HOUR if name == "rescheduled" else START
    record, event = with_visit(status), visit(name, start=start)
    if status in ALLOWED[name]:
        after, _ = run(event, record=record, context=LATER)
        assert isinstance(after, Appointment)
        assert (after.status, after.version) == (ALLOWED[name][status], 2)
    else:
        assert refusal(event, record, LATER) == {"/type"}


def test_the_table_of_visits_has_no_row_that_is_not_tried() -> None:
    assert {f"appointment.{name}" for name in ALLOWED} - {"appointment.scheduled"} == visits.MOVES.keys()


PATIENT_MOVES = {
    "patient.restricted": {P.ACTIVE: P.RESTRICTED},
    "patient.unrestricted": {P.RESTRICTED: P.ACTIVE},
    "patient.deceased": dict.fromkeys((P.ACTIVE, P.RESTRICTED, P.CLOSED), P.DECEASED),
    "patient.deceased-reversed": {P.DECEASED: P.ACTIVE},
    "patient.closed": dict.fromkeys((P.ACTIVE, P.RESTRICTED), P.CLOSED),
    "patient.erased": dict.fromkeys((P.ACTIVE, P.RESTRICTED, P.DECEASED, P.CLOSED), P.ERASED),
}


@pytest.mark.parametrize("status", [P.ACTIVE, P.RESTRICTED, P.DECEASED, P.CLOSED, P.MERGED, P.ERASED])
@pytest.mark.parametrize("name", list(PATIENT_MOVES))
def test_a_patient_goes_only_where_the_table_says(name: str, status: PatientStatus) -> None:
    record = Record(PATIENT, {f"patient/{PATIENT}": Patient(PATIENT, 7, status)})
    if status in PATIENT_MOVES[name]:
        after, _ = run(reason(name), record=record)
        assert isinstance(after, Patient)
        assert (after.status, after.version) == (PATIENT_MOVES[name][status], 8)
    else:
        assert refusal(reason(name), record) <= {"/type", "/subject"}


def test_the_table_of_patients_has_no_row_that_is_not_tried() -> None:
    assert patients.MOVES.keys() == PATIENT_MOVES.keys()


def test_a_restriction_outlives_a_report_of_death_and_a_closed_record() -> None:
    names = ("patient.restricted", "patient.closed", "patient.deceased", "patient.deceased-reversed")
    after, record = run(register(), *map(reason, names))
    assert isinstance(after, Patient)
    assert after.status is P.CLOSED
    again, _ = run(register(), record=record)
    assert isinstance(again, Patient)
    assert (again.status, again.version) == (P.RESTRICTED, 6)


def test_an_erased_patient_keeps_nothing_but_id_and_version() -> None:
    after, record = run(register(), reason("patient.erased"))
    assert after == Patient(PATIENT, 2, P.ERASED)
    assert refusal(register(), record) == {"/subject"}
    assert refusal(visit(), record) == {"/data/patient_id"}


@pytest.mark.parametrize("status", [P.DECEASED, P.CLOSED])
def test_nothing_new_is_planned_for_a_patient_who_is_gone_but_everything_can_be_stopped(status: PatientStatus) -> None:
    patient = BOOKED.patient
    assert patient is not None
    gone = replace(BOOKED, subjects={**BOOKED.subjects, f"patient/{PATIENT}": replace(patient, status=status)})
    for arming in (move(), visit("updated"), enrol(outside_network="yes"), forms("requested", "requested")):
        assert refusal(arming, gone) == {"/data/patient_id"}
    after, _ = run(visit("cancelled"), record=gone)
    assert after.version == 2


BAD_VISITS: dict[str, tuple[dict[str, Any], str]] = {
    "a program that isn't there": ({"program": "zzzz99"}, "/data/program"),
    "a program of another tenant": ({"program": "r4w8t3"}, "/data/program"),
    "a visit type the program doesn't have": ({"care": {"visit_type": "myelogram"}}, "/data/care/visit_type"),
    "a site the program doesn't have": ({"care": {"visit_type": "surgery", "site": "mars"}}, "/data/care/site"),
    "a modality that isn't offered": ({"modality": "video", "care": {"visit_type": "surgery"}}, "/data/modality"),
    "an end before the start": ({"end": START - HOUR}, "/data/end"),
    "an end at the start": ({"end": START}, "/data/end"),
    "a zone that doesn't exist": ({"zone": "America/Los_Angles"}, "/data/zone"),
    "a zone that is a folder": ({"zone": "America"}, "/data/zone"),
    "a zone that walks out": ({"zone": "../../etc/passwd".replace(".", "_")}, "/data/zone"),
    "a status that can't be scheduled": ({"status": "fulfilled"}, "/data/status"),
    "told in the future": ({"patient_told_at": NOW + HOUR}, "/data/patient_told_at"),
}


@pytest.mark.parametrize("case", list(BAD_VISITS))
def test_a_visit_is_refused_with_the_field(case: str) -> None:
    changes, pointer = BAD_VISITS[case]
    assert refusal(visit(**changes)) == {pointer}


def test_all_that_is_wrong_with_a_visit_is_named_at_once() -> None:
    wrong = visit(end=START, zone="Mars/Olympus", care={"visit_type": "spa", "site": "mars"})
    assert refusal(wrong) == {"/data/end", "/data/zone", "/data/care/visit_type", "/data/care/site"}


def test_a_visit_needs_a_known_patient_and_an_open_enrolment() -> None:
    assert refusal(visit(), Record(PATIENT)) == {"/data/patient_id"}
    assert refusal(visit(), run(register())[1]) == {"/data/program"}
    closed = command("enrolment.closed", {"patient_id": PATIENT, "program": "k7q2m9"})
    assert refusal(visit(), run(closed, record=ENROLLED)[1]) == {"/data/program"}


def test_a_subject_of_another_patient_is_not_touched() -> None:
    assert refusal(visit(), replace(ENROLLED, elsewhere=frozenset({f"appointment/{VISIT}"}))) == {"/subject"}


def test_nothing_but_a_booking_makes_an_appointment_known() -> None:
    for name in visits.MOVES:
        assert refusal(visit(name.partition(".")[2])) == {"/subject"}


def test_the_same_visit_twice_is_a_duplicate_until_the_first_is_cancelled() -> None:
    other = "00000000-0000-4000-8000-0000000000aa"
    assert refusal(visit(subject_id=other), BOOKED) == {"/data/start"}
    run(visit("cancelled"), visit(subject_id=other), record=BOOKED)


def test_a_move_needs_another_start_and_an_update_the_same() -> None:
    assert refusal(visit("rescheduled"), BOOKED) == {"/data/start"}
    assert refusal(visit("updated", start=START + HOUR), BOOKED) == {"/data/start"}


def test_nobody_missed_a_visit_that_has_not_begun() -> None:
    assert refusal(visit("no_show"), BOOKED, replace(CONTEXT, now=START - timedelta(seconds=1))) == {"/type"}
    assert appointment(visit("no_show"), record=BOOKED, context=replace(CONTEXT, now=START)).status is S.NO_SHOW


def appointment(*commands: Command, context: Context = CONTEXT, record: Record = ENROLLED) -> Appointment:
    after, _ = run(*commands, record=record, context=context)
    assert isinstance(after, Appointment)
    return after


def test_what_staff_book_first_the_patient_knows_and_what_a_feed_books_nobody_told() -> None:
    assert appointment(visit()).patient_told_at == NOW
    assert appointment(visit(at={"adapter": "console"})).patient_told_at == NOW
    assert appointment(visit(at={"adapter": "fhir"})).patient_told_at is None
    assert appointment(visit(patient_told_at=None)).patient_told_at is None
    assert appointment(visit(patient_told_at=NOW - HOUR)).patient_told_at == NOW - HOUR


def test_a_pending_visit_is_told_when_it_becomes_booked() -> None:
    pending = visit(status="pending")
    assert appointment(pending).patient_told_at is None
    later = replace(CONTEXT, now=NOW + HOUR)
    booked = appointment(visit(), context=later, record=run(pending, record=ENROLLED)[1])
    assert (booked.patient_told_at, booked.booked_at, booked.start_set_at) == (NOW + HOUR,) * 3


def test_a_change_or_cancellation_is_told_only_when_staff_say_so() -> None:
    assert appointment(move(), record=BOOKED).patient_told_at is None
    assert appointment(move(patient_told_at=NOW), record=BOOKED).patient_told_at == NOW
    assert appointment(visit("cancelled"), record=BOOKED).patient_told_at is None
    assert appointment(visit("cancelled", patient_told_at=NOW), record=BOOKED).patient_told_at == NOW


def test_an_edit_of_what_nobody_tells_leaves_the_patient_told() -> None:
    clinician = {"visit_type": "consultation", "clinician": "Demo Clinician"}
    assert appointment(visit("updated", care=clinician), record=BOOKED).patient_told_at == NOW
    zone = visit("updated", zone="America/New_York")
    assert appointment(zone, record=BOOKED).patient_told_at is None


def test_the_times_of_a_visit_say_when_it_was_booked_moved_and_edited() -> None:
    first, second = replace(CONTEXT, now=NOW + HOUR), replace(CONTEXT, now=NOW + 2 * HOUR)
    after, record = run(move(), record=BOOKED, context=first)
    assert isinstance(after, Appointment)
    assert (after.booked_at, after.start_set_at, after.changed_at) == (NOW, NOW + HOUR, NOW + HOUR)
    after, _ = run(visit("updated", start=START + 24 * HOUR), record=record, context=second)
    assert isinstance(after, Appointment)
    assert (after.booked_at, after.start_set_at, after.changed_at) == (NOW, NOW + HOUR, NOW + 2 * HOUR)


def test_a_backfill_happened_when_its_poster_says() -> None:
    then = NOW - 100 * HOUR
    after = appointment(visit(at={"origin": Origin.BACKFILL, "time": then}))
    assert (after.booked_at, after.start_set_at, after.changed_at) == (then, then, then)


def test_what_arms_must_be_newer_and_what_stops_is_always_taken() -> None:
    old = {"time": NOW - HOUR}
    assert refusal(move(at=old), BOOKED) == {"/time"}
    assert appointment(move(at={**old, "source": "https://another.example/feed"}), record=BOOKED).version == 2
    assert appointment(visit("cancelled", at=old), record=BOOKED).status is S.CANCELLED


def test_an_event_from_the_future_is_refused() -> None:
    assert refusal(visit(at={"time": NOW + HOUR})) == {"/time"}


BAD_CONTACTS: dict[str, tuple[dict[str, Any], str]] = {
    "born tomorrow": ({"birth_date": "2027-02-27"}, "birth_date"),
    "born in another age": ({"birth_date": "1850-01-01"}, "birth_date"),
    "no address": ({"email": "ana at example"}, "email"),
    "two addresses": ({"email": "ana@example.org,ben@example.org"}, "email"),
    "a name with an address": ({"email": "Ana <ana@example.org>"}, "email"),
    "a dot too many": ({"email": "ana..test@example.org"}, "email"),
    "a host alone": ({"email": "ana@localhost"}, "email"),
    "verified without an address": ({"email": None, "email_verified_at": NOW}, "email_verified_at"),
    "verified in the future": ({"email_verified_at": NOW + HOUR}, "email_verified_at"),
}


@pytest.mark.parametrize("case", list(BAD_CONTACTS))
def test_a_contact_is_refused_with_the_field(case: str) -> None:
    changes, field = BAD_CONTACTS[case]
    assert refusal(register(**changes), Record(PATIENT)) == {f"/data/contact/{field}"}


@pytest.mark.parametrize(
    "address", ["ana@example.org", "jörg@exämple.org", "a+b@sub.example.com", "用户@例え.example.org"]
)
def test_an_address_is_taken_in_any_script(address: str) -> None:
    run(register(email=address))


FORM_MOVES = {
    ("received", "requested", "received"), ("received", "waived", "received"), ("waived", "requested", "waived"),
    ("reopened", "received", "requested"), ("reopened", "waived", "requested"),
}  # fmt: skip


@pytest.mark.parametrize("to", ["requested", "received", "waived"])
@pytest.mark.parametrize("before", ["requested", "received", "waived"])
@pytest.mark.parametrize("name", ["requested", "received", "waived", "reopened"])
def test_a_form_goes_only_where_the_table_says(name: str, before: str, to: str) -> None:
    record = run(forms("requested", "requested", "requested"), record=ENROLLED)[1]
    if before != "requested":
        record = run(forms(before, before, "requested"), record=record)[1]
    event = forms(name, to, "requested")
    if (name, before, to) in FORM_MOVES:
        after, _ = run(event, record=record)
        assert isinstance(after, Paperwork)
        assert [item.status for item in after.items] == [to, "requested"]
    else:
        assert refusal(event, record) == ({"/data/items"} if before == to else {"/data/items/0/status"})


def test_a_form_that_was_never_requested_is_not_received() -> None:
    assert refusal(forms("received", "received")) == {"/subject"}
    record = run(forms("requested", "requested"), record=ENROLLED)[1]
    assert refusal(forms("received", "received", "received"), record) == {"/data/items/1/item_id"}


def test_every_item_stands_in_every_post_once() -> None:
    record = run(forms("requested", "requested", "requested"), record=ENROLLED)[1]
    assert refusal(forms("received", "received"), record) == {"/data/items"}
    twice = [{"item_id": ITEMS[0], "form": form} for form in ("record-release", "record-release")]
    assert refusal(forms("requested", items=twice)) == {"/data/items/1/item_id", "/data/items/1/form"}


def test_forms_are_asked_for_again_from_now_on() -> None:
    later = replace(CONTEXT, now=NOW + HOUR)
    asked = run(forms("requested", "requested", "requested"), record=ENROLLED)[1]
    received, record = run(forms("received", "received", "requested"), record=asked, context=later)
    assert isinstance(received, Paperwork)
    assert (received.requested_at, received.changed_at) == (NOW, NOW + HOUR)
    again, _ = run(forms("reopened", "requested", "requested"), record=record, context=later)
    assert isinstance(again, Paperwork)
    assert again.requested_at == NOW + HOUR


def test_forms_belong_to_a_visit_of_this_patient_that_is_ahead() -> None:
    asked = forms("requested", "requested", appointment_id=VISIT)
    assert refusal(asked) == {"/data/appointment_id"}
    assert refusal(asked, run(visit("cancelled"), record=BOOKED)[1]) == {"/data/appointment_id"}
    record = run(asked, record=BOOKED)[1]
    assert refusal(forms("received", "received"), record) == {"/data/appointment_id"}


def test_a_form_the_program_does_not_have_is_refused() -> None:
    strange = [{"item_id": ITEMS[0], "form": "tax-return"}]
    assert refusal(forms("requested", items=strange)) == {"/data/items/0/form"}


def test_one_open_enrolment_for_each_program() -> None:
    assert refusal(enrol(), ENROLLED) == {"/type"}
    assert refusal(enrol(program="r4w8t3"), run(register())[1]) == {"/data/program"}, "a program of another tenant"
    assert refusal(replace(enrol(), subject_id=FORMS), ENROLLED) == {"/data/program"}
    after, _ = run(enrol(outside_network="yes"), record=ENROLLED)
    assert after.version == 2


def consent(name: str, **changes: Any) -> Command:
    data = {
        "patient_id": PATIENT, "scope": "email-basic", "text_version": "1", "decided_at": NOW, "recorded_by": "desk",
    }  # fmt: skip
    return command(f"consent.{name}", data | changes)


def test_a_grant_does_not_overturn_a_later_withdrawal() -> None:
    record = run(consent("withdrawn"), record=ENROLLED)[1]
    assert refusal(consent("granted", decided_at=NOW - HOUR), record) == {"/data/decided_at"}
    assert run(consent("granted"), record=record)[0].version == 2
    assert run(consent("withdrawn", decided_at=NOW - HOUR), record=record)[0].version == 2


def test_a_consent_stays_about_what_it_was_about() -> None:
    record = run(consent("granted"), record=ENROLLED)[1]
    assert refusal(consent("granted", scope="trial-contact"), record) == {"/data/scope"}
    assert refusal(consent("granted", decided_at=NOW + HOUR), record) == {"/data/decided_at"}


def preference(**changes: Any) -> Command:
    return command("preference.changed", {"patient_id": PATIENT, "program": "k7q2m9"} | changes)


def test_a_program_has_one_set_of_preferences() -> None:
    record = run(preference(reminders=False), record=ENROLLED)[1]
    assert run(preference(), record=record)[0].version == 2
    assert refusal(replace(preference(), subject_id=FORMS), record) == {"/subject"}


def facts(**changes: Any) -> Command:
    fact = {"name": "opening-pressure", "value": 5, "source": "chart", "observed_at": NOW} | changes
    return command("facts.recorded", {"patient_id": PATIENT, "block": {"facts": [fact]}})


BAD_FACTS: dict[str, tuple[dict[str, Any], str]] = {
    "seen in the future": ({"observed_at": NOW + HOUR}, "observed_at"),
    "void before it was seen": ({"valid_until": NOW}, "valid_until"),
    "not a number": ({"value": float("nan")}, "value"),
    "a control character": ({"value": {"note": ["a\x07"]}}, "value"),
    "a direction mark": ({"value": "a\u202eb"}, "value"),
    "longer than anything": ({"value": "x" * 3000}, "value"),
}


@pytest.mark.parametrize("case", list(BAD_FACTS))
def test_a_fact_is_refused_with_the_field(case: str) -> None:
    changes, field = BAD_FACTS[case]
    assert refusal(facts(**changes)) == {f"/data/block/facts/0/{field}"}
    assert run(facts(), record=ENROLLED)[0].version == 1


def test_a_key_for_other_programs_touches_neither_visit_nor_patient() -> None:
    narrow = replace(CONTEXT, scope=Scope("cedars", frozenset({"zzzz99"})))
    assert refusal(visit(), ENROLLED, narrow) == {"/data/patient_id"}
    assert refusal(reason("patient.restricted"), ENROLLED, narrow) == {"/subject"}
    assert refusal(enrol(), run(register())[1], narrow) == {"/data/program"}


def test_no_refusal_repeats_what_was_posted() -> None:
    with pytest.raises(Refused) as refused:
        run(visit(zone="Mars/Olympus", care={"visit_type": "secret-type"}), record=ENROLLED)
    text = f"{refused.value} {refused.value.problems}"
    assert "Olympus" not in text
    assert "secret" not in text


def test_a_visit_is_stopped_even_when_its_program_is_no_longer_set_up() -> None:
    without = replace(CONTEXT, programs={})
    assert appointment(visit("cancelled"), record=BOOKED, context=without).status is S.CANCELLED
    assert refusal(move(), BOOKED, without) == {"/data/program"}
    narrow = replace(CONTEXT, programs={}, scope=Scope("cedars", frozenset({"zzzz99"})))
    assert refusal(visit("cancelled"), BOOKED, narrow) == {"/data/patient_id"}
