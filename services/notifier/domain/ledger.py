"""What has happened to one patient's deliveries, and what the patient was told. All instants are UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from schemas.appointment import Modality
from schemas.outcomes import DeliveryState, Kind
from services.notifier.domain.reasons import Reason

SAFETY = frozenset({Kind.CHANGE, Kind.CANCELLATION})
"""Kinds that must reach the patient: exempt from caps and preferences, sent again once out of ``uncertain``."""

OPEN_STATES = frozenset({DeliveryState.PLANNED, DeliveryState.CLAIMED, DeliveryState.SENDING, DeliveryState.HELD})

TOLD_STATES = frozenset(
    {DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.UNCERTAIN, DeliveryState.COMPLAINED}
)
"""States of a mail that may have reached its reader."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the patient last heard of a visit. ``start`` is None after a cancellation notice: told that it is off.

    ``sequence`` is the version of the appointment they heard of. ``by`` is ``staff`` or a delivery id; ``certain`` is
    False when that mail is ``uncertain``.
    """

    appointment_id: str
    sequence: int
    start: datetime | None
    site: str | None
    modality: Modality | None
    at: datetime
    by: str
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Delivery:
    """One intent and where it stands in the ledger. ``created_at`` is when it was first planned (civil).

    ``reason`` of a planned one says why the guard put it off to ``due_at``. ``tier`` is set once it was sent.
    ``request_id`` is the request of another service that it answers.
    """

    delivery_id: str
    dedup_key: str
    kind: Kind
    program: str
    state: DeliveryState
    reason: Reason | None
    due_at: datetime
    useful_until: datetime
    appointment_id: str | None = None
    paperwork_id: str | None = None
    step: str | None = None
    mail_id: str | None = None
    entered_sending: bool = False
    ended_at: datetime | None = None
    rides: str | None = None
    tier: int | None = None
    created_at: datetime | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Ledger:
    """What has happened to one patient: every delivery ever made for them, and what they were told, by visit."""

    deliveries: tuple[Delivery, ...] = ()
    told: Mapping[str, Told] = field(default_factory=dict)
    armed_at: datetime | None = None
