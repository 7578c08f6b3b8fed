"""Where a patient's record stands, and who may move it where."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from schemas.patient import PatientPosted, PatientReason, PatientStatus
from services.intake.domain.checks import address_is_one, birth_date_is_one, in_order, zone_exists
from services.intake.domain.commands import Command, Context, posted_as
from services.intake.domain.record import Patient, Record
from services.intake.domain.refusals import Problem, refuse, refuse_all

_S = PatientStatus


@dataclass(frozen=True, slots=True)
class Move:
    """``to`` None goes back to where the record stood before."""

    sources: frozenset[PatientStatus]
    to: PatientStatus | None
    otherwise: str


MOVES: Mapping[str, Move] = {
    "patient.restricted": Move(frozenset({_S.ACTIVE}), _S.RESTRICTED, "only an active patient can be restricted"),
    "patient.unrestricted": Move(frozenset({_S.RESTRICTED}), _S.ACTIVE, "the patient is not restricted"),
    "patient.deceased": Move(
        frozenset({_S.ACTIVE, _S.RESTRICTED, _S.CLOSED}), _S.DECEASED, "the patient is already reported as deceased"
    ),
    "patient.deceased-reversed": Move(frozenset({_S.DECEASED}), None, "the patient is not reported as deceased"),
    "patient.closed": Move(
        frozenset({_S.ACTIVE, _S.RESTRICTED}), _S.CLOSED, "only an active or restricted patient's record can be closed"
    ),
    "patient.erased": Move(
        frozenset({_S.ACTIVE, _S.RESTRICTED, _S.DECEASED, _S.CLOSED}), _S.ERASED, "is already erased"
    ),
}


def decide_patient(record: Record, command: Command, context: Context) -> Patient:
    """The patient after the command; ``Refused``."""
    patient = record.patient
    if command.name == "patient.registered":
        return _registered(patient, command, context)
    if patient is None:
        raise refuse("/subject", "the patient is not known; send patient.registered first")
    if command.name == "patient.updated":
        return _updated(record, patient, command, context)
    posted_as(PatientReason, command)
    return _moved(patient, MOVES[command.name])


def _registered(patient: Patient | None, command: Command, context: Context) -> Patient:
    if patient is not None and patient.status is not _S.CLOSED:
        raise refuse("/type", "the patient is already registered; send patient.updated")
    posted = _checked(command, context)
    fresh = Patient(command.patient_id, 1, _S.ACTIVE) if patient is None else _back(patient)
    return replace(fresh, contact=posted.contact, sex=posted.sex, zone=posted.zone)


def _updated(record: Record, patient: Patient, command: Command, context: Context) -> Patient:
    refuse_all([in_order(record, command)])
    posted = _checked(command, context)
    return replace(patient, version=patient.version + 1, contact=posted.contact, sex=posted.sex, zone=posted.zone)


def _checked(command: Command, context: Context) -> PatientPosted:
    posted: PatientPosted = posted_as(PatientPosted, command)
    contact = posted.contact
    problems: list[Problem | None] = [
        birth_date_is_one("/data/contact/birth_date", contact.birth_date.reveal(), context.now),
        zone_exists("/data/zone", posted.zone),
        context.not_ahead("/data/contact/email_verified_at", contact.email_verified_at),
    ]
    if contact.email is not None:
        problems.append(address_is_one("/data/contact/email", contact.email.reveal()))
    elif contact.email_verified_at is not None:
        problems.append(Problem("/data/contact/email_verified_at", "there is no address that could be verified"))
    refuse_all(problems)
    return posted


def _moved(patient: Patient, move: Move) -> Patient:
    if patient.status not in move.sources:
        raise refuse("/type", move.otherwise)
    version = patient.version + 1
    if move.to is _S.ERASED:
        return Patient(patient.id, version, _S.ERASED)
    if move.to is None:
        return _back(patient)
    before = (*patient.before, patient.status) if move.to in (_S.DECEASED, _S.CLOSED) else ()
    return replace(patient, version=version, status=move.to, before=before)


def _back(patient: Patient) -> Patient:
    """A restriction outlives being closed, or reported dead by mistake."""
    *before, status = patient.before or (_S.ACTIVE,)
    return replace(patient, version=patient.version + 1, status=status, before=tuple(before))
