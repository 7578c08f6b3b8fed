"""What the notifier says of its mail (``notifier.outcomes.v1``) and is asked for (``notifier.requests.v1``)."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from schemas.base import Contract, Instant, Open
from schemas.ids import Opaque, ProgramCode
from schemas.text import Language, Line, ReasonCode


class Kind(StrEnum):
    """A family of messages. The words are neutral: they stand in the clear."""

    REMINDER = "appointment-reminder"
    PAPERWORK = "paperwork-request"
    REMINDER_PAPERWORK = "reminder-paperwork"
    LATE_BOOKING = "late-booking"
    CHANGE = "appointment-change"
    CANCELLATION = "appointment-cancellation"
    TRIAL_INVITATION = "trial-invitation"
    UNKNOWN = "unknown"


class DeliveryState(StrEnum):
    """Where a delivery stands; ``docs/deliveries.md`` draws the transitions."""

    PLANNED = "planned"
    CLAIMED = "claimed"
    SENDING = "sending"
    HELD = "held"
    SENT = "sent"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    MISSED = "missed"
    FAILED = "failed"
    UNCERTAIN = "uncertain"
    UNKNOWN = "unknown"


class DeliveryView(Contract):
    """One delivery as others may see it: ids, codes, civil times. ``step`` is a step or rung id of the program.

    ``request_id`` is the request of another service that it answers.
    """

    delivery_id: Opaque
    kind: Open[Kind]
    program: ProgramCode
    appointment_id: Opaque | None = None
    paperwork_id: Opaque | None = None
    step: Line | None = None
    state: Open[DeliveryState]
    reason: ReasonCode | None = None
    due_at: Instant
    useful_until: Instant
    tier: Annotated[int, Field(ge=0, le=1)] | None = None
    mail_id: Opaque | None = None
    at: Instant | None = None
    request_id: Opaque | None = None


class PlanChanged(Contract):
    """A patient's open deliveries, all of them; the newest ``version`` replaces what was known."""

    patient_id: Opaque
    version: Annotated[int, Field(ge=1)]
    deliveries: tuple[DeliveryView, ...]


class DeliveryOutcome(Contract):
    """A delivery was sent or reached an end; ``version`` counts this delivery's outcomes."""

    patient_id: Opaque
    version: Annotated[int, Field(ge=1)]
    delivery: DeliveryView


class AnswerKind(StrEnum):
    """What a patient answered on a page behind a link."""

    CONFIRMED = "confirmed"
    RESCHEDULE = "reschedule"
    CANNOT_COME = "cannot-come"
    FORMS_SENT = "forms-sent"
    FORMS_NOT_MINE = "forms-not-mine"
    FORMS_REFUSED = "forms-refused"
    STOPPED = "stopped"
    WRONG_ADDRESS = "wrong-address"
    UNKNOWN = "unknown"


class Answer(Contract):
    """A patient's answer; only these outcomes may cause intake events. ``kind``: the messages that were stopped."""

    patient_id: Opaque
    answer_id: Opaque
    answer: Open[AnswerKind]
    given_at: Instant
    program: ProgramCode
    appointment_id: Opaque | None = None
    paperwork_id: Opaque | None = None
    kind: Open[Kind] | None = None


class WorklistItem(Contract):
    """Something a person must do. ``code`` is the reason; ``item_id`` opens and closes it."""

    item_id: Opaque
    patient_id: Opaque | None = None
    program: ProgramCode | None = None
    code: ReasonCode
    appointment_id: Opaque | None = None
    paperwork_id: Opaque | None = None
    delivery_id: Opaque | None = None
    opened_at: Instant
    due_at: Instant | None = None
    closed_at: Instant | None = None
    version: Annotated[int, Field(ge=1)] = 1


class MessageRequest(Contract):
    """Another service asks for one message to a patient: once for life per patient and trial."""

    request_id: Opaque
    patient_id: Opaque
    version: Annotated[int, Field(ge=1)]
    kind: Open[Kind]
    program: ProgramCode
    trial_id: Line
    approval_id: Line
    text_version: Line
    language: Language
    expires_at: Instant


class RequestWithdrawal(Contract):
    """The request no longer stands: an unsent message is cancelled."""

    request_id: Opaque
    patient_id: Opaque
    version: Annotated[int, Field(ge=1)]
    reason: ReasonCode


class Heartbeat(Contract):
    """The producer lives. ``fresh_as_of``: up to when, by its database's clock, all is published."""

    fresh_as_of: Instant
