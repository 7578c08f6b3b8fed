"""What staff read about one delivery beyond the codes' own words (``schemas.words``): rules, changes, servers' answers.

Constant texts and numbers; nothing protected goes in, so nothing comes out.
"""

import re
from collections.abc import Mapping
from datetime import time

from schemas.outcomes import DeliveryState
from schemas.words import reason
from services.notifier.keys import REQUEST
from services.notifier.times import days_before

S = DeliveryState
_HOURS = re.compile(r"PT(\d+)([HM])")

BY: Mapping[str, str] = {
    "plan": "the plan",
    "guard": "the last check before sending",
    "sender": "the sender",
    "sweeper": "the sweeper",
}

CHANGES: Mapping[DeliveryState, str] = {
    S.PLANNED: "Planned",
    S.CLAIMED: "Taken up to be sent",
    S.SENDING: "Handed over to the mail server",
    S.HELD: "Held",
    S.SENT: "Sent: the mail server took it",
    S.DELIVERED: "Delivered",
    S.BOUNCED: "Came back",
    S.COMPLAINED: "Reported as spam",
    S.SKIPPED: "Not sent",
    S.CANCELLED: "Called off",
    S.MISSED: "Not sent: its time had passed",
    S.FAILED: "The mail server refused it",
    S.UNCERTAIN: "Perhaps sent: nobody knows whether the mail server took it",
}

VERDICTS: Mapping[str, str] = {
    "accepted": "The mail server took it",
    "refused": "The mail server refused the message",
    "retry": "The mail server said no for now",
    "unsent": "The mail server couldn't be reached",
    "uncertain": "The connection was lost after the message was handed over: nobody knows whether it arrived",
}


def change(before: DeliveryState | None, after: DeliveryState, code: str | None) -> str:
    """One line of the history."""
    what = CHANGES.get(after, "Changed")
    if after is S.PLANNED and before is not None:
        what = "Put off" if before in (S.CLAIMED, S.SENDING) else "Planned again"
    why = reason(code)
    return f"{what}. {why.what}" if why else f"{what}."


def verdict(said: str | None, phase: str | None, code: int | None, enhanced: str | None) -> str:
    """What the mail server said of one mail, without its own text."""
    if said is None:
        return "No answer yet."
    what = VERDICTS.get(said, "The mail server gave an answer this version has no words for")
    if (said, phase) == ("refused", "rcpt"):
        what = "The mail server refused the address"
    numbers = " ".join(str(each) for each in (code, enhanced) if each)
    return f"{what} ({numbers})." if numbers else f"{what}."


def step(step_id: str, hour: time | None = None) -> str:
    """A step or rung in words; ``hour`` is the policy's, on the patient's clock."""
    if step_id == REQUEST:
        return "when the forms were requested"
    days = days_before(step_id)
    if days is not None:
        at = f", at {hour:%H:%M} on the patient's clock" if hour else ""
        return ("the day before the visit" if days == 1 else f"{days} days before the visit") + at
    hours = _HOURS.fullmatch(step_id)
    if hours is None:
        return f"step {step_id}"
    unit = "hour" if hours[2] == "H" else "minute"
    return f"{hours[1]} {unit}{'' if hours[1] == '1' else 's'} before the visit"


def rule(text: str, hour: time | None = None) -> str:
    """A plan's rule (``consultation/on-site/P3D``) in words, without the visit's type."""
    parts = text.split("/")
    if parts[0] == "notice":
        what = "the visit is cancelled" if parts[1] == "cancellation" else "the visit has changed"
        rebooked = ": it was cancelled and booked again" if parts[-1] == "rebooked" else ""
        return f"The patient was told something else than what is true now, because {what}{rebooked}."
    if parts[0] == "trial":
        return "A study may take the patient, who asked to be told of such."
    if parts[0] == "paperwork":
        return f"Forms are missing: asked for {step(parts[1], hour)}."
    if "late-booking" in parts:
        return "The visit was booked or moved late: one message in place of the steps that were past."
    return f"A reminder {step(parts[-1], hour)}."
