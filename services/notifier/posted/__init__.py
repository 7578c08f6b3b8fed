"""What if this were posted: a change as intake takes it, applied to a copy of one patient's truth. Pure.

It follows intake's rules for times and for what the patient was told, as for a change made by staff at the console; it
doesn't repeat intake's checks, so a preview of something that intake will refuse is a preview of nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from services.notifier.domain import Truth
from services.notifier.posted import forms, people, visits
from services.notifier.posted.change import Posted, UnknownSubject

__all__ = ["Posted", "UnknownSubject", "apply_posted"]

_APPLY: Mapping[str, Callable[[Truth, Posted, datetime], Truth]] = {
    "patient": people.patient,
    "enrolment": people.enrolment,
    "appointment": visits.appointment,
    "paperwork": forms.paperwork,
    "consent": people.consent,
    "preference": people.preference,
}
"""By family. Facts change no mail."""


def apply_posted(truth: Truth, changes: Sequence[Posted], now: datetime) -> Truth:
    """The truth as it would be after these changes, made at civil time ``now``. ``UnknownSubject``."""
    for each in changes:
        if step := _APPLY.get(each.family):
            truth = step(truth, each, now)
    return truth
