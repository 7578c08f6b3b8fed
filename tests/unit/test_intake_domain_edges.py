"""Intake's rules where two of a kind meet: two programs, a second visit or enrolment, the first version, the bound."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from schemas.patient import ConsentDecision, EnrolmentStatus, PatientStatus
from schemas.programs import Site
from services.intake.domain import Command, Context, Record, Refused
from services.intake.domain.commands import posted_as
from services.intake.domain.record import Appointment, Consent, Enrolment, Patient
from services.intake.domain.refusals import Problem
from tests.support.commands import (
    CONTEXT,
    ENROLLED,
    FORMS,
    ITEMS,
    NOW,
    PATIENT,
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
from tests.support.programs import CEDARS, PROGRAMS

HOUR = timedelta(hours=1)
OTHER = "zzzz99"
BOTH = replace(CONTEXT, programs=PROGRAMS | {OTHER: CEDARS.model_copy(update={"public_code": OTHER})})
SECOND = FORMS
IN_BOTH = run(replace(enrol(program=OTHER), subject_id=SECOND), record=ENROLLED, context=BOTH)[1]


def refusal(each: Command, record: Record = ENROLLED, context: Context = BOTH) -> set[str]:
    with pytest.raises(Refused) as refused:
        run(each, record=record, context=context)
    return {problem.pointer for problem in refused.value.problems}


def consent(name: str, **changes: Any) -> Command:
    data = {
        "patient_id": PATIENT, "scope": "email-basic", "text_version": "1", "decided_at": NOW, "recorded_by": "desk",
    }  # fmt: skip
    return command(f"consent.{name}", data | changes)


def preference(program: str = CEDARS.public_code) -> Command:
    return command("preference.changed", {"patient_id": PATIENT, "program": program})


def facts(count: int = 1, **changes: Any) -> Command:
    fact = {"name": "opening-pressure", "value": 5, "source": "chart", "observed_at": NOW} | changes
    return command("facts.recorded", {"patient_id": PATIENT, "block": {"facts": [fact] * count}})


FIRSTS = {
    "visit": visit(), "forms": forms("requested", "requested"), "consent": consent("granted"),
    "preference": preference(), "facts": facts(),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(FIRSTS))
def test_the_first_version_of_everything_is_one(kind: str) -> None:
    assert run(FIRSTS[kind], record=ENROLLED)[0].version == 1
    assert run(enrol(), record=run(register())[1])[0].version == 1


def test_nothing_changes_its_program() -> None:
    booked = run(visit(), record=IN_BOTH, context=BOTH)[1]
    assert refusal(move(program=OTHER), booked) == {"/data/program"}
    asked = run(forms("requested", "requested"), record=IN_BOTH, context=BOTH)[1]
    assert refusal(forms("received", "received", program=OTHER), asked) == {"/data/program"}
    chosen = run(preference(), record=IN_BOTH, context=BOTH)[1]
    assert refusal(preference(OTHER), chosen) == {"/data/program"}
    assert refusal(enrol(program=OTHER), ENROLLED) == {"/data/program"}


def test_forms_of_one_program_are_for_no_visit_of_another() -> None:
    booked = run(visit(), record=IN_BOTH, context=BOTH)[1]
    asked = forms("requested", "requested", program=OTHER, appointment_id=VISIT)
    assert refusal(asked, booked) == {"/data/appointment_id"}


def test_an_item_keeps_its_form() -> None:
    asked = run(forms("requested", "requested"), record=ENROLLED)[1]
    other = [{"item_id": ITEMS[0], "form": [*CEDARS.forms][1], "status": "received"}]
    assert refusal(forms("received", items=other), asked) == {"/data/items/0/form"}


def test_a_visit_that_waits_is_not_put_where_it_is() -> None:
    pending = run(visit(status="pending"), record=ENROLLED)[1]
    assert refusal(visit(status="pending"), pending) == {"/data/status"}
    assert run(visit(status="waitlist"), record=pending)[0].version == 2
    cancelled = run(visit(), visit("cancelled"), record=ENROLLED)[1]
    assert run(visit(), record=cancelled)[0].version == 3


def test_a_second_visit_is_a_duplicate_only_in_one_program_at_one_time_for_one_reason() -> None:
    booked = run(visit(), record=IN_BOTH, context=BOTH)[1]
    assert refusal(visit(subject_id=SECOND), booked) == {"/data/start"}
    for other in (
        visit(subject_id=SECOND, program=OTHER),
        visit(subject_id=SECOND, start=NOW + 30 * HOUR),
        visit(subject_id=SECOND, care={"visit_type": "follow-up"}),
    ):
        assert isinstance(run(other, record=booked, context=BOTH)[0], Appointment)


def closing(subject_id: str | None = None) -> Command:
    data = {"patient_id": PATIENT, "program": CEDARS.public_code}
    made = command("enrolment.closed", data)
    return replace(made, subject_id=subject_id) if subject_id else made


def test_an_enrolment_is_closed_once_and_opened_again_only_where_no_other_is_open() -> None:
    assert refusal(closing(), run(register())[1]) == {"/type"}
    closed = run(closing(), record=ENROLLED)[1]
    assert refusal(closing(), closed) == {"/type"}
    again = run(enrol(), record=closed)[0]
    assert isinstance(again, Enrolment)
    assert (again.status, again.version) == (EnrolmentStatus.OPEN, 3)
    elsewhere = run(replace(enrol(), subject_id=SECOND), record=closed)[1]
    assert refusal(enrol(), elsewhere) == {"/data/program"}


def test_a_grant_permits_a_withdrawal_denies_and_only_a_grant_needs_somebody_who_lives() -> None:
    dead = run(reason("patient.deceased"), record=ENROLLED)[1]
    assert refusal(consent("granted"), dead)
    for name, record, decision in (
        ("granted", ENROLLED, ConsentDecision.PERMIT), ("withdrawn", ENROLLED, ConsentDecision.DENY),
        ("withdrawn", dead, ConsentDecision.DENY),
    ):  # fmt: skip
        state = run(consent(name), record=record)[0]
        assert isinstance(state, Consent)
        assert state.decision is decision


def test_two_hundred_facts_are_taken_and_one_more_is_too_many() -> None:
    first, record = run(facts(200), record=ENROLLED)
    assert run(facts(), record=record)[0].version == first.version + 1 == 2
    assert refusal(facts(201)) == {"/data/block/facts"}


def test_a_fact_may_end_after_it_was_seen_and_holds_numbers_that_json_knows() -> None:
    assert run(facts(valid_until=NOW + HOUR, value={"cm": [1.5]}), record=ENROLLED)[0].version == 1
    for wrong in (NOW, NOW - HOUR):
        assert refusal(facts(valid_until=wrong)) == {"/data/block/facts/0/valid_until"}
    assert refusal(facts(value={"cm": [float("inf")]})) == {"/data/block/facts/0/value"}


def test_a_clock_may_be_ahead_by_five_minutes_and_no_more() -> None:
    bound = NOW + timedelta(minutes=5)
    assert CONTEXT.not_ahead("/x", bound) is None
    assert CONTEXT.not_ahead("/x", bound + timedelta(microseconds=1)) is not None


def test_an_adapter_that_built_a_command_with_another_model_is_stopped() -> None:
    with pytest.raises(TypeError):
        posted_as(type(visit().posted), enrol())


def test_each_source_is_heard_in_its_own_order() -> None:
    subject, early = f"preference/{preference().subject_id}", NOW - HOUR
    record = run(preference(), record=ENROLLED)[1]
    assert record.heard[subject].time == NOW
    late = run(replace(preference(), time=early, source="https://another.example"), record=record)[1]
    assert late.heard[subject].time == early
    stopped = run(visit(), visit("cancelled", at={"time": early}), record=ENROLLED)[1]
    assert stopped.heard[f"appointment/{VISIT}"].time == NOW


def test_a_key_for_another_program_takes_the_patient_into_it_and_does_nothing_else() -> None:
    narrow = replace(BOTH, scope=replace(BOTH.scope, programs=frozenset({OTHER})))
    taken = replace(enrol(program=OTHER), subject_id=SECOND)
    assert run(taken, record=ENROLLED, context=narrow)[0].version == 1
    assert refusal(preference(OTHER), ENROLLED, narrow) == {"/data/patient_id"}


def test_a_key_for_another_program_stops_no_visit_of_a_patient_whom_both_know() -> None:
    booked = run(visit(), record=IN_BOTH, context=BOTH)[1]
    narrow = replace(BOTH, scope=replace(BOTH.scope, programs=frozenset({OTHER})))
    assert refusal(visit("cancelled"), booked, narrow) == {"/data/program"}


def test_a_cancelled_visit_that_is_booked_again_was_first_booked_when_it_was() -> None:
    later = replace(CONTEXT, now=NOW + HOUR)
    cancelled = run(visit(), visit("cancelled"), record=ENROLLED)[1]
    again = run(visit(), record=cancelled, context=later)[0]
    assert isinstance(again, Appointment)
    assert (again.booked_at, again.start_set_at, again.patient_told_at) == (NOW, NOW + HOUR, None)


def details(each: Command, record: Record = ENROLLED) -> list[str]:
    with pytest.raises(Refused) as refused:
        run(each, record=record)
    return [problem.detail for problem in refused.value.problems]


def test_a_refused_booking_says_what_to_send_instead() -> None:
    booked = run(visit(), record=ENROLLED)[1]
    assert details(visit(), booked) == ["the visit is booked; send appointment.rescheduled or appointment.updated"]
    removed = run(visit("removed"), record=booked)[1]
    assert [each.rpartition("; ")[2] for each in details(visit(), removed)] == ["book a new one"]


def test_a_visit_may_end_after_it_starts_and_take_place_at_a_site_of_the_program() -> None:
    start, with_site = visit().posted.start, CEDARS.model_copy(update={"sites": {"tower": Site(name="Tower")}})
    there = replace(CONTEXT, programs={CEDARS.public_code: with_site})
    in_tower = visit(end=start + HOUR, care={"visit_type": "consultation", "site": "tower"})
    state = run(in_tower, record=ENROLLED, context=there)[0]
    assert isinstance(state, Appointment)
    assert (state.end, state.care.site) == (start + HOUR, "tower")
    assert refusal(in_tower) == {"/data/care/site"}
    assert refusal(visit(end=start)) == {"/data/end"}


def test_what_stops_a_visit_tells_only_what_staff_say_it_tells() -> None:
    booked = run(visit(), record=ENROLLED)[1]
    for given, told in (({}, None), ({"patient_told_at": None}, None), ({"patient_told_at": NOW}, NOW)):
        state = run(visit("cancelled", **given), record=booked)[0]
        assert isinstance(state, Appointment)
        assert state.patient_told_at == told


@pytest.mark.parametrize(("born", "taken"), [("2027-02-26", True), ("1897-01-01", True), ("1896-12-31", False)])
def test_anybody_may_be_born_today_or_a_hundred_and_thirty_years_ago(born: str, taken: bool) -> None:
    if taken:
        assert run(register(birth_date=born))[0].version == 1
    else:
        assert refusal(register(birth_date=born), Record(PATIENT)) == {"/data/contact/birth_date"}


def test_a_fact_may_be_as_long_as_the_bound() -> None:
    longest = "x" * (2000 - len('""'))
    assert run(facts(value=longest), record=ENROLLED)[0].version == 1
    assert refusal(facts(value=longest + "x")) == {"/data/block/facts/0/value"}


# patients


def test_only_a_registration_makes_a_patient_known_and_only_once() -> None:
    updated = replace(register(), name="patient.updated")
    for each in (reason("patient.restricted"), updated):
        assert refusal(each, Record(PATIENT)) == {"/subject"}
    assert refusal(register(), run(register())[1]) == {"/type"}
    early = replace(updated, time=NOW - HOUR)
    assert refusal(early, run(register())[1]) == {"/time"}
    assert run(replace(early, source="https://another.example"), record=run(register())[1])[0].version == 2


def test_a_patient_may_have_no_address() -> None:
    state = run(register(email=None))[0]
    assert isinstance(state, Patient)
    assert state.contact is not None
    assert state.contact.email is None


def test_only_death_and_closing_remember_where_the_record_stood() -> None:
    for names, before in (
        (["restricted"], ()),
        (["restricted", "unrestricted"], ()),
        (["deceased"], (PatientStatus.ACTIVE,)),
        (["restricted", "closed", "deceased"], (PatientStatus.RESTRICTED, PatientStatus.CLOSED)),
    ):
        state = run(register(), *(reason(f"patient.{name}") for name in names))[0]
        assert isinstance(state, Patient)
        assert state.before == before


def test_a_patient_is_moved_by_a_reason_and_nothing_else() -> None:
    with pytest.raises(TypeError):
        run(replace(register(), name="patient.restricted"), record=ENROLLED)


# forms


def test_forms_still_come_in_when_nothing_more_is_asked() -> None:
    booked = run(visit(), record=ENROLLED)[1]
    asked = run(forms("requested", "requested", "requested", appointment_id=VISIT), record=booked)[1]
    come = forms("received", "received", "requested", appointment_id=VISIT)
    again = forms("reopened", "requested", "requested", appointment_id=VISIT)
    for stop in (visit("cancelled"), reason("patient.deceased"), closing()):
        stopped = run(stop, record=asked)[1]
        received, record = run(replace(come, time=NOW - HOUR), record=stopped)
        assert received.version == 2
        assert refusal(again, record)


def test_each_thing_that_is_wrong_with_forms_is_said_once() -> None:
    asked = run(forms("requested", "requested", "requested", "requested"), record=ENROLLED)[1]
    assert len(details(forms("received", "requested"), asked)) == 1
    assert refusal(forms("requested", "received")) == {"/data/items/0/status"}


def test_a_refusal_names_fields_and_nothing_else() -> None:
    assert str(Refused(Problem("/data/start", "is wrong"), Problem("", "is wrong"))) == "refused: /data/start, event"


def test_an_updated_contact_is_the_next_version_of_the_patient() -> None:
    known = run(register())[1]
    updated = replace(register(email="new@example.org"), name="patient.updated")
    state = run(updated, record=known)[0]
    assert isinstance(state, Patient)
    assert state.version == 2
    assert state.contact is not None
    assert state.contact.email is not None
    assert state.contact.email.reveal() == "new@example.org"
