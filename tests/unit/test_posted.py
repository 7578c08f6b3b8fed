"""A preview's picture of a change is intake's: the same states, times and what was told, step after step."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from schemas.outcomes import Kind
from services.intake.domain import Command, Record, decide
from services.intake.domain import record as intake
from services.notifier import domain
from services.notifier.domain import Truth
from services.notifier.plan import plan
from services.notifier.posted import Posted, UnknownSubject, apply_posted
from tests.support.charts import LONG_AGO
from tests.support.commands import CONTEXT, NOW, PATIENT, START, command, enrol, forms, move, reason, register, visit
from tests.support.programs import CEDARS, PROGRAMS

HOUR = timedelta(hours=1)
TOLD: dict[str, Any] = {"patient_told_at": NOW}
OTHER_CARE = {"visit_type": "consultation", "clinician": "Demo Clinician"}
OF_PROGRAM = {"patient_id": PATIENT, "program": CEDARS.public_code}
LIVES: dict[str, Sequence[Command]] = {
    "booked": [visit()],
    "booked, not told": [visit(patient_told_at=None)],
    "booked, told then": [visit(patient_told_at=NOW - HOUR)],
    "held, then booked": [visit(status="proposed"), visit()],
    "moved": [visit(), move()],
    "moved and told": [visit(), move(**TOLD)],
    "moved twice": [visit(), move(), move(timedelta(days=2))],
    "another clinician": [visit(), visit("updated", care=OTHER_CARE)],
    "by video": [visit(), visit("updated", modality="video")],
    "cancelled": [visit(), visit("cancelled")],
    "cancelled and told": [visit(), visit("cancelled", **TOLD)],
    "cancelled, then booked again": [visit(), visit("cancelled"), visit()],
    "arrived and completed": [visit(), visit("arrived"), visit("completed")],
    "removed": [visit(), visit("removed")],
    "forms": [visit(), forms("requested", "requested", "requested"), forms("received", "received", "requested")],
    "forms again": [
        visit(), forms("requested", "requested"), forms("received", "received"), forms("reopened", "requested"),
    ],
    "forms waived": [visit(), forms("requested", "requested"), forms("waived", "waived")],
    "restricted and back": [reason("patient.restricted"), reason("patient.unrestricted")],
    "dead": [reason("patient.deceased")],
    "closed": [reason("patient.closed")],
    "left the program": [command("enrolment.closed", OF_PROGRAM)],
    "chose": [command("preference.changed", OF_PROGRAM | {"reminders": False})],
    "withdrew": [
        command("consent.withdrawn", {
            "patient_id": PATIENT, "scope": "email-basic", "text_version": "v1", "decided_at": NOW,
            "recorded_by": "desk",
        }),
    ],
}  # fmt: skip


@pytest.mark.parametrize("life", LIVES)
def test_a_change_is_previewed_as_intake_will_decide_it(life: str) -> None:
    record, truth, now = Record(PATIENT), Truth("cedars", PATIENT), NOW
    for each in [register(), enrol(), *LIVES[life]]:
        context, said = replace(CONTEXT, now=now), replace(each, adapter="console", time=now)
        state, record = decide(record, said, context)
        truth = apply_posted(truth, [Posted(said.name, said.subject_id, said.posted)], now)
        assert shown(truth, state) == expected(state)
        now += HOUR


def expected(state: intake.State) -> tuple[object, ...]:
    """What the notifier would make of intake's state."""
    if isinstance(state, intake.Appointment):
        return (
            state.id, state.version, state.program, state.status, state.start, state.end, state.zone, state.modality,
            state.care.visit_type, state.care.site, state.care.clinician, state.booked_at, state.start_set_at,
            state.changed_at, state.patient_told_at,
        )  # fmt: skip
    if isinstance(state, intake.Paperwork):
        items = tuple((each.item_id, each.form, each.status) for each in state.items)
        return state.id, state.program, state.appointment_id, items, state.requested_at, state.changed_at
    if isinstance(state, intake.Patient):
        assert state.contact is not None
        return state.status, state.zone, state.contact.email, state.contact.birth_date, state.contact.language
    if isinstance(state, intake.Enrolment):
        return state.id, state.program, state.status, state.outside_network
    if isinstance(state, intake.Consent):
        return state.id, state.scope, state.decision, state.decided_at, state.program
    assert isinstance(state, intake.Preference)
    return state.program, state.email, state.reminders, state.forms, state.paused_until


def shown(truth: Truth, state: intake.State) -> tuple[object, ...]:
    """The same of the preview's truth."""
    if isinstance(state, intake.Appointment):
        (a,) = truth.appointments
        return (
            a.appointment_id, a.version, a.program, a.status, a.start, a.end, a.zone, a.modality, a.visit_type, a.site,
            a.clinician, a.booked_at, a.start_set_at, a.changed_at, a.patient_told_at,
        )  # fmt: skip
    if isinstance(state, intake.Paperwork):
        (p,) = truth.paperwork
        items = tuple((each.item_id, each.form, each.status) for each in p.items)
        return p.paperwork_id, p.program, p.appointment_id, items, p.requested_at, p.changed_at
    if isinstance(state, intake.Patient):
        patient = truth.patient
        assert patient is not None
        return patient.status, patient.zone, patient.email, patient.birth_date, patient.language
    if isinstance(state, intake.Enrolment):
        (e,) = truth.enrolments
        return e.enrolment_id, e.program, e.status, e.outside_network
    if isinstance(state, intake.Consent):
        (c,) = truth.consents
        return c.consent_id, c.scope, c.decision, c.decided_at, c.program
    (f,) = truth.preferences
    return f.program, f.email, f.reminders, f.forms, f.paused_until


@pytest.mark.parametrize(
    "each",
    [move(), visit("cancelled"), forms("received", "received"), reason("patient.deceased")],
    ids=lambda c: c.name,
)
def test_a_change_of_something_unknown_has_no_preview(each: Command) -> None:
    with pytest.raises(UnknownSubject):
        apply_posted(Truth("cedars", PATIENT), [Posted(each.name, each.subject_id, each.posted)], NOW)


def test_facts_change_no_mail() -> None:
    facts = command("facts.recorded", {"patient_id": PATIENT, "block": {"facts": []}})
    truth = Truth("cedars", PATIENT)
    assert apply_posted(truth, [Posted(facts.name, facts.subject_id, facts.posted)], NOW) is truth


def test_a_move_posted_for_preview_makes_the_plan_of_a_move() -> None:
    truth = Truth("cedars", PATIENT)
    booked = [Posted(each.name, each.subject_id, each.posted) for each in (register(), enrol(), visit())]
    truth = apply_posted(truth, booked, NOW)
    moved = move()
    truth = apply_posted(truth, [Posted(moved.name, moved.subject_id, moved.posted)], NOW + HOUR)
    told = domain.Told(visit().subject_id, 1, START, None, truth.appointments[0].modality, NOW, "staff")
    ledger = domain.Ledger(told={told.appointment_id: told}, armed_at=LONG_AGO)
    made = plan(truth, PROGRAMS, ledger, NOW + HOUR)
    assert made.wanted[0].kind is Kind.CHANGE
