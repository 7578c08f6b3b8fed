"""What stands in the golden examples: one made-up patient, and one value for each field of each model."""

from collections.abc import Mapping
from typing import Any

from schemas import appointment, outcomes, patient, trials
from schemas.base import Contract

PATIENT = "3f1f1d2e-6a54-4c39-9d43-0a5f8b7c2e10"
APPOINTMENT = "8c2b7d44-1f0e-4a57-b0c6-55d1f9e3a721"
PAPERWORK = "b7a0c1de-93f4-4e0b-8a52-2d6f10c4e983"
DELIVERY = "d94e6f02-7b1c-4d38-a6f5-91c3e20b7a64"
TRIAL = "2c7d9e15-4b60-4a3f-8d21-6e0f5a9b7c48"
OTHER = "5e8a3b90-c2d7-4f61-8e14-7f0b9d6a5c32"
ITEM = "0d6c5b4a-3e2f-4b1d-9c8a-7f6e5d4c3b2a"
PROGRAM = "k7q2m9"
CREATED, CHANGED, START, END = (
    "2027-02-24T18:00:00Z", "2027-03-02T17:05:00Z", "2027-03-16T16:30:00Z", "2027-03-16T17:30:00Z",
)  # fmt: skip

_VERSIONED = {"patient_id": PATIENT, "version": 3}
_DELIVERY = {
    "delivery_id": DELIVERY, "kind": "appointment-reminder", "program": PROGRAM, "appointment_id": APPOINTMENT,
    "paperwork_id": PAPERWORK, "step": "P3D", "state": "planned", "reason": "quiet_hours",
    "due_at": "2027-03-13T18:00:00Z", "useful_until": "2027-03-15T17:00:00Z", "tier": 0, "mail_id": OTHER,
    "at": "2027-03-13T18:00:02Z", "request_id": OTHER,
}  # fmt: skip
_LEAST = {key: _DELIVERY[key] for key in ("delivery_id", "kind", "program", "state", "due_at", "useful_until")}
_PATIENT = {**_VERSIONED, "status": "active", "zone": "America/Los_Angeles"}

DATA: Mapping[type[Contract], Mapping[str, Any]] = {
    patient.PatientState: _PATIENT,
    patient.PatientAbsorbed: {**_PATIENT, "absorbed_patient_id": OTHER},
    patient.EnrolmentState: {
        **_VERSIONED, "enrolment_id": OTHER, "program": PROGRAM, "outside_network": "yes", "status": "open",
    },
    appointment.AppointmentState: {
        **_VERSIONED, "appointment_id": APPOINTMENT, "program": PROGRAM, "status": "booked", "start": START,
        "end": END, "zone": "America/Los_Angeles", "modality": "on-site", "booked_at": CREATED,
        "start_set_at": CREATED, "changed_at": CHANGED, "patient_told_at": CREATED,
    },
    appointment.PaperworkState: {
        **_VERSIONED, "paperwork_id": PAPERWORK, "program": PROGRAM, "appointment_id": APPOINTMENT,
        "items": [{"item_id": ITEM, "status": "requested"}], "requested_at": CREATED, "changed_at": CHANGED,
    },
    patient.ConsentState: {
        **_VERSIONED, "consent_id": OTHER, "scope": "email-detailed", "text_version": "2027-01", "decided_at": CREATED,
        "recorded_by": "desk-7", "program": PROGRAM, "decision": "permit",
    },
    patient.PreferenceState: {
        **_VERSIONED, "preference_id": OTHER, "program": PROGRAM, "email": True, "reminders": False, "forms": True,
        "paused_until": START,
    },
    patient.FactsState: {**_VERSIONED, "facts_id": OTHER},
    outcomes.Heartbeat: {"fresh_as_of": CHANGED},
    outcomes.MessageRequest: {
        **_VERSIONED, "request_id": OTHER, "kind": "trial-invitation", "program": PROGRAM, "trial_id": "trial-1",
        "approval_id": "approval-1", "text_version": "2027-01", "language": "en", "expires_at": END,
    },
    outcomes.RequestWithdrawal: {**_VERSIONED, "request_id": OTHER, "reason": "match_withdrawn"},
    outcomes.PlanChanged: {**_VERSIONED, "deliveries": [_DELIVERY, {**_LEAST, "delivery_id": OTHER}]},
    outcomes.DeliveryOutcome: {**_VERSIONED, "delivery": _DELIVERY},
    outcomes.Answer: {
        "patient_id": PATIENT, "answer_id": OTHER, "answer": "confirmed", "given_at": CHANGED, "program": PROGRAM,
        "appointment_id": APPOINTMENT, "paperwork_id": PAPERWORK, "kind": "trial-invitation",
    },
    outcomes.WorklistItem: {
        **_VERSIONED, "item_id": ITEM, "program": PROGRAM, "code": "too_late", "appointment_id": APPOINTMENT,
        "paperwork_id": PAPERWORK, "delivery_id": DELIVERY, "opened_at": CREATED, "due_at": CHANGED,
    },
    trials.TrialState: {
        "trial_id": TRIAL, "version": 3, "registry_id": "EXAMPLE-1", "title": "An example", "status": "recruiting",
        "sites": [{
            "facility": "Example Clinic", "city": "Los Angeles", "state": "California", "country": "United States",
            "status": "recruiting", "latitude": 34.05, "longitude": -118.24,
        }],
        "programs": [PROGRAM], "criteria_version": "1.2",
        "eligibility": {
            "minimum_age": {"number": 18, "unit": "years"}, "maximum_age": {"number": 65, "unit": "years"},
            "sex": "female",
            "criteria": [
                {
                    "id": "i1", "kind": "inclusion", "text": "An example of a sentence", "status": "manual",
                    "expression": {"fact": "example-fact", "op": "ge", "value": 4, "unit": "example-unit"},
                    "anchor": True, "waivable": False,
                },
                {"id": "e1", "kind": "exclusion", "text": "Another example", "status": "unparsed"},
            ],
            "cohorts": [{"id": "a", "name": "Cohort A", "criteria": []}],
        },
        "approvals": [{
            "approval_id": "approval-1", "text_version": "2027-01", "language": "en", "status": "active",
            "valid_until": "2027-12-31", "text": "An example of an approved text.",
            "voluntary": "An example of a voluntary line.", "contact": "Demo Study Team, (408) 555-0150",
        }],
    },
    trials.MatchState: {
        **_VERSIONED, "match_id": OTHER, "trial_id": TRIAL, "program": PROGRAM, "verdict": "possible",
        "facts_version": 4, "criteria_version": "1.2", "as_of": "2027-03-02", "unknown": ["e1"],
        "withdrawn": "facts_changed", "at": CHANGED,
    },
    trials.MatchReport: {
        "report_id": OTHER, "subscription_id": ITEM, "sequence": 7, "registry_id": "EXAMPLE-1",
        "pseudonym": "0123456789abcdef0123456789abcdef", "verdict": "possible", "withdrawn": "facts_changed",
        "criteria_version": "1.2",
        "criteria": [{"criterion_id": "e1", "text": "Another example", "outcome": "not-known"}],
        "summary": {"found": 3}, "at": CHANGED,
    },
    trials.DigestRequest: {
        "digest_id": OTHER, "subscription_id": ITEM, "program": PROGRAM, "to": "coordinator@example.org",
        "day": "2027-03-02", "lines": [{"registry_id": "EXAMPLE-1", "found": 1, "changed": 0, "withdrawn": 2}],
        "expires_at": END,
    },
}  # fmt: skip
"""By state, without its sealed blocks."""

SEALED: Mapping[type[Contract], Mapping[str, Any]] = {
    patient.ContactBlock: {
        "given_name": "Zoë", "family_name": "Example", "birth_date": "1980-02-29", "email": "zoe@example.org",
        "email_verified_at": CREATED, "phone": "(408) 555-0199", "language": "en",
    },
    patient.TraitsBlock: {"birth_date": "1980-02-29", "sex": "female"},
    patient.FactsBlock: {"facts": [{
        "name": "example-fact", "value": 4, "unit": "example-unit", "source": "example", "observed_at": CREATED,
        "valid_until": END,
    }]},
    appointment.CareBlock: {"visit_type": "consultation", "site": "main", "clinician": "Demo Clinician"},
    appointment.VisitBlock: {"visit_type": "consultation"},
    appointment.FormsBlock: {"forms": {ITEM: "patient-intake"}},
}  # fmt: skip

OWN: Mapping[str, Mapping[str, Any]] = {
    "patient.restricted": {"status": "restricted"},
    "patient.deceased": {"status": "deceased"},
    "patient.closed": {"status": "closed"},
    "patient.merged": {"status": "merged", "merged_into": OTHER, "contact": None, "traits": None},
    "patient.erased": {"status": "erased", "zone": None, "contact": None, "traits": None},
    "enrolment.closed": {"status": "closed"},
    "appointment.cancelled": {"status": "cancelled"},
    "appointment.arrived": {"status": "arrived"},
    "appointment.completed": {"status": "fulfilled"},
    "appointment.no_show": {"status": "noshow"},
    "appointment.removed": {"status": "entered-in-error"},
    "consent.withdrawn": {"decision": "deny"},
    "paperwork.received": {"items": [{"item_id": ITEM, "status": "received"}]},
    "paperwork.waived": {"items": [{"item_id": ITEM, "status": "waived"}]},
    "worklist.closed": {"closed_at": CHANGED},
    **{
        f"delivery.{state}": {"delivery": {**_DELIVERY, "state": state}}
        for state in (
            "sent",
            "delivered",
            "bounced",
            "complained",
            "skipped",
            "cancelled",
            "missed",
            "failed",
            "uncertain",
        )
    },
}
"""What one event has that others with the same state haven't."""

SUBJECT_ID = {
    "patient": PATIENT, "plan": PATIENT, "appointment": APPOINTMENT, "paperwork": PAPERWORK, "delivery": DELIVERY,
    "worklist": ITEM, "enrolment": OTHER, "consent": OTHER, "preference": OTHER, "facts": OTHER, "request": OTHER,
    "answer": OTHER, "trial": TRIAL, "match": OTHER, "report": OTHER, "digest": OTHER,
}  # fmt: skip
"""By the family of the subject."""

KEY_FIELD = {"trial": "trial_id", "report": "pseudonym", "digest": "subscription_id"}
"""The field that is the record's key, by the family of the subject; of all others the patient's id."""
