"""What a patient was last told of a visit, after an appointment event or a mail. Pure; the highest sequence wins."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from services.notifier.domain import Appointment, Delivery, Told, Truth


def told_after_event(told: Told | None, appointment: Appointment) -> Told | None:
    """Of an appointment event, also of one older than stored: with ``patient_told_at`` they know that state."""
    raise NotImplementedError


def told_after_mail(
    deliveries: Sequence[Delivery], truth: Truth, told: Mapping[str, Told], at: datetime, *, certain: bool
) -> dict[str, Told]:
    """What one mail (its deliveries), sent or uncertain at civil time ``at``, changes; by appointment id.

    ``truth`` is what the mail was made from. ``certain`` is False for an uncertain one. Only what changed is returned.
    """
    raise NotImplementedError


def differs(told: Told | None, appointment: Appointment) -> bool:
    """Whether a patient who was told must hear of the visit's present state. Nobody hears of what they never knew."""
    raise NotImplementedError
