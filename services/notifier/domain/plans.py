"""What should go out to one patient, and what staff should do. All instants are UTC; ``zone`` is an IANA name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from schemas.outcomes import Kind
from services.notifier.domain.reasons import Reason


@dataclass(frozen=True, slots=True)
class Wanted:
    """A delivery the plan wants. ``due_at`` is the instant of ``due_local`` in ``zone``; lower ``priority`` goes first.

    ``rides`` is the dedup key of the delivery whose mail this one shares, where the plan already knows.
    ``end`` is set for an intent that will not be sent: it is recorded as skipped with that reason.
    ``asks_confirm`` marks the step that asks; ``asks_left`` how many paperwork asks may follow.
    ``rule`` names the policy rule in short, such as ``consultation/on-site/P3D``.
    """

    dedup_key: str
    kind: Kind
    program: str
    due_at: datetime
    due_local: str
    zone: str
    useful_until: datetime
    priority: int
    appointment_id: str | None = None
    paperwork_id: str | None = None
    step: str | None = None
    rides: str | None = None
    end: Reason | None = None
    asks_confirm: bool = False
    asks_left: int | None = None
    rule: str = ""
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """Something for the worklist. ``key`` is its stable name; it is due for a person at ``due_at``."""

    key: str
    code: str
    program: str
    due_at: datetime
    appointment_id: str | None = None
    paperwork_id: str | None = None
    urgency: Literal["now", "normal"] = "normal"


@dataclass(frozen=True, slots=True)
class Plan:
    """What should go out for one patient, as of one civil time; ``replan_at`` is when time alone changes it.

    ``tasks`` are all the plan's tasks that stand now: a new key is opened, one that is gone is closed.
    ``unwanted`` says by dedup key why an open delivery of the ledger is no longer wanted.
    """

    wanted: tuple[Wanted, ...]
    tasks: tuple[Task, ...]
    replan_at: datetime | None
    unwanted: Mapping[str, Reason] = field(default_factory=dict)
