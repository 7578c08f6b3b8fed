"""What the ledger holds about one delivery, gathered for "why". Ids, codes and times: nothing protected."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.outcomes import DeliveryState
from schemas.programs import Program
from services.notifier.domain import Delivery, Told


@dataclass(frozen=True, slots=True)
class Change:
    """One change of state at a civil time."""

    at: datetime
    before: DeliveryState | None
    after: DeliveryState
    reason: str | None
    by: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """The delivery's mail: what the guard had looked at, and what the server said."""

    mail_id: str
    message_id: str
    tier: int
    program_version: str
    template_version: str
    looked_at: Mapping[str, Any]
    sending_at: datetime
    ended_at: datetime | None
    verdict: str | None
    phase: str | None
    code: int | None
    enhanced: str | None
    resends: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the ledger holds about one delivery. ``zone`` is the recipient's; ``program`` None when unknown."""

    delivery: Delivery
    patient_id: str
    rule: str
    due_local: str
    zone: str
    attempts: int
    history: tuple[Change, ...] = ()
    attempt: Attempt | None = None
    together: tuple[Delivery, ...] = ()
    told: Told | None = None
    program: Program | None = None
