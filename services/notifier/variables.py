"""The templates' variables, each with its class.

At tier 0 a template is given the neutral ones and no other: an identifying or clinical one is undefined there, and
using it is an error. ``template_lint`` finds such a use before a template is published.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from babel import Locale

from schemas.appointment import Modality
from services.notifier import civil
from services.notifier.mail import Invitation, Mail, Visit

_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


class Class(StrEnum):
    """What a variable gives away to somebody who reads over the shoulder."""

    NEUTRAL = "neutral"
    IDENTIFYING = "identifying"
    CLINICAL = "clinical"


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable's class, and its value for one mail in one language."""

    class_: Class
    value: Callable[[Mail, Locale], object]


def variables(mail: Mail, locale: Locale) -> dict[str, object]:
    """What the templates of this mail may use."""
    allowed = set(Class) if mail.tier == 1 else {Class.NEUTRAL}
    return {name: variable.value(mail, locale) for name, variable in VARIABLES.items() if variable.class_ in allowed}


def plain(text: str) -> str:
    """One line without controls and marks that change the direction of text."""
    return _UNSEEN.sub("", " ".join(text.split()))


def _maybe(text: str | None) -> str | None:
    return plain(text) if text else None


def _lines(texts: tuple[str, ...] | None) -> list[str] | None:
    return None if texts is None else [plain(text) for text in texts]


def void_start(mail: Mail, visit: Visit) -> datetime:
    """The start a change or a cancellation makes void: the one told, or the one on record where that is uncertain."""
    return mail.told.start if mail.told else visit.start


def _here(instant: datetime, mail: Mail, visit: Visit, locale: Locale) -> str | None:
    """The time on the recipient's own clock where that isn't the clinic's, with the date where it differs too."""
    if civil.same_clock(instant, visit.zone, mail.zone):
        return None
    words = civil.time_and_zone if civil.same_day(instant, visit.zone, mail.zone) else civil.when
    return words(instant, mail.zone, locale)


def _time(instant: datetime, mail: Mail, visit: Visit, locale: Locale) -> str:
    """The clinic's time, with its zone only for a reader whose clock shows another."""
    words = civil.time if civil.same_clock(instant, visit.zone, mail.zone) else civil.time_and_zone
    return words(instant, visit.zone, locale)


def _of_visit(value: Callable[[Mail, Visit, Locale], object]) -> Callable[[Mail, Locale], object]:
    return lambda mail, locale: value(mail, mail.visit, locale) if mail.visit else None


def _of_invitation(value: Callable[[Invitation, Locale], object]) -> Callable[[Mail, Locale], object]:
    return lambda mail, locale: value(mail.invitation, locale) if mail.invitation else None


def _paragraphs(text: str) -> list[str]:
    """Word for word, and line for line."""
    return [line for each in text.splitlines() if (line := plain(each))]


def _neutral(value: Callable[[Mail, Locale], object]) -> Variable:
    return Variable(Class.NEUTRAL, value)


def _identifying(value: Callable[[Mail, Locale], object]) -> Variable:
    return Variable(Class.IDENTIFYING, value)


def _clinical(value: Callable[[Mail, Locale], object]) -> Variable:
    return Variable(Class.CLINICAL, value)


VARIABLES: Mapping[str, Variable] = {
    "tier": _neutral(lambda mail, _: mail.tier),
    "public_name": _neutral(lambda mail, _: plain(mail.program.public_name)),
    "phone": _neutral(lambda mail, _: _maybe(mail.program.phone)),
    "instruction": _neutral(lambda mail, _: _maybe(mail.program.instruction)),
    "booking_rule": _neutral(lambda mail, _: _maybe(mail.program.booking_rule)),
    "emergency_block": _neutral(lambda mail, _: _maybe(mail.program.emergency_block)),
    "has_visit": _neutral(lambda mail, _: mail.visit is not None),
    "video": _neutral(_of_visit(lambda _, visit, __: visit.modality is Modality.VIDEO)),
    "when": _neutral(_of_visit(lambda _, visit, locale: civil.when(visit.start, visit.zone, locale))),
    "when_here": _neutral(_of_visit(lambda mail, visit, locale: _here(visit.start, mail, visit, locale))),
    "also": _neutral(lambda mail, locale: [civil.when(each.start, each.zone, locale) for each in mail.also]),
    "day": _neutral(_of_visit(lambda _, visit, locale: civil.day(visit.start, visit.zone, locale))),
    "time": _neutral(_of_visit(lambda mail, visit, locale: _time(visit.start, mail, visit, locale))),
    "old_video": _neutral(_of_visit(lambda mail, visit, _: (mail.told or visit).modality is Modality.VIDEO)),
    "old_day": _neutral(_of_visit(lambda mail, visit, locale: civil.day(void_start(mail, visit), visit.zone, locale))),
    "old_time": _neutral(_of_visit(lambda mail, visit, locale: _time(void_start(mail, visit), mail, visit, locale))),
    "old_here": _neutral(_of_visit(lambda mail, visit, locale: _here(void_start(mail, visit), mail, visit, locale))),
    "told": _neutral(lambda mail, _: mail.told is not None),
    "time_changed": _neutral(_of_visit(lambda mail, visit, _: void_start(mail, visit) != visit.start)),
    "place_changed": _neutral(lambda mail, _: mail.told is not None and mail.told.place_changed),
    "modality_changed": _neutral(
        _of_visit(lambda mail, visit, _: mail.told is not None and mail.told.modality is not visit.modality)
    ),
    "forms_count": _neutral(lambda mail, _: mail.forms_count),
    "asks_left": _neutral(lambda mail, _: mail.asks_left),
    "only_reminder": _neutral(lambda mail, _: mail.only_reminder),
    "voluntary": _neutral(_of_invitation(lambda invitation, _: _maybe(invitation.voluntary))),
    "stop_url": _neutral(_of_invitation(lambda invitation, _: invitation.stop_url)),
    "given_name": _identifying(lambda mail, _: _maybe(mail.given_name)),
    "clinician": _identifying(_of_visit(lambda _, visit, __: _maybe(visit.clinician))),
    "site_name": _identifying(_of_visit(lambda _, visit, __: _maybe(visit.site_name))),
    "site_address": _identifying(_of_visit(lambda _, visit, __: _maybe(visit.site_address))),
    "preparation": _clinical(lambda mail, _: _lines(mail.preparation)),
    "companion": _clinical(lambda mail, _: _maybe(mail.companion)),
    "forms": _clinical(lambda mail, _: _lines(mail.forms)),
    "approved": _clinical(_of_invitation(lambda invitation, _: _paragraphs(invitation.text))),
    "approval_id": _clinical(_of_invitation(lambda invitation, _: plain(invitation.approval_id))),
    "approval_until": _clinical(
        _of_invitation(lambda invitation, locale: civil.date_of(invitation.valid_until, locale))
    ),
    "trial_contact": _clinical(_of_invitation(lambda invitation, _: plain(invitation.contact))),
}
