"""The demo's story as data: who is who, and what is posted to intake when. Times are Los Angeles civil time.

All people are invented. What coordinators do with trials stands in ``acts``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from standalone.demo.charts import FISTULA, FISTULA_BUT_ONE, LOW_PRESSURE

PACIFIC, NEW_YORK = "America/Los_Angeles", "America/New_York"
CEDARS, KAISER = "k7q2m9", "r4w8t3"
"""Public codes of the two programs."""


def civil(text: str) -> datetime:
    """``2027-03-16 09:30`` on a clock in Los Angeles, as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(PACIFIC)).astimezone(UTC)


START, END = civil("2027-02-26 09:00"), civil("2027-03-17 12:00")
REFUSED = "lars@example.org"
REFUSAL = "550 5.1.1 No such mailbox"


@dataclass(frozen=True, slots=True)
class Person:
    """One of the cast. ``shows`` is what to watch for; an unset ``zone`` is the clinic's."""

    family: str
    program: str
    born: str
    shows: str
    zone: str | None = None
    language: str = "en"
    outside: str = "not-known"
    mailbox: str = ""


CAST: Mapping[str, Person] = {
    "Ana": Person(
        "Rivera", CEDARS, "1984-05-02", "forms asked for until the last two arrive while a mail is claimed", PACIFIC,
        outside="yes",
    ),
    "Ben": Person("Okafor", CEDARS, "1979-11-20", "two time zones, and the day on which the clocks change", NEW_YORK),
    "Carmen": Person("Ruiz", KAISER, "1990-02-14", "imaging, with no invented preparation", PACIFIC, "es"),
    "David": Person("Chen", KAISER, "1988-08-08", "booked late, moved twice, cancelled while a mail is claimed"),
    "Elena": Person("Novak", CEDARS, "1971-01-30", "no reminders wanted, but told of the cancellation"),
    "Frank": Person("Weber", CEDARS, "1986-12-12", "matches a trial, then dies: everything stops, one note for staff"),
    "Grace": Person("Lindqvist", CEDARS, "1966-04-01", "matches a trial: invited once a second person releases it"),
    "Hana": Person("Sato", CEDARS, "1994-07-19", "may match a trial: a fact recorded later decides"),
    "Ivan": Person("Petrov", CEDARS, "1965-09-09", "no consent to research contact: never matched, counted or shown"),
    "Julia": Person("Adler", CEDARS, "1982-03-03", "shares an address, so mail waits", mailbox="family@example.org"),
    "Kai": Person("Adler", CEDARS, "1981-06-06", "shares an address, so mail waits", mailbox="family@example.org"),
    "Lars": Person("Holm", KAISER, "1975-10-10", "an address that the mail server refuses", mailbox=REFUSED),
    "Mia": Person("Rossi", CEDARS, "2013-09-15", "thirteen: staff decide"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Happening:
    """One event. ``thing`` names its subject within the person's record; ``data`` is what is posted beside the person.

    ``while_claimed`` holds it back until a mail to this person that is due at ``at`` has been claimed.
    """

    at: datetime
    person: str
    event: str
    thing: str
    said: str
    data: Mapping[str, Any] = field(default_factory=dict)
    while_claimed: bool = False


def _registered(name: str, *more: Happening) -> list[Happening]:
    return [
        Happening(START, name, "patient.registered", "patient", "registered"),
        Happening(START, name, "enrolment.opened", "enrolment", "enrolled"),
        *more,
    ]


def _visit(
    name: str, said: str, start: str, visit_type: str, *, at: str = "", event: str = "scheduled",
    site: str | None = None, while_claimed: bool = False, **told: Any,
) -> Happening:  # fmt: skip
    care = {"visit_type": visit_type, "site": site, "clinician": "Demo Clinician"}
    data = {"start": civil(start).isoformat(), "zone": PACIFIC, "modality": "on-site", "care": care, **told}
    return Happening(civil(at) if at else START, name, f"appointment.{event}", "visit", said, data, while_claimed)


def _consent(name: str, scope: str, said: str) -> Happening:
    data = {"scope": scope, "text_version": "demo-1", "decided_at": START.isoformat(), "recorded_by": "Demo desk"}
    return Happening(START, name, "consent.granted", f"consent {scope}", said, data)


def _detailed(name: str) -> Happening:
    return _consent(name, "email-detailed", "agrees to details by e-mail")


def _research(name: str) -> Happening:
    return _consent(name, "trial-contact", "agrees to research contact")


SANTA_CLARA = "santa-clara"
FORMS = ("record-release", "referral-request", "patient-intake", "patient-privacy")


def _forms(at: str, event: str, said: str, received: int, *, while_claimed: bool = False) -> Happening:
    items = [{"form": form, "status": "received" if n < received else "requested"} for n, form in enumerate(FORMS)]
    return Happening(civil(at), "Ana", f"paperwork.{event}", "forms", said, {"items": items}, while_claimed)


def _facts(name: str, at: str, thing: str, said: str, facts: Mapping[str, Any]) -> Happening:
    return Happening(civil(at), name, "facts.recorded", thing, said, {"facts": facts})


_BOOKED = "2027-02-26 09:00"
_NO_REMINDERS = {"email": True, "reminders": False, "forms": True}

STORY: tuple[Happening, ...] = (
    *_registered(
        "Ana", _detailed("Ana"),
        _visit("Ana", "books a consultation for Tue 16 Mar, 9:30", "2027-03-16 09:30", "consultation"),
        _forms(_BOOKED, "requested", "is asked for four forms", 0),
    ),
    *_registered("Ben", _visit("Ben", "books a follow-up for Mon 15 Mar, 11:00", "2027-03-15 11:00", "follow-up")),
    *_registered(
        "Carmen", _detailed("Carmen"),
        _visit("Carmen", "books imaging for Wed 10 Mar, 13:00", "2027-03-10 13:00", "ct-myelography", site=SANTA_CLARA),
    ),
    *_registered("David"),
    *_registered(
        "Elena", Happening(START, "Elena", "preference.changed", "preference", "wants no reminders", _NO_REMINDERS),
        _visit("Elena", "books surgery for Tue 16 Mar, 8:00", "2027-03-16 08:00", "surgery"),
    ),
    *_registered(
        "Frank", _research("Frank"), _facts("Frank", _BOOKED, "facts", "has facts recorded", LOW_PRESSURE),
        _visit("Frank", "books a follow-up for Tue 16 Mar, 11:00", "2027-03-16 11:00", "follow-up"),
    ),
    *_registered("Grace", _research("Grace"), _facts("Grace", _BOOKED, "facts", "has facts recorded", FISTULA)),
    *_registered(
        "Hana", _research("Hana"), _detailed("Hana"),
        _facts("Hana", _BOOKED, "facts", "has facts recorded", FISTULA_BUT_ONE),
    ),
    *_registered("Ivan", _facts("Ivan", _BOOKED, "facts", "has facts recorded", FISTULA)),
    *_registered("Julia", _visit("Julia", "books a follow-up for Tue 16 Mar, 13:00", "2027-03-16 13:00", "follow-up")),
    *_registered("Kai", _visit("Kai", "books a follow-up for Tue 16 Mar, 14:00", "2027-03-16 14:00", "follow-up")),
    *_registered(
        "Lars",
        _visit("Lars", "books a visit for Tue 16 Mar, 10:30", "2027-03-16 10:30", "consultation", site="roseville"),
    ),
    *_registered("Mia", _visit("Mia", "books a follow-up for Tue 16 Mar, 15:00", "2027-03-16 15:00", "follow-up")),
    Happening(
        civil("2027-03-02 08:00"), "Frank", "patient.deceased", "patient", "has died", {"reason": "told by the family"},
    ),
    _forms("2027-03-05 12:00", "received", "sends two of four forms", 2),
    _facts("Hana", "2027-03-08 09:30", "facts later", "has one more fact recorded", {"pregnant": False}),
    _visit(
        "David", "books a blood patch for Wed 10 Mar, 14:00; not told yet", "2027-03-10 14:00", "blood-patch",
        at="2027-03-08 15:00", site=SANTA_CLARA, patient_told_at=None,
    ),
    _forms("2027-03-09 10:00", "received", "sends the last two forms, while a mail is claimed", 4, while_claimed=True),
    _visit(
        "David", "is moved to Thu 11 Mar, 14:00", "2027-03-11 14:00", "blood-patch", at="2027-03-09 11:00",
        event="rescheduled", site=SANTA_CLARA,
    ),
    _visit(
        "David", "is moved again, to Fri 12 Mar, 14:00", "2027-03-12 14:00", "blood-patch", at="2027-03-09 11:07",
        event="rescheduled", site=SANTA_CLARA,
    ),
    _visit(
        "David", "is cancelled, while a mail is claimed", "2027-03-12 14:00", "blood-patch", at="2027-03-11 10:00",
        event="cancelled", site=SANTA_CLARA, while_claimed=True,
    ),
    _visit(
        "Elena", "has her surgery cancelled", "2027-03-16 08:00", "surgery", at="2027-03-12 11:00", event="cancelled",
    ),
)  # fmt: skip
