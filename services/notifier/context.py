"""From truth to one mail's context: which words of the program and which facts of the patient it may use. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from schemas.appointment import Modality
from schemas.outcomes import Kind
from schemas.patient import OutsideNetwork
from schemas.programs import Program, VisitType
from services.notifier import domain, mail
from services.notifier.domain import Appointment, Delivery, KnownTrial, Ledger, Request, Truth
from services.notifier.grouping import Bundle
from services.notifier.keys import voided_visit
from services.notifier.times import known_zone
from services.notifier.told import told_after_mail


@dataclass(frozen=True, slots=True)
class Sending:
    """One mail about to be made: what goes into it, from which truth, under whose rules, at civil time ``now``."""

    bundle: Bundle
    truth: Truth
    ledger: Ledger
    program: Program
    tier: Literal[0, 1]
    mail_id: str
    zone: str
    asks_left: int | None
    now: datetime
    simulated: bool = False
    trials: Mapping[str, KnownTrial] | None = None
    stop_url: str | None = None

    @property
    def request(self) -> Request | None:
        """What another service asks for, and this mail answers."""
        mine = self.bundle.deliveries[0].request_id
        return next((each for each in self.truth.requests if each.request_id == mine), None)

    @property
    def message_id(self) -> str:
        return f"<{self.mail_id}@{self.program.mail_domain}>"

    @property
    def tells(self) -> tuple[domain.Told, ...]:
        """What its reader knows of the visits it names; ``at`` and ``certain`` are for whoever records it."""
        heard = told_after_mail(self.bundle.deliveries, self.truth, self.ledger.told, self.now, certain=True)
        return tuple(heard.values())


def mail_of(sending: Sending) -> mail.Mail:
    """The context of the mail. ``ValueError`` when something is missing that its kind needs."""
    program, patient = sending.program, sending.truth.patient
    if patient is None or patient.email is None or program.sender is None or program.mail_domain is None:
        raise ValueError("a mail needs an address and a program that is complete")
    visits = [_visit(sending, each) for each in sending.bundle.appointment_ids]
    missing = _missing_forms(sending)
    first = _appointment(sending, sending.bundle.appointment_ids[0]) if visits else None
    preparation = _preparation(sending, first) if first else None
    return mail.Mail(
        kind=sending.bundle.kind,
        tier=sending.tier,
        tenant=sending.truth.tenant,
        patient_id=sending.truth.patient_id,
        recipient=patient.email.reveal(),
        return_path=f"bounces+{sending.mail_id}@{program.mail_domain}",
        message_id=sending.message_id,
        date=sending.now,
        locale=sending.request.language if sending.request else patient.language,
        zone=sending.zone,
        program=program_mail(program, trials=sending.request is not None),
        visit=visits[0] if visits else None,
        also=tuple(visits[1:]),
        told=_void(sending),
        given_name=patient.given_name.reveal() if patient.given_name else None,
        preparation=preparation,
        companion=program.companion if first and first.modality is Modality.ON_SITE and preparation != () else None,
        forms=tuple(program.forms.get(form, form) for form in missing) if sending.tier else (),
        forms_count=len(missing),
        asks_left=sending.asks_left,
        only_reminder=_is_only_one(sending),
        simulated=sending.simulated,
        invitation=_invitation(sending, sending.request) if sending.request else None,
    )


def program_mail(program: Program, *, trials: bool = False) -> mail.ProgramMail:
    """A program's part of its mails; those about ``trials`` come from an address of their own."""
    sender = program.trials_sender if trials else program.sender
    if sender is None or program.mail_domain is None:
        raise ValueError("the program is not complete")
    return mail.ProgramMail(
        public_name=program.public_name,
        sender=sender.reveal(),
        host=program.mail_domain,
        phone=program.phone,
        instruction=program.contact_instruction,
        booking_rule=program.booking_rule,
        emergency_block=program.emergency,
        reply_to=program.reply_to.reveal() if program.reply_to else None,
        deny_list=program.deny_list,
    )


def _invitation(sending: Sending, request: Request) -> mail.Invitation:
    """The approved words as the guard has seen them, and the ways to end such mail."""
    trial = (sending.trials or {}).get(request.trial_id)
    approval = trial.approval(request.approval_id, request.text_version, request.language) if trial else None
    if approval is None or sending.stop_url is None:
        raise ValueError("an invitation needs its approval, and a page that ends such mail")
    program = sending.program
    return mail.Invitation(
        text=approval.text,
        approval_id=approval.approval_id,
        valid_until=approval.valid_until,
        contact=approval.contact,
        voluntary=approval.voluntary,
        stop_url=sending.stop_url,
        stop_address=f"unsubscribe+{sending.mail_id}@{program.mail_domain}",
        list_id=f"updates.{program.public_code}.{program.mail_domain}",
    )


def _appointment(sending: Sending, appointment_id: str) -> Appointment:
    return next(each for each in sending.truth.appointments if each.appointment_id == appointment_id)


def _visit(sending: Sending, appointment_id: str) -> mail.Visit:
    """The visit as the mail tells it; a cancellation names the time the patient knew."""
    visit, entry = _appointment(sending, appointment_id), _calendar_entry(sending, appointment_id)
    heard = sending.ledger.told
    after = {**heard, **told_after_mail(sending.bundle.deliveries, sending.truth, heard, sending.now, certain=True)}
    known = heard.get(appointment_id)
    void = known.start if known and sending.bundle.kind is Kind.CANCELLATION else None
    site = sending.program.sites.get(visit.site or "")
    return mail.Visit(
        appointment_id=entry,
        start=void or visit.start,
        end=None if void else visit.end,
        zone=_zone(sending, visit),
        modality=visit.modality,
        sequence=after[entry].sequence if entry in after else 0,
        clinician=visit.clinician.reveal() if visit.clinician else None,
        site_name=site.name if site else None,
        site_address=site.address if site else None,
    )


def _calendar_entry(sending: Sending, appointment_id: str) -> str:
    """Whose calendar entry the mail updates: of a visit booked in place of another, the one the patient has."""
    notice = sending.bundle.deliveries[0]
    return voided_visit(notice.dedup_key) if notice.kind is Kind.CHANGE else appointment_id


def _void(sending: Sending) -> mail.Told | None:
    """What the patient knew for certain, and is void now."""
    if sending.bundle.kind not in domain.SAFETY:
        return None
    notice = sending.bundle.deliveries[0]
    known = sending.ledger.told.get(voided_visit(notice.dedup_key))
    if known is None or not known.certain or known.start is None or known.modality is None:
        return None
    visit = _appointment(sending, notice.appointment_id or known.appointment_id)
    return mail.Told(start=known.start, modality=known.modality, place_changed=known.site != visit.site)


def _missing_forms(sending: Sending) -> Sequence[str]:
    """Codes of the forms still asked for by the paperwork requests of this mail."""
    ids = {each.paperwork_id for each in sending.bundle.deliveries if each.paperwork_id}
    return [item.form for each in sending.truth.paperwork if each.paperwork_id in ids for item in each.missing]


def _preparation(sending: Sending, visit: Appointment) -> tuple[str, ...] | None:
    """The checklist lines of the steps this mail stands for; None where no approved list exists (any more)."""
    program = sending.program
    visit_type = program.visit_types.get(visit.visit_type)
    steps = _steps_told(sending, visit, visit_type)
    if steps and visit_type and steps <= {_last_step(visit_type, visit)}:
        return ()
    approved = (
        program.preparation_review_by is not None and _local_date(sending, visit) <= program.preparation_review_by
    )
    if not (visit_type and visit_type.preparation and approved):
        return None
    outside = next((e.outside_network for e in sending.truth.enrolments if e.program == visit.program), None)
    return tuple(
        item.text
        for item in program.preparation
        if item.steps & steps and not (item.only_from_outside and outside is OutsideNetwork.NO)
    )


def _steps_told(sending: Sending, visit: Appointment, visit_type: VisitType | None) -> frozenset[str]:
    """The steps this mail stands for: its own, or those a late booking has collapsed."""
    if sending.bundle.kind is Kind.LATE_BOOKING:
        chosen = visit_type.steps.get(_modality(visit)) if visit_type else None
        return frozenset(chosen.steps) if chosen else frozenset()
    mine = [each for each in sending.bundle.deliveries if each.appointment_id == visit.appointment_id and each.step]
    return frozenset(each.step for each in mine if each.step)


def _last_step(visit_type: VisitType, visit: Appointment) -> str | None:
    chosen = visit_type.steps.get(_modality(visit))
    return chosen.steps[-1] if chosen and chosen.steps else None


def _modality(visit: Appointment) -> Literal["on-site", "video"]:
    return "video" if visit.modality is Modality.VIDEO else "on-site"


def _local_date(sending: Sending, visit: Appointment) -> date:
    return sending.now.astimezone(ZoneInfo(_zone(sending, visit))).date()


def _zone(sending: Sending, visit: Appointment) -> str:
    """The visit's zone, as the plan takes it: where this machine doesn't know it, the program's."""
    return visit.zone if known_zone(visit.zone) else sending.program.zone


def _is_only_one(sending: Sending) -> bool:
    """Whether a late booking's mail is the only one about its visit."""
    mine: list[Delivery] = [d for d in sending.ledger.deliveries if d.appointment_id in sending.bundle.appointment_ids]
    others = [d for d in mine if d.delivery_id not in {each.delivery_id for each in sending.bundle.deliveries}]
    return sending.bundle.kind is Kind.LATE_BOOKING and not any(d.state in domain.OPEN_STATES for d in others)
