"""Who may be written to: what the patient chose and agreed to, who they are, whether their address is theirs."""

from datetime import date
from typing import Literal

from schemas.outcomes import Kind
from schemas.patient import ConsentDecision, ConsentScope, PatientStatus
from services.notifier.domain import Reason
from services.notifier.guard.case import REMINDERS, Answer, Case
from services.notifier.times import day_of


def choices(case: Case) -> Answer:
    """What the patient has chosen. Safety notices go unless e-mail is refused altogether."""
    chosen = [each for each in case.truth.preferences if each.program == case.program.public_code]
    if not all(each.email for each in chosen):
        return Reason.OPTED_OUT
    if case.safety:
        return None
    kind = case.delivery.kind
    if any(each.kind is kind for each in case.truth.stops):
        return Reason.OPTED_OUT
    if kind in REMINDERS and not all(each.reminders for each in chosen):
        return Reason.OPTED_OUT
    if kind is Kind.PAPERWORK and not all(each.forms for each in chosen):
        return Reason.OPTED_OUT
    until = max((each.paused_until for each in chosen if each.paused_until), default=None)
    return (Reason.QUIET_HOLD, until) if until and until > case.moment.now else None


def consent(case: Case) -> Answer:
    """Care mail needs no record of consent unless the program says so, but no refusal; trial mail needs its own."""
    if case.safety:
        return None
    trial = case.delivery.kind is Kind.TRIAL_INVITATION
    scopes = [ConsentScope.EMAIL_BASIC, *([ConsentScope.TRIAL_CONTACT] if trial else [])]
    decisions = [_decision(case, scope) for scope in scopes]
    if ConsentDecision.DENY in decisions:
        return Reason.OPTED_OUT
    needed = [scope is ConsentScope.TRIAL_CONTACT or case.program.requires_consent for scope in scopes]
    for decision, must in zip(decisions, needed, strict=True):
        if decision is ConsentDecision.UNKNOWN or (decision is None and must):
            return Reason.CONSENT_MISSING
    return None


def _decision(case: Case, scope: ConsentScope) -> ConsentDecision | None:
    """The newest decision for this program or the whole tenant; at one instant the more restrictive holds."""
    apply = [c for c in case.truth.consents if c.scope is scope and c.program in (None, case.program.public_code)]
    if not apply:
        return None
    newest = max(each.decided_at for each in apply)
    decisions = {each.decision for each in apply if each.decided_at == newest}
    return decisions.pop() if len(decisions) == 1 else ConsentDecision.DENY


def person(case: Case) -> Answer:
    patient = case.truth.patient
    if patient is None or patient.status is PatientStatus.UNKNOWN:
        return Reason.TRUTH_INCOMPLETE
    if patient.status is PatientStatus.RESTRICTED and not case.program.restricted_mail:
        return Reason.RESTRICTED
    if patient.email is None:
        return Reason.NO_ADDRESS
    today = day_of(case.moment.now, case.program.zone)
    if patient.birth_date is None or _age(patient.birth_date.reveal(), today) < case.program.adult_age:
        return Reason.MINOR_REVIEW
    if patient.email_verified_at is None or patient.shares_address:
        return Reason.UNVERIFIED_ADDRESS
    return Reason.SUPPRESSED if case.moment.suppressed else None


def _age(born: date, today: date) -> int:
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def tier(case: Case) -> Literal[0, 1]:
    return 1 if _decision(case, ConsentScope.EMAIL_DETAILED) is ConsentDecision.PERMIT else 0
