"""Appointments and paperwork: their states in events, and what is posted to intake."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from schemas.base import Contract, Instant, Open
from schemas.ids import Opaque, ProgramCode
from schemas.sealed import Sealed
from schemas.text import Code, ProtectedLine, Zone


class AppointmentStatus(StrEnum):
    """FHIR R4 appointment status. Only ``booked`` arms reminders; unknown holds them."""

    PROPOSED = "proposed"
    PENDING = "pending"
    WAITLIST = "waitlist"
    BOOKED = "booked"
    ARRIVED = "arrived"
    FULFILLED = "fulfilled"
    CANCELLED = "cancelled"
    NO_SHOW = "noshow"
    ENTERED_IN_ERROR = "entered-in-error"
    UNKNOWN = "unknown"


class Modality(StrEnum):
    """Where the visit takes place; a mail never tells a patient on video to come."""

    ON_SITE = "on-site"
    VIDEO = "video"
    UNKNOWN = "unknown"


class CareBlock(Contract):
    """What a visit is for: for intake and notifier. ``visit_type`` and ``site`` are codes of the program's file."""

    visit_type: Annotated[Code, Field(repr=False)]
    site: Annotated[Code | None, Field(repr=False)] = None
    clinician: ProtectedLine | None = None


class VisitBlock(Contract):
    """What trials must know of what a visit is for: for intake and trials. No place, no clinician."""

    visit_type: Annotated[Code, Field(repr=False)]


class AppointmentPosted(Contract):
    """An appointment as posted.

    ``patient_told_at`` left out means: agreed with the patient when it was first booked, not told of a later change or
    cancellation; an explicit ``null`` means not told; a time means told then (of this very state).
    ``status`` is only read on ``appointment.scheduled``: proposed, pending, waitlist or booked.
    """

    patient_id: Opaque
    program: ProgramCode
    start: Instant
    end: Instant | None = None
    zone: Zone
    modality: Open[Modality] = Modality.ON_SITE
    care: CareBlock
    status: Open[AppointmentStatus] = AppointmentStatus.BOOKED
    patient_told_at: Instant | None = None


class AppointmentState(Contract):
    """Full state; subject ``appointment/<id>``. ``zone`` is the clinic's.

    ``care`` is sealed for who cares for the patient, ``visit`` for trials: older states are without it.
    ``booked_at`` first booked, ``start_set_at`` the present start was set, ``changed_at`` last edit: civil times.
    """

    appointment_id: Opaque
    patient_id: Opaque
    program: ProgramCode
    version: Annotated[int, Field(ge=1)]
    status: Open[AppointmentStatus]
    start: Instant
    end: Instant | None = None
    zone: Zone
    modality: Open[Modality]
    care: Sealed
    visit: Sealed | None = None
    booked_at: Instant
    start_set_at: Instant
    changed_at: Instant
    patient_told_at: Instant | None = None


class ItemStatus(StrEnum):
    """One form of a request. Only ``requested`` is asked for."""

    REQUESTED = "requested"
    RECEIVED = "received"
    WAIVED = "waived"
    UNKNOWN = "unknown"


class FormsBlock(Contract):
    """Names of the forms, by item id: for intake and notifier. A value is a form code of the program's file."""

    forms: Annotated[dict[Opaque, Code], Field(repr=False)]


class PaperworkItem(Contract):
    """One form of a request and where it stands."""

    item_id: Opaque
    status: Open[ItemStatus]


class PaperworkItemPosted(Contract):
    """One form, with its code from the program's file."""

    item_id: Opaque
    form: Annotated[Code, Field(repr=False)]
    status: Open[ItemStatus] = ItemStatus.REQUESTED


class PaperworkPosted(Contract):
    """A request for forms, for a visit or for none; every item, every time."""

    patient_id: Opaque
    program: ProgramCode
    appointment_id: Opaque | None = None
    items: Annotated[tuple[PaperworkItemPosted, ...], Field(min_length=1, max_length=40)]


class PaperworkState(Contract):
    """Full state; subject ``paperwork/<id>``. ``requested_at`` first asked or asked again, ``changed_at`` last edit."""

    paperwork_id: Opaque
    patient_id: Opaque
    program: ProgramCode
    version: Annotated[int, Field(ge=1)]
    appointment_id: Opaque | None = None
    items: tuple[PaperworkItem, ...]
    care: Sealed
    requested_at: Instant
    changed_at: Instant
