"""The one decision: a record and a command in, the change out, or ``Refused`` with all that is wrong."""

from collections.abc import Callable, Mapping

from schemas.patient import PatientStatus
from services.intake.domain.appointments import decide_appointment
from services.intake.domain.checks import visible
from services.intake.domain.commands import Command, Context
from services.intake.domain.others import decide_consent, decide_enrolment, decide_facts, decide_preference
from services.intake.domain.paperwork import decide_paperwork
from services.intake.domain.patients import decide_patient
from services.intake.domain.record import Heard, Record, State
from services.intake.domain.refusals import refuse, refuse_all

_DECIDE: Mapping[str, Callable[[Record, Command, Context], State]] = {
    "patient": decide_patient,
    "enrolment": decide_enrolment,
    "appointment": decide_appointment,
    "paperwork": decide_paperwork,
    "consent": decide_consent,
    "preference": decide_preference,
    "facts": decide_facts,
}

_GONE = {
    PatientStatus.ERASED: "the patient's record was erased",
    PatientStatus.MERGED: "the patient's record was merged into another one",
}


def decide(record: Record, command: Command, context: Context) -> tuple[State, Record]:
    """The subject's new state, and the record with it; raises ``Refused`` and nothing else.

    The state's version is one above the one before.
    """
    refuse_all([context.not_ahead("/time", command.time)])
    if command.subject in record.elsewhere:
        raise refuse("/subject", "belongs to another patient")
    patient = record.patient
    if patient is None and command.family != "patient":
        raise refuse(_patient_pointer(command), "the patient is not known; send patient.registered first")
    if patient is not None and patient.status in _GONE:
        raise refuse(_patient_pointer(command), _GONE[patient.status])
    _refuse_out_of_scope(record, command, context)
    state = _DECIDE[command.family](record, command, context)
    known = record.heard.get(command.subject)
    time = max(known.time, command.time) if known and known.source == command.source else command.time
    return state, record.with_state(state, Heard(command.source, time))


def _refuse_out_of_scope(record: Record, command: Command, context: Context) -> None:
    """A key for some programs doesn't touch patients of other programs; but it may take them into its own."""
    if command.family != "enrolment" and not visible(record, context.scope):
        raise refuse(_patient_pointer(command), "the patient is in no program you may use")


def _patient_pointer(command: Command) -> str:
    return "/subject" if command.family == "patient" else "/data/patient_id"
