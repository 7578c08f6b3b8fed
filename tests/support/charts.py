"""Short ways to write down one synthetic patient's truth. Local times are the clinic's, in the year of the story."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from schemas.appointment import AppointmentStatus, ItemStatus, Modality
from schemas.patient import ConsentDecision, ConsentScope, EnrolmentStatus, OutsideNetwork, PatientStatus
from schemas.programs import Program
from schemas.protected import Protected
from schemas.trials import Approval, ApprovalStatus, RecruitmentStatus
from services.notifier.domain import (
    Appointment,
    Consent,
    Enrolment,
    KnownTrial,
    Paperwork,
    PaperworkItem,
    Patient,
    Request,
    Truth,
)
from tests.support.programs import CEDARS

PACIFIC, NEW_YORK = "America/Los_Angeles", "America/New_York"
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def at(text: str, zone: str = PACIFIC) -> datetime:
    """``2027-03-16 09:30`` on the clinic's clock, as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def local(instant: datetime, zone: str = PACIFIC) -> str:
    """The other way round: ``2027-03-16 09:30``."""
    return f"{instant.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"


def patient(**changes: Any) -> Patient:
    """An adult with a verified address who lives near the clinic."""
    one = Patient(
        status=PatientStatus.ACTIVE,
        zone=PACIFIC,
        given_name=Protected("Ana"),
        birth_date=Protected(date(1980, 5, 17)),
        email=Protected("ana@example.org"),
        email_verified_at=LONG_AGO,
        language="en",
        email_hash="a" * 64,
    )
    return replace(one, **changes)


def visit(
    visit_type: str,
    start: str,
    booked: str,
    *,
    told: bool = False,
    program: Program = CEDARS,
    name: str = "visit",
    modality: Modality = Modality.ON_SITE,
    **changes: Any,
) -> Appointment:
    """A visit as it was first booked; ``told``: agreed with the patient then."""
    booked_at = at(booked)
    one = Appointment(
        appointment_id=name,
        version=1,
        program=program.public_code,
        status=AppointmentStatus.BOOKED,
        start=at(start),
        end=None,
        zone=PACIFIC,
        modality=modality,
        visit_type=visit_type,
        site=None,
        clinician=None,
        booked_at=booked_at,
        start_set_at=booked_at,
        changed_at=booked_at,
        recorded_at=booked_at,
        patient_told_at=booked_at if told else None,
    )
    return replace(one, **changes)


def edited(before: Appointment, when: str, *, told: bool = False, **changes: Any) -> Appointment:
    """The visit's next version, as intake makes it."""
    edited_at = at(when)
    moved = changes.get("start", before.start) != before.start
    return replace(
        before,
        version=before.version + 1,
        changed_at=edited_at,
        recorded_at=edited_at,
        start_set_at=edited_at if moved else before.start_set_at,
        patient_told_at=edited_at if told else None,
        **changes,
    )


def moved(before: Appointment, start: str, when: str, *, told: bool = False) -> Appointment:
    return edited(before, when, told=told, start=at(start))


def cancelled(before: Appointment, when: str, *, told: bool = False) -> Appointment:
    return edited(before, when, told=told, status=AppointmentStatus.CANCELLED)


def forms(visit: Appointment | None, asked: str, count: int = 4, *, program: Program = CEDARS) -> Paperwork:
    """A request for forms, all missing."""
    asked_at = at(asked)
    return Paperwork(
        paperwork_id="forms",
        program=program.public_code,
        appointment_id=visit.appointment_id if visit else None,
        items=tuple(PaperworkItem(f"form{n}", "patient-intake", ItemStatus.REQUESTED) for n in range(count)),
        requested_at=asked_at,
        changed_at=asked_at,
        recorded_at=asked_at,
    )


def received(before: Paperwork, when: str, count: int = 99) -> Paperwork:
    """The first ``count`` forms have arrived."""
    items = [replace(each, status=ItemStatus.RECEIVED) for each in before.items[:count]]
    return replace(before, items=(*items, *before.items[count:]), changed_at=at(when), recorded_at=at(when))


def request(asked: str, until: str, name: str = "request", *, trial: str = "trial", **changes: Any) -> Request:
    """A request for an invitation to a trial."""
    asked_at = at(asked)
    one = Request(name, CEDARS.public_code, trial, "approval", "v1", "en", asked_at, at(until), asked_at)
    return replace(one, **changes)


def known_trial(**changes: Any) -> KnownTrial:
    """The trial of ``request``, recruiting, its words approved to the end of March."""
    approval = Approval(
        approval_id="approval", text_version="v1", language="en", status=ApprovalStatus.ACTIVE,
        valid_until=date(2027, 3, 31), text="DEMO TEXT – not approved by any review board", contact="Demo Study Desk",
    )  # fmt: skip
    return replace(KnownTrial("trial", "DEMO-1", RecruitmentStatus.RECRUITING, (), (approval,)), **changes)


def agreed(scope: ConsentScope = ConsentScope.TRIAL_CONTACT) -> Consent:
    return Consent(f"consent-{scope}", scope, ConsentDecision.PERMIT, LONG_AGO, None)


def chart(*subjects: Appointment | Paperwork | Request, person: Patient | None = None) -> Truth:
    """A registered patient, enrolled in every program their subjects belong to."""
    programs = dict.fromkeys(each.program for each in subjects)
    return Truth(
        tenant="cedars",
        patient_id="patient",
        patient=person or patient(),
        enrolments=tuple(Enrolment(p, p, EnrolmentStatus.OPEN, OutsideNetwork.YES) for p in programs),
        appointments=tuple(each for each in subjects if isinstance(each, Appointment)),
        paperwork=tuple(each for each in subjects if isinstance(each, Paperwork)),
        requests=tuple(each for each in subjects if isinstance(each, Request)),
    )


MINUTE = timedelta(minutes=1)
