"""What a patient was last told of a visit, after an appointment event or a mail. Pure; the highest sequence wins."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from schemas.appointment import AppointmentStatus, Modality
from services.notifier.domain import OFF, SAFETY, Appointment, Delivery, Told, Truth
from services.notifier.keys import voided_visit

STAFF = "staff"


def told_after_event(told: Told | None, appointment: Appointment) -> Told | None:
    """Of an appointment event, also of one older than stored: with ``patient_told_at`` they know that state."""
    if appointment.patient_told_at is None:
        return told
    return _newer(told, _of(appointment, appointment.patient_told_at, STAFF, certain=True))


def told_after_mail(
    deliveries: Sequence[Delivery], truth: Truth, told: Mapping[str, Told], at: datetime, *, certain: bool
) -> dict[str, Told]:
    """What one mail (its deliveries), sent or uncertain at civil time ``at``, changes; by appointment id.

    ``truth`` is what the mail was made from. ``certain`` is False for an uncertain one. Only what changed is returned.
    """
    visits = {each.appointment_id: each for each in truth.appointments}
    changed: dict[str, Told] = {}
    for delivery in deliveries:
        for appointment_id in _named(delivery):
            if visit := visits.get(appointment_id):
                known = changed.get(appointment_id) or told.get(appointment_id)
                heard = _newer(known, _of(visit, at, delivery.delivery_id, certain=certain))
                if heard is not known:
                    changed[appointment_id] = heard
    return changed


def told_by(tells: Iterable[Told], told: Mapping[str, Told], at: datetime, *, certain: bool) -> list[Told]:
    """What a mail that ``tells`` so changes, sent or uncertain at civil time ``at``: the truth may have moved on."""
    heard = [replace(each, at=at, certain=certain) for each in tells]
    return [each for each in heard if _newer(told.get(each.appointment_id), each) is each]


def _named(delivery: Delivery) -> list[str]:
    """The visits a mail speaks of: its own, and the one whose told time it voids."""
    voided = [voided_visit(delivery.dedup_key)] if delivery.kind in SAFETY else []
    return list(dict.fromkeys([*([delivery.appointment_id] if delivery.appointment_id else []), *voided]))


def _of(appointment: Appointment, at: datetime, by: str, *, certain: bool) -> Told:
    off = appointment.status in OFF
    return Told(
        appointment_id=appointment.appointment_id,
        sequence=appointment.version,
        start=None if off else appointment.start,
        site=None if off else appointment.site,
        modality=None if off else appointment.modality,
        at=at,
        by=by,
        certain=certain,
    )


def _newer(told: Told | None, heard: Told) -> Told:
    """The later word. Of two words on the same version the first certain one stays: it is what they can rely on."""
    if told is None or heard.sequence > told.sequence:
        return heard
    return heard if heard.sequence == told.sequence and heard.certain and not told.certain else told


def differs(told: Told | None, appointment: Appointment) -> bool:
    """Whether a patient who was told must hear of the visit's present state. Nobody hears of what they never knew.

    A visit that isn't settled yet (proposed, waiting list) or is over is no news; nor is a modality that nobody knows.
    """
    if told is None:
        return False
    if appointment.status in OFF:
        return told.start is not None
    if appointment.status is not AppointmentStatus.BOOKED:
        return False
    modality = appointment.modality is not Modality.UNKNOWN and told.modality is not appointment.modality
    return told.start != appointment.start or told.site != appointment.site or modality
