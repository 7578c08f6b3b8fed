"""What staff read for each code of the notifier: reasons, states, kinds, worklist. Nothing here is protected.

Here, because every service that shows a code says the same of it. The notifier's tests prove that no code lacks words.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """``what`` says what happened or is the case; ``todo`` what a person can do, empty where nothing is to be done."""

    what: str
    todo: str = ""


REASONS: Mapping[str, Words] = {
    "visit_cancelled": Words("The visit was cancelled before sending."),
    "superseded": Words("A newer message took its place."),
    "paperwork_received": Words("All forms had arrived before sending."),
    "opted_out": Words("The patient doesn't want these messages.", "Call the patient if it matters."),
    "deceased": Words("The patient is reported as deceased.", "Reverse the report if it is wrong."),
    "merged_record": Words("The record was merged into another one; messages go out from there."),
    "collapsed": Words("It was booked late: one message took the place of several."),
    "before_arming": Words("It was due before this installation became responsible."),
    "too_late": Words("There was no time left to send it.", "Call the patient."),
    "modality_mismatch": Words("The visit's modality doesn't fit the message.", "Check on site or video."),
    "trials_not_offered": Words("The program doesn't offer trials."),
    "irb_expired": Words(
        "The approval of the invitation's text has expired or is suspended.", "Ask the trial's coordinator."
    ),
    "match_withdrawn": Words("The trial takes nobody any more, or the patient no longer matches it."),
    "quiet_hold": Words("Waits for the hours in which messages may go out."),
    "settle": Words("Waits for a moment, in case the change is changed again."),
    "cap_reached": Words("The patient has had enough messages for now; it waits."),
    "domain_throttle": Words("Waits its turn: the address's provider takes only so much mail."),
    "breaker_open": Words("Sending is stopped by a safety switch.", "Ask operations."),
    "stale_truth": Words("Waits until the newest changes are certain to be known.", "Ask operations if it lasts."),
    "feed_stale": Words("The hospital's feed is silent; it waits.", "Ask operations about the feed."),
    "consent_missing": Words("It needs a consent, and there is none.", "Ask the patient for consent."),
    "restricted": Words("The patient is restricted.", "Call the patient if it matters, or lift the restriction."),
    "minor_review": Words("The patient is a minor: staff decide.", "Review, and call the family."),
    "no_address": Words("There is no e-mail address.", "Ask the patient for one, or call."),
    "unverified_address": Words("The address is not verified, or is shared.", "Confirm the address with the patient."),
    "address_disputed": Words("Somebody said the address isn't the patient's.", "Confirm the address by phone."),
    "suppressed": Words("The address refused mail before.", "Ask the patient for another address, or call."),
    "truth_incomplete": Words("A change about the patient couldn't be read.", "Ask operations; call if it is urgent."),
    "program_incomplete": Words("The program's settings are incomplete.", "Fill in what the hospital must fill."),
    "program_paused": Words("The program is paused.", "Resume the program."),
    "content_expired": Words("The text is past its review date.", "Have the text reviewed."),
    "approval_unknown": Words(
        "Nobody here knows the trial, or this approval of its text.", "Ask the trial's coordinator."
    ),
    "render_error": Words("The message couldn't be made.", "Ask operations; call the patient."),
    "phi_lint": Words("The message held a word that must not be in mail.", "Ask operations; call the patient."),
}

STATES: Mapping[str, str] = {
    "planned": "Will be sent.",
    "claimed": "Is about to be sent.",
    "sending": "Is being sent.",
    "held": "Is held.",
    "sent": "Sent.",
    "delivered": "Delivered.",
    "bounced": "It came back.",
    "complained": "The patient reported it as spam.",
    "skipped": "Not sent.",
    "cancelled": "Not sent.",
    "missed": "Not sent: its time has passed.",
    "failed": "Not sent: the address refused it.",
    "uncertain": "Perhaps sent: the connection was lost while sending.",
}

STATE_TODO: Mapping[str, str] = {
    "bounced": "Call the patient and ask for another address.",
    "complained": "Call the patient if it matters.",
    "failed": "Call the patient and ask for another address.",
    "missed": "Call the patient if the visit is still ahead.",
    "uncertain": "Call the patient if it matters.",
}

KINDS: Mapping[str, str] = {
    "appointment-reminder": "Appointment reminder",
    "paperwork-request": "Request for forms",
    "reminder-paperwork": "Appointment reminder with a request for forms",
    "late-booking": "Message about a visit booked at short notice",
    "appointment-change": "Notice of a changed visit",
    "appointment-cancellation": "Notice of a cancelled visit",
    "trial-invitation": "Trial invitation",
}

WORKLIST: Mapping[str, Words] = {
    **REASONS,
    "call_patient": Words("A message about a visit couldn't reach the patient.", "Call the patient."),
    "address_refused": Words("The patient's address refuses mail.", "Call the patient and ask for another address."),
    "short_notice": Words("A visit changed at short notice.", "Call the patient."),
    "removed_visit": Words("A visit the patient knew of was removed as entered in error.", "Call the patient."),
    "notice_undelivered": Words("A notice of a change may not have reached the patient.", "Call the patient."),
    "paperwork_missing": Words("Forms are still missing shortly before the visit.", "Ask the patient for the forms."),
    "missed": Words("A message wasn't sent in time, and the visit is still ahead.", "Call the patient."),
    "unknown_program": Words("A visit belongs to a program this installation doesn't have.", "Ask operations."),
    "unknown_patient": Words("Something is known of a patient who isn't registered.", "Register the patient."),
    "unknown_zone": Words("A time zone isn't known here; the clinic's is used.", "Correct the time zone."),
    "visit_without_steps": Words("No reminders are set up for this visit.", "Check its type and modality."),
    "deceased_note": Words("A patient was reported as deceased; all messages have stopped.", "Check that it is true."),
    "webhook_disabled": Words(
        "A coordinator's webhook never took what it was told, and gets nothing any more.",
        "Ask the coordinator for another one.",
    ),
    "outcome_unreadable": Words(
        "Something another service said couldn't be read: the timeline or this list has a gap.", "Ask operations."
    ),
}

_UNKNOWN = Words("A reason this version has no words for.", "Ask operations.")


def reason(code: str | None) -> Words | None:
    """Why a delivery wasn't sent, or isn't yet."""
    return None if code is None else REASONS.get(code, _UNKNOWN)


def worklist(code: str) -> Words:
    """What a worklist item is about."""
    return WORKLIST.get(code, Words("Something needs a person's look.", "Ask operations."))


def delivery(state: str, code: str | None) -> Words:
    """One delivery's state and reason, and what to do."""
    why = reason(code)
    what = STATES.get(state, "In a state this version has no words for.")
    if why is None:
        return Words(what, STATE_TODO.get(state, ""))
    return Words(f"{what} {why.what}", why.todo or STATE_TODO.get(state, ""))
