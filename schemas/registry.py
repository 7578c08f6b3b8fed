"""Every event type: its name, data, what a poster sends for it, and its topic. Others are made from this table."""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas import appointment, outcomes, patient, trials
from schemas.base import Contract
from schemas.envelope import SCHEMA_BASE, TYPE_PREFIX

INTAKE_EVENTS = "intake.events.v1"
NOTIFIER_REQUESTS = "notifier.requests.v1"
NOTIFIER_OUTCOMES = "notifier.outcomes.v1"
TRIALS_CATALOG = "trials.catalog.v1"
TRIALS_MATCHES = "trials.matches.v1"
TRIALS_OUTCOMES = "trials.outcomes.v1"
TRIALS_DIGESTS = "trials.digests.v1"
TRIALS_SUBSCRIPTION = "trials.subscription.<id>.v1"
"""One topic for each subscription, named by its id."""


@dataclass(frozen=True, slots=True)
class EventType:
    """One event type. ``posted`` is None for what can't be posted; ``subject`` is the family of its subject.

    ``more_topics`` carry it, too: another producer says the same of itself.
    """

    name: str
    subject: str
    data: type[Contract]
    topic: str
    posted: type[Contract] | None
    major: int = 1
    more_topics: tuple[str, ...] = ()

    @property
    def wire(self) -> str:
        """The CloudEvents ``type``, such as ``org.upright.appointment.scheduled.v1``."""
        return f"{TYPE_PREFIX}{self.name}.v{self.major}"

    @property
    def dataschema(self) -> str:
        return f"{SCHEMA_BASE}{self.name}.v{self.major}.json"


def _types(
    topic: str,
    subject: str,
    data: type[Contract],
    posted: type[Contract] | None,
    *names: str,
    more: tuple[str, ...] = (),
) -> list[EventType]:
    return [EventType(name, subject, data, topic, posted, more_topics=more) for name in names]


_P, _A, _T = patient, appointment, trials
_ALL: list[EventType] = [
    *_types(INTAKE_EVENTS, "patient", _P.PatientState, _P.PatientPosted, "patient.registered", "patient.updated"),
    *_types(INTAKE_EVENTS, "patient", _P.PatientState, _P.PatientReason, "patient.restricted", "patient.unrestricted"),
    *_types(
        INTAKE_EVENTS, "patient", _P.PatientState, _P.PatientReason,
        "patient.deceased", "patient.deceased-reversed",
    ),
    *_types(INTAKE_EVENTS, "patient", _P.PatientState, _P.PatientReason, "patient.closed", "patient.erased"),
    *_types(INTAKE_EVENTS, "patient", _P.PatientState, None, "patient.merged"),
    *_types(INTAKE_EVENTS, "patient", _P.PatientAbsorbed, None, "patient.absorbed"),
    *_types(INTAKE_EVENTS, "enrolment", _P.EnrolmentState, _P.EnrolmentPosted, "enrolment.opened", "enrolment.closed"),
    *_types(
        INTAKE_EVENTS, "appointment", _A.AppointmentState, _A.AppointmentPosted,
        "appointment.scheduled", "appointment.rescheduled", "appointment.updated", "appointment.cancelled",
        "appointment.arrived", "appointment.completed", "appointment.no_show", "appointment.removed",
    ),
    *_types(
        INTAKE_EVENTS, "paperwork", _A.PaperworkState, _A.PaperworkPosted,
        "paperwork.requested", "paperwork.received", "paperwork.waived", "paperwork.reopened",
    ),
    *_types(INTAKE_EVENTS, "consent", _P.ConsentState, _P.ConsentPosted, "consent.granted", "consent.withdrawn"),
    *_types(INTAKE_EVENTS, "preference", _P.PreferenceState, _P.PreferencePosted, "preference.changed"),
    *_types(INTAKE_EVENTS, "facts", _P.FactsState, _P.FactsPosted, "facts.recorded"),
    *_types(INTAKE_EVENTS, "heartbeat", outcomes.Heartbeat, None, "heartbeat"),
    *_types(NOTIFIER_REQUESTS, "request", outcomes.MessageRequest, None, "message.requested"),
    *_types(NOTIFIER_REQUESTS, "request", outcomes.RequestWithdrawal, None, "message.withdrawn"),
    *_types(NOTIFIER_OUTCOMES, "plan", outcomes.PlanChanged, None, "plan.changed"),
    *_types(
        NOTIFIER_OUTCOMES, "delivery", outcomes.DeliveryOutcome, None,
        "delivery.sent", "delivery.delivered", "delivery.bounced", "delivery.complained", "delivery.skipped",
        "delivery.cancelled", "delivery.missed", "delivery.failed", "delivery.uncertain",
    ),
    *_types(NOTIFIER_OUTCOMES, "answer", outcomes.Answer, None, "answer.given"),
    *_types(
        NOTIFIER_OUTCOMES, "worklist", outcomes.WorklistItem, None, "worklist.opened", "worklist.closed",
        more=(TRIALS_OUTCOMES,),
    ),
    *_types(TRIALS_CATALOG, "trial", _T.TrialState, None, "trial.published", "trial.changed", "trial.closed"),
    *_types(TRIALS_MATCHES, "match", _T.MatchState, None, "match.found", "match.changed", "match.withdrawn"),
    *_types(
        TRIALS_SUBSCRIPTION, "report", _T.MatchReport, None,
        "report.found", "report.changed", "report.withdrawn", "report.summary", "report.test",
    ),
    *_types(TRIALS_DIGESTS, "digest", _T.DigestRequest, None, "digest.requested"),
]  # fmt: skip

EVENT_TYPES: Mapping[str, EventType] = {each.name: each for each in _ALL}
"""By name without prefix and major: ``appointment.scheduled``."""

BY_WIRE: Mapping[str, EventType] = {each.wire: each for each in _ALL}
"""By CloudEvents ``type``."""

FAMILIES = frozenset(each.name for each in _ALL)


def family_of(wire: str) -> str | None:
    """``org.upright.appointment.scheduled.v2`` → ``appointment.scheduled``; None when it isn't one of our types."""
    if not wire.startswith(TYPE_PREFIX):
        return None
    name, _, _major = wire.removeprefix(TYPE_PREFIX).rpartition(".v")
    return name if name in FAMILIES else None
