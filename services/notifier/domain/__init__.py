"""What the notifier reasons about, on frozen dataclasses: the truth of one patient, the ledger, the plan."""

from services.notifier.domain.ledger import OPEN_STATES, SAFETY, TOLD_STATES, Delivery, Ledger, Told
from services.notifier.domain.plans import Plan, Task, Wanted
from services.notifier.domain.reasons import FINAL, ON_EVENT, UNTIL, Reason
from services.notifier.domain.trials import KnownTrial
from services.notifier.domain.truth import (
    OFF,
    Appointment,
    Consent,
    Enrolment,
    Paperwork,
    PaperworkItem,
    Patient,
    Preference,
    Request,
    Stop,
    Truth,
    Withdrawal,
)

__all__ = [
    "FINAL",
    "OFF",
    "ON_EVENT",
    "OPEN_STATES",
    "SAFETY",
    "TOLD_STATES",
    "UNTIL",
    "Appointment",
    "Consent",
    "Delivery",
    "Enrolment",
    "KnownTrial",
    "Ledger",
    "Paperwork",
    "PaperworkItem",
    "Patient",
    "Plan",
    "Preference",
    "Reason",
    "Request",
    "Stop",
    "Task",
    "Told",
    "Truth",
    "Wanted",
    "Withdrawal",
]
