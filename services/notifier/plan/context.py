"""What every part of the plan looks at, and the few questions all of them ask."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from schemas.appointment import AppointmentStatus
from schemas.envelope import Origin
from schemas.outcomes import DeliveryState
from schemas.programs import Program
from services.notifier.domain import Appointment, Delivery, Ledger, Paperwork, Reason, Request, Told, Truth, Wanted
from services.notifier.times import known_zone

STAFF_ADAPTERS = frozenset({"api", "console"})
OLD_RECORD = timedelta(hours=48)
"""What was recorded longer ago than this causes no immediate mail."""
STOPPED = frozenset({AppointmentStatus.ARRIVED, AppointmentStatus.FULFILLED, AppointmentStatus.NO_SHOW})
PLAN_REASONS = frozenset({
    Reason.VISIT_CANCELLED, Reason.SUPERSEDED, Reason.PAPERWORK_RECEIVED, Reason.DECEASED, Reason.MERGED_RECORD,
    Reason.COLLAPSED, Reason.BEFORE_ARMING, Reason.TOO_LATE,
})  # fmt: skip
"""Ends that the plan itself gives, and so may take back."""


@dataclass(frozen=True, slots=True)
class Context:
    """One patient at one civil time. ``heard`` is what they know of each visit, ``rows`` the ledger by dedup key."""

    truth: Truth
    programs: Mapping[str, Program]
    ledger: Ledger
    now: datetime
    heard: Mapping[str, Told]
    rows: Mapping[str, Delivery]

    def clinic_zone(self, appointment: Appointment) -> str:
        """The visit's zone; where this machine doesn't know it, the program's."""
        return appointment.zone if known_zone(appointment.zone) else self.programs[appointment.program].zone

    def zone(self, appointment: Appointment | None, program: Program) -> str:
        """The recipient's zone; where there is none or an unknown one, the clinic's."""
        own = self.truth.patient.zone if self.truth.patient else None
        if own and known_zone(own):
            return own
        return self.clinic_zone(appointment) if appointment else program.zone

    def appointment(self, appointment_id: str | None) -> Appointment | None:
        return next((each for each in self.truth.appointments if each.appointment_id == appointment_id), None)

    def programs_named(self) -> list[str]:
        """Codes of the programs that something known is about, each once."""
        visits, forms = self.truth.appointments, self.truth.paperwork
        codes = [each.program for each in visits] + [each.program for each in forms]
        return [*dict.fromkeys(codes + [each.program for each in self.truth.requests])]

    def source(self, wanted: Wanted) -> Appointment | Paperwork | Request | None:
        """What calls for it: the forms, the request, or the visit."""
        truth = self.truth
        forms = next((each for each in truth.paperwork if each.paperwork_id == wanted.paperwork_id), None)
        request = next((each for each in truth.requests if each.request_id == wanted.request_id), None)
        return forms or request or self.appointment(wanted.appointment_id)

    def finished(self, key: str, due_at: datetime, request_id: str | None = None) -> bool:
        """Whether the ledger has this intent in a state that the plan doesn't take back.

        What was skipped is planned again only for a time that is still ahead, or when another request asks for it.
        """
        row = self.rows.get(key)
        if row is None or row.state in (DeliveryState.PLANNED, DeliveryState.CLAIMED, DeliveryState.HELD):
            return False
        if row.entered_sending:
            return True
        if row.state is DeliveryState.SKIPPED and row.request_id == request_id:
            return row.reason not in PLAN_REASONS or due_at <= self.now
        return row.state not in (DeliveryState.CANCELLED, DeliveryState.SKIPPED)

    def before_arming(self, due_at: datetime) -> bool:
        """Whether an earlier installation was responsible at that time. Disarmed, nobody is until ``arm``."""
        armed_at = self.ledger.armed_at
        return due_at <= self.now if armed_at is None else due_at < armed_at

    def quiet(self, source: Appointment | Paperwork | Request) -> bool:
        """Whether this state is old news, which causes no immediate mail: a backfill, a snapshot, a late record."""
        return source.origin is not Origin.LIVE or self.now - source.recorded_at > OLD_RECORD


def settle_length(adapter: str, program: Program) -> timedelta:
    """How long edits from this adapter may settle: feeds take longer than staff."""
    settle = program.policy.settle
    return settle.staff if adapter in STAFF_ADAPTERS else settle.feed


def settled_at(first: datetime, last: datetime, length: timedelta) -> datetime:
    """When edits from ``first`` to ``last`` have settled: each starts the delay again, up to twice its length."""
    return min(last + length, first + 2 * length)
