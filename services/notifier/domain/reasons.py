"""Why a delivery was not sent, and what each reason means for it: over, later, or once something happens."""

from enum import StrEnum


class Reason(StrEnum):
    """Why a delivery was not sent. The three classes are ``FINAL``, ``UNTIL`` and ``ON_EVENT`` (messaging rules)."""

    VISIT_CANCELLED = "visit_cancelled"
    SUPERSEDED = "superseded"
    PAPERWORK_RECEIVED = "paperwork_received"
    OPTED_OUT = "opted_out"
    DECEASED = "deceased"
    MERGED_RECORD = "merged_record"
    COLLAPSED = "collapsed"
    BEFORE_ARMING = "before_arming"
    TOO_LATE = "too_late"
    MODALITY_MISMATCH = "modality_mismatch"
    TRIALS_NOT_OFFERED = "trials_not_offered"
    IRB_EXPIRED = "irb_expired"
    MATCH_WITHDRAWN = "match_withdrawn"

    QUIET_HOLD = "quiet_hold"
    SETTLE = "settle"
    CAP_REACHED = "cap_reached"
    DOMAIN_THROTTLE = "domain_throttle"
    BREAKER_OPEN = "breaker_open"
    STALE_TRUTH = "stale_truth"
    FEED_STALE = "feed_stale"

    CONSENT_MISSING = "consent_missing"
    RESTRICTED = "restricted"
    MINOR_REVIEW = "minor_review"
    NO_ADDRESS = "no_address"
    UNVERIFIED_ADDRESS = "unverified_address"
    ADDRESS_DISPUTED = "address_disputed"
    SUPPRESSED = "suppressed"
    TRUTH_INCOMPLETE = "truth_incomplete"
    PROGRAM_INCOMPLETE = "program_incomplete"
    PROGRAM_PAUSED = "program_paused"
    CONTENT_EXPIRED = "content_expired"
    APPROVAL_UNKNOWN = "approval_unknown"
    RENDER_ERROR = "render_error"
    PHI_LINT = "phi_lint"


UNTIL = frozenset({
    Reason.QUIET_HOLD, Reason.SETTLE, Reason.CAP_REACHED, Reason.DOMAIN_THROTTLE, Reason.BREAKER_OPEN,
    Reason.STALE_TRUTH, Reason.FEED_STALE,
})  # fmt: skip
ON_EVENT = frozenset({
    Reason.CONSENT_MISSING, Reason.RESTRICTED, Reason.MINOR_REVIEW, Reason.NO_ADDRESS, Reason.UNVERIFIED_ADDRESS,
    Reason.ADDRESS_DISPUTED, Reason.SUPPRESSED, Reason.TRUTH_INCOMPLETE, Reason.PROGRAM_INCOMPLETE,
    Reason.PROGRAM_PAUSED, Reason.CONTENT_EXPIRED, Reason.APPROVAL_UNKNOWN, Reason.RENDER_ERROR, Reason.PHI_LINT,
})  # fmt: skip
FINAL = frozenset(Reason) - UNTIL - ON_EVENT
