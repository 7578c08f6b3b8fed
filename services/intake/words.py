"""Everything staff read in words. What the notifier's codes mean stands in ``schemas.words``, for all services."""

from collections.abc import Mapping

from schemas.words import KINDS, REASONS, STATES, WORKLIST, Words, delivery, reason, worklist

__all__ = ["EVENTS", "KINDS", "REASONS", "STATES", "WORKLIST", "Words", "delivery", "reason", "worklist"]

EVENTS: Mapping[str, str] = {
    "patient.registered": "Patient registered",
    "patient.updated": "Patient's details changed",
    "patient.restricted": "Patient restricted",
    "patient.unrestricted": "Restriction lifted",
    "patient.deceased": "Patient reported as deceased",
    "patient.deceased-reversed": "Report of death reversed",
    "patient.closed": "Record closed",
    "patient.erased": "Record erased",
    "enrolment.opened": "Enrolled in the program",
    "enrolment.closed": "Enrolment closed",
    "appointment.scheduled": "Visit booked",
    "appointment.rescheduled": "Visit moved",
    "appointment.updated": "Visit's details changed",
    "appointment.cancelled": "Visit cancelled",
    "appointment.arrived": "Patient arrived",
    "appointment.completed": "Visit completed",
    "appointment.no_show": "Patient didn't come",
    "appointment.removed": "Visit removed: entered in error",
    "paperwork.requested": "Forms requested",
    "paperwork.received": "Forms received",
    "paperwork.waived": "Forms waived",
    "paperwork.reopened": "Forms asked for again",
    "consent.granted": "Consent given",
    "consent.withdrawn": "Consent refused or withdrawn",
    "preference.changed": "Preferences changed",
    "facts.recorded": "Clinical facts recorded",
}
