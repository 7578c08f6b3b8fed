"""Dedup keys: the stable names of intents. Writer and readers of the ledger use these functions alone."""

from datetime import datetime
from typing import Literal

from schemas.outcomes import Kind

REQUEST = "request"
"""The first rung of a paperwork ladder: the request itself."""


def reminder_key(appointment_id: str, start: datetime, step: str) -> str:
    """By visit, start and step: a visit that is moved and moved back doesn't repeat what was sent."""
    return f"reminder/{appointment_id}/{start:%Y%m%dT%H%M%SZ}/{step}"


def paperwork_key(paperwork_id: str, rung: str) -> str:
    """By request and rung."""
    return f"paperwork/{paperwork_id}/{rung}"


def notice_key(kind: Literal[Kind.CHANGE, Kind.CANCELLATION], appointment_id: str, sequence: int) -> str:
    """By kind, visit and the sequence of what the patient was told: one notice voids one thing told."""
    return f"{'change' if kind is Kind.CHANGE else 'cancellation'}/{appointment_id}/{sequence}"


def trial_key(trial_id: str) -> str:
    """By trial: one invitation in a patient's life, whoever asks for it and however often."""
    return f"trial/{trial_id}"


def voided_visit(key: str) -> str:
    """The appointment whose told state a notice voids; with a new booking in its place it is the old one."""
    return key.split("/")[1]
