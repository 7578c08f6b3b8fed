"""What an invitation stands on: a trial that takes patients, words that a review board approved, and still approves."""

from schemas.outcomes import Kind
from schemas.trials import Approval, ApprovalStatus, RecruitmentStatus
from services.notifier.domain import KnownTrial, Reason, Request
from services.notifier.guard.case import Answer, Case
from services.notifier.times import day_of


def over(case: Case) -> Answer:
    """What ends it for good: not offered, no longer recruiting, an approval that is over."""
    if case.delivery.kind is not Kind.TRIAL_INVITATION:
        return None
    trial, code = _trial(case), case.program.public_code
    if not case.program.offers_trials or (trial and trial.programs and code not in trial.programs):
        return Reason.TRIALS_NOT_OFFERED
    if trial and trial.status is not RecruitmentStatus.RECRUITING:
        return Reason.MATCH_WITHDRAWN
    approval = _approval(case, trial)
    return Reason.IRB_EXPIRED if approval and not _stands(approval, case) else None


def known(case: Case) -> Answer:
    """What must be known first: the catalogue to its end, the trial, the approval of exactly these words."""
    if case.delivery.kind is not Kind.TRIAL_INVITATION:
        return None
    if case.moment.trials is None:
        return Reason.STALE_TRUTH
    if _approval(case, _trial(case)) is None:
        return Reason.APPROVAL_UNKNOWN
    return Reason.PROGRAM_INCOMPLETE if case.program.trials_sender is None else None


def _request(case: Case) -> Request | None:
    return next((each for each in case.truth.requests if each.request_id == case.delivery.request_id), None)


def _trial(case: Case) -> KnownTrial | None:
    request = _request(case)
    return (case.moment.trials or {}).get(request.trial_id) if request else None


def _approval(case: Case, trial: KnownTrial | None) -> Approval | None:
    request = _request(case)
    if request is None or trial is None:
        return None
    return trial.approval(request.approval_id, request.text_version, request.language)


def _stands(approval: Approval, case: Case) -> bool:
    """``valid_until`` is the last day, by the program's calendar. A status nobody here knows counts as suspended."""
    today = day_of(case.moment.now, case.program.zone)
    return approval.status is ApprovalStatus.ACTIVE and today <= approval.valid_until
