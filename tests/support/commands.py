"""Commands for intake's domain: short to write, synthetic, of one patient."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from chassis.scope import Scope
from schemas.envelope import Origin
from schemas.registry import EVENT_TYPES
from services.intake.domain import Command, Context, Record, decide
from services.intake.domain.record import State
from tests.support.programs import CEDARS, PROGRAMS

NOW = datetime(2027, 2, 26, 17, 0, tzinfo=UTC)
START = datetime(2027, 3, 16, 16, 30, tzinfo=UTC)
PATIENT, VISIT, FORMS, PLACE = (str(uuid.UUID(int=number)) for number in range(1, 5))
ITEMS = [str(uuid.UUID(int=number)) for number in range(10, 14)]
CONTEXT = Context(Scope("cedars"), PROGRAMS, NOW)
SOURCE = "https://poster.example/test"

_SUBJECTS = {"patient": PATIENT, "appointment": VISIT, "paperwork": FORMS, "enrolment": PLACE}


def command(name: str, data: dict[str, Any], subject_id: str | None = None, **changes: Any) -> Command:
    """``data`` as it would be posted."""
    model = EVENT_TYPES[name].posted
    assert model is not None
    subject = subject_id or _SUBJECTS.get(name.partition(".")[0]) or str(uuid.UUID(int=99))
    made = Command(name, subject, PATIENT, model.strict_data(data), NOW, SOURCE, Origin.LIVE, "api")
    return replace(made, **changes)


def register(**contact: Any) -> Command:
    given = {"given_name": "Ana", "family_name": "Test", "birth_date": "1980-05-01", "email": "ana@example.org"}
    return command("patient.registered", {"contact": given | contact})


def enrol(**changes: Any) -> Command:
    return command("enrolment.opened", {"patient_id": PATIENT, "program": CEDARS.public_code} | changes)


def reason(name: str) -> Command:
    return command(name, {"reason": "as the family said"})


def visit(
    name: str = "scheduled", subject_id: str = VISIT, at: dict[str, Any] | None = None, **changes: Any
) -> Command:
    """``changes`` of the posted data; ``at`` of the command."""
    data = {
        "patient_id": PATIENT, "program": CEDARS.public_code, "start": START, "zone": "America/Los_Angeles",
        "care": {"visit_type": "consultation"},
    }  # fmt: skip
    return command(f"appointment.{name}", data | changes, subject_id, **(at or {}))


def move(by: timedelta = timedelta(days=1), **changes: Any) -> Command:
    return visit("rescheduled", start=START + by, **changes)


def forms(name: str, *statuses: str, **changes: Any) -> Command:
    """A request of the program's first forms, with these statuses."""
    items = [
        {"item_id": item_id, "form": form, "status": status}
        for item_id, form, status in zip(ITEMS, CEDARS.forms, statuses, strict=False)
    ]
    data = {"patient_id": PATIENT, "program": CEDARS.public_code, "items": items}
    return command(f"paperwork.{name}", data | changes)


def run(*commands: Command, record: Record | None = None, context: Context = CONTEXT) -> tuple[State, Record]:
    """Decide all, one after the other; the last state, and the record."""
    current = record or Record(PATIENT)
    state: State | None = None
    for each in commands:
        state, current = decide(current, each, context)
    assert state is not None
    return state, current


ENROLLED = run(register(), enrol())[1]
"""The record of a patient with an open enrolment."""
