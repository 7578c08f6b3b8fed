"""Checks that several families share. Each returns a problem or None; none of them knows what stood in the field."""

from datetime import date, datetime
from functools import cache
from zoneinfo import available_timezones

from email_validator import EmailNotValidError, validate_email

from chassis.scope import Scope
from schemas.patient import PatientStatus
from services.intake.domain.commands import Command, Context
from services.intake.domain.record import Enrolment, Record
from services.intake.domain.refusals import Problem

OLDEST_BIRTH = 130
"""Years; nobody on record lived longer (122 years)."""

_GONE = {
    PatientStatus.DECEASED: "the patient is reported as deceased; reverse that first",
    PatientStatus.CLOSED: "the patient's record is closed; register the patient again first",
}


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def zone_exists(pointer: str, zone: str | None) -> Problem | None:
    """IANA's names only."""
    if zone is None or zone in _zones():
        return None
    return Problem(pointer, "is no time zone of the IANA database, such as America/Los_Angeles")


def address_is_one(pointer: str, address: str) -> Problem | None:
    """RFC 5321, 5322 and 6531 syntax; nothing is looked up. CR and LF never pass."""
    try:
        validate_email(address, check_deliverability=False, allow_smtputf8=True, test_environment=True)
    except EmailNotValidError:
        return Problem(pointer, "is not an e-mail address")
    return None


def birth_date_is_one(pointer: str, born: date, now: datetime) -> Problem | None:
    """Not in the future anywhere on earth, not longer ago than a life lasts."""
    if born > now.date():
        return Problem(pointer, "lies in the future")
    if now.year - born.year > OLDEST_BIRTH:
        return Problem(pointer, f"lies more than {OLDEST_BIRTH} years back")
    return None


def program_is_known(code: str | None, context: Context) -> Problem | None:
    """Unknown and not allowed read the same, so a key can't find out what other programs there are."""
    if code is None or context.program(code) is not None:
        return None
    return Problem("/data/program", "is not a program you may use")


def in_force(record: Record) -> Problem | None:
    """What gives the patient something to come to, or to be written about, needs a record that is in force."""
    patient = record.patient
    if patient is None or patient.status not in _GONE:
        return None
    return Problem("/data/patient_id", _GONE[patient.status])


def enrolled(record: Record, program: str) -> Problem | None:
    if record.enrolled(program):
        return None
    return Problem("/data/program", "the patient has no open enrolment in the program")


def in_order(record: Record, command: Command) -> Problem | None:
    """What one source says of one subject counts in that source's own order; only what stops is taken at any time."""
    heard = record.heard.get(command.subject)
    if heard is None or heard.source != command.source or command.time >= heard.time:
        return None
    return Problem("/time", "a later event of this subject has been accepted from this source")


def visible(record: Record, scope: Scope) -> bool:
    """Whether the scope reaches this patient: through an enrolment, or because the patient has none yet."""
    programs = {each.program for each in record.all(Enrolment)}
    return not programs or any(scope.allows(program) for program in programs)
