"""Synthetic mails: every kind at both tiers, and a few shapes of each."""

from dataclasses import replace
from datetime import UTC, date, datetime

from schemas.appointment import Modality
from schemas.outcomes import Kind
from services.notifier.mail import Invitation, Mail, ProgramMail, Told, Visit

KINDS = (
    Kind.REMINDER,
    Kind.PAPERWORK,
    Kind.REMINDER_PAPERWORK,
    Kind.LATE_BOOKING,
    Kind.CHANGE,
    Kind.CANCELLATION,
    Kind.TRIAL_INVITATION,
)
PROGRAM = ProgramMail(
    public_name="Cedars-Sinai",
    sender="no-reply@notices.example.com",
    host="notices.example.com",
    phone="1-800-CEDARS-1 (1-800-233-2771)",
    emergency_block="This is where the clinic puts its own words for emergencies.",
    deny_list=("CSF", "CSF leak", "cerebrospinal fluid", "blood patch", "myelogram", "neurosurgery", "Demo Clinician"),
)
INSTRUCTION_PROGRAM = replace(
    PROGRAM,
    public_name="Kaiser Permanente",
    phone=None,
    instruction="Contact your Kaiser Permanente doctor.",
    booking_rule="To book again, contact your Kaiser Permanente doctor.",
)
VISIT = Visit(
    appointment_id="0b6f7a52-8a0f-4c39-9f0e-0e6f4a5f2f11",
    start=datetime(2027, 3, 16, 16, 30, tzinfo=UTC),
    end=datetime(2027, 3, 16, 17, 30, tzinfo=UTC),
    zone="America/Los_Angeles",
    modality=Modality.ON_SITE,
    sequence=0,
    clinician="Demo Clinician",
    site_name="Demo Clinic",
    site_address="1 Example Way, Example City",
)
MOVED = replace(
    VISIT, start=datetime(2027, 3, 18, 20, 0, tzinfo=UTC), end=datetime(2027, 3, 18, 21, 0, tzinfo=UTC), sequence=1
)
CANCELLED = replace(VISIT, sequence=2)
VIDEO = replace(VISIT, modality=Modality.VIDEO, site_name=None, site_address=None)
TOLD = Told(start=VISIT.start, modality=Modality.ON_SITE)
PREPARATION = (
    "Write down your questions about your condition or treatment. Bring them with you.",
    "Keep a record of your symptoms. Note any changes between appointments."
    " Note if they affect your work or personal life.",
    "Bring all medications, supplements and vitamins you use now.",
    "Bring your past medical records if you are moving from a provider outside the Cedars-Sinai network.",
    "If you can, fill out your forms before you come.",
)
COMPANION = "We encourage you to bring a spouse, family member or close friend."
FORMS = ("Medical record release authorization", "Patient privacy form")


INVITATION = Invitation(
    text="DEMO TEXT – not approved by any review board.\nThe approved words may name the condition: CSF leak.",
    approval_id="DEMO-IRB-1",
    valid_until=date(2027, 3, 31),
    contact="Demo Study Desk, (310) 555-0100",
    voluntary="DEMO TEXT – Your care stays the same if you say yes, say no or do not answer.",
    stop_url="https://messages.example.com/v1/unsubscribe/abcdefghij234567",
    stop_address="unsubscribe+5f8e1d60@notices.example.com",
    list_id="updates.k7q2m9.notices.example.com",
)


def a_mail(kind: Kind = Kind.REMINDER, tier: int = 0, **changes: object) -> Mail:
    """Ana's mail of that kind, as the story sends it."""
    trial = kind is Kind.TRIAL_INVITATION
    about_forms = kind in (Kind.PAPERWORK, Kind.REMINDER_PAPERWORK, Kind.LATE_BOOKING)
    mail = Mail(
        kind=kind,
        tier=tier,
        tenant="demo",
        patient_id="6a3c1f0e-58b1-4d5e-9b1a-1f5f7e1d0a01",
        recipient="ana@example.org",
        return_path="b+1a2b3c@bounces.example.com",
        message_id="<5f8e1d60-0a5c-4f53-8c39-9a7f0f6d2c11@notices.example.com>",
        date=datetime(2027, 3, 2, 18, 0, tzinfo=UTC),
        locale="en",
        zone="America/Los_Angeles",
        program=PROGRAM,
        visit=None if trial else MOVED if kind is Kind.CHANGE else CANCELLED if kind is Kind.CANCELLATION else VISIT,
        told=TOLD if kind in (Kind.CHANGE, Kind.CANCELLATION) else None,
        given_name="Ana",
        preparation=PREPARATION,
        companion=COMPANION,
        forms=FORMS if about_forms else (),
        forms_count=2 if about_forms else 0,
        asks_left=3 if kind is Kind.PAPERWORK else None,
        only_reminder=kind is Kind.LATE_BOOKING,
        simulated=True,
        invitation=INVITATION if trial else None,
    )
    return replace(mail, **changes)  # type: ignore[arg-type]  # a test names the fields it changes


def every_shape() -> dict[str, Mail]:
    """Every kind and tier as in the story, and what else the templates can say, by a name for files."""
    shapes: dict[str, Mail] = {}
    for tier in (0, 1):
        for kind in KINDS:
            shapes[f"{kind}-{tier}"] = a_mail(kind, tier)
        shapes |= {f"{name}-{tier}": replace(mail, tier=tier) for name, mail in _others().items()}
    return shapes


def _others() -> dict[str, Mail]:
    moved_to_video = replace(VIDEO, sequence=1)
    return {
        "reminder-elsewhere": a_mail(zone="America/New_York"),
        "reminder-next-day": a_mail(zone="Asia/Tokyo"),
        "reminder-video": a_mail(visit=VIDEO, preparation=None, companion=None),
        "reminder-time-and-place": a_mail(preparation=(), companion=None),
        "reminder-no-phone": a_mail(program=INSTRUCTION_PROGRAM, preparation=None, companion=None),
        "late-booking-plain": a_mail(Kind.LATE_BOOKING, forms=(), forms_count=0, only_reminder=False),
        "paperwork-one-last": a_mail(Kind.PAPERWORK, forms=FORMS[:1], forms_count=1, asks_left=0),
        "paperwork-no-visit": a_mail(Kind.PAPERWORK, visit=None, asks_left=None),
        "paperwork-video": a_mail(Kind.PAPERWORK, visit=VIDEO, asks_left=1),
        "change-uncertain": a_mail(Kind.CHANGE, told=None),
        "change-place": a_mail(Kind.CHANGE, visit=replace(VISIT, sequence=1), told=replace(TOLD, place_changed=True)),
        "change-place-unnamed": a_mail(
            Kind.CHANGE, visit=replace(MOVED, site_name=None), told=replace(TOLD, place_changed=True)
        ),
        "change-to-video": a_mail(Kind.CHANGE, visit=moved_to_video),
        "change-to-site": a_mail(
            Kind.CHANGE, visit=MOVED, told=Told(VISIT.start, Modality.VIDEO), program=INSTRUCTION_PROGRAM
        ),
        "change-video": a_mail(
            Kind.CHANGE, visit=replace(VIDEO, start=MOVED.start, sequence=1), told=Told(VISIT.start, Modality.VIDEO)
        ),
        "change-elsewhere": a_mail(Kind.CHANGE, zone="America/New_York"),
        "cancellation-uncertain": a_mail(Kind.CANCELLATION, told=None),
        "cancellation-elsewhere": a_mail(Kind.CANCELLATION, zone="America/New_York"),
        "cancellation-video": a_mail(
            Kind.CANCELLATION, visit=replace(VIDEO, sequence=2), told=Told(VISIT.start, Modality.VIDEO)
        ),
        "invitation-bare": a_mail(
            Kind.TRIAL_INVITATION, invitation=replace(INVITATION, voluntary=None), program=INSTRUCTION_PROGRAM
        ),
        "cancellation-no-phone": a_mail(Kind.CANCELLATION, program=INSTRUCTION_PROGRAM),
    }
