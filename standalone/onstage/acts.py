"""What happens in each act, and how many mails each person has had by its end. All people are invented."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from standalone.demo.story import CAST, PACIFIC, SANTA_CLARA, Happening

VISIT_IN, MOVED_TO = timedelta(hours=20), timedelta(hours=22)
"""Within a day, so that the rules let nothing wait; far enough for a mail to be of use."""
DAYTIME = range(10, 16)
ZONES = (
    "Pacific/Honolulu", "America/Los_Angeles", "America/New_York", "Atlantic/Azores", "Africa/Nairobi", "Asia/Kolkata",
    "Asia/Tokyo", "Pacific/Auckland",
)  # fmt: skip
"""So close to each other that it is always daytime in one of them: reminders go by day on the recipient's clock."""


@dataclass(frozen=True, slots=True)
class Act:
    """``mails`` is by person, counted from the beginning of the story."""

    title: str
    happenings: Sequence[Happening]
    mails: Mapping[str, int]


def acts(run: str, now: datetime) -> list[Act]:
    """The story as of ``now`` (UTC); ``run`` keeps the addresses of two runs apart."""
    visits = {"Ana": "follow-up", "David": "blood-patch", "Elena": "surgery", "Mia": "follow-up"}
    booked = [each for name, kind in visits.items() for each in _booking(name, kind, run, now)]
    detailed = {
        "scope": "email-detailed", "text_version": "demo-1", "decided_at": now.isoformat(), "recorded_by": "Demo desk",
    }  # fmt: skip
    wishes = [
        Happening(now, "Ana", "consent.granted", "consent", "agrees to details by e-mail", detailed),
        Happening(now, "Elena", "preference.changed", "preference", "wants no reminders", _NO_REMINDERS),
    ]
    moved = _visit("David", visits["David"], now + MOVED_TO, now, "rescheduled")
    off = [
        _visit("David", visits["David"], now + MOVED_TO, now, "cancelled"),
        _visit("Elena", visits["Elena"], now + VISIT_IN, now, "cancelled"),
    ]
    return [
        Act(
            "Ana and David book for tomorrow; Elena wants no reminders; Mia is thirteen, so staff decide",
            [*sorted([*booked, *wishes], key=_visits_last)], {"ana": 1, "david": 1, "elena": 0, "mia": 0},
        ),
        Act("David's visit is moved by two hours", [moved], {"ana": 1, "david": 2, "elena": 0, "mia": 0}),
        Act("David's and Elena's visits are cancelled", off, {"ana": 1, "david": 3, "elena": 1, "mia": 0}),
    ]  # fmt: skip


def address(person: str, run: str) -> str:
    """Another one in each run: caps count by address."""
    return f"{person.lower()}.{run}@example.org"


def daytime_zone(now: datetime) -> str:
    """A zone in which it is neither early nor late at ``now``."""
    return next(zone for zone in ZONES if now.astimezone(ZoneInfo(zone)).hour in DAYTIME)


_NO_REMINDERS = {"email": True, "reminders": False, "forms": True}


def _booking(name: str, kind: str, run: str, now: datetime) -> list[Happening]:
    person = CAST[name]
    contact = {
        "given_name": name, "family_name": person.family, "birth_date": person.born, "email": address(name, run),
        "email_verified_at": now.isoformat(), "language": person.language,
    }  # fmt: skip
    told = {"patient_told_at": now.isoformat() if name == "Elena" else None}
    return [
        Happening(now, name, "patient.registered", "patient", "", {"contact": contact, "zone": daytime_zone(now)}),
        Happening(now, name, "enrolment.opened", "enrolment", ""),
        _visit(name, kind, now + VISIT_IN, now, "scheduled", **told),
    ]


def _visit(name: str, kind: str, start: datetime, now: datetime, event: str, **told: Any) -> Happening:
    site = SANTA_CLARA if name == "David" else None
    care = {"visit_type": kind, "site": site, "clinician": "Demo Clinician"}
    data = {
        "start": start.replace(second=0, microsecond=0).isoformat(), "zone": PACIFIC, "modality": "on-site",
        "care": care, **told,
    }  # fmt: skip
    return Happening(now, name, f"appointment.{event}", "visit", "", data)


def _visits_last(happening: Happening) -> bool:
    return happening.event.startswith("appointment")
