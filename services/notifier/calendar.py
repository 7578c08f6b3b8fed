"""The calendar file of a mail: when, and nothing of what, where, with whom or for whom.

``METHOD:PUBLISH`` rather than ``REQUEST``: a request puts "decline" buttons beside the visit whose answers go to a
mailbox nobody reads, and needs the patient as an attendee. A later file for the same visit has the same UID and a
higher SEQUENCE; ``METHOD:CANCEL`` takes the entry away (RFC 5546, 3.2.1 and 3.2.5).
"""

import uuid
from datetime import UTC, datetime
from functools import lru_cache

from icalendar import Calendar, Event

from schemas.outcomes import Kind
from services.notifier.mail import Mail, ProgramMail, Visit
from services.notifier.variables import plain, void_start

_UIDS = uuid.UUID("5b0f5a3e-3c0b-4f43-9d0e-5a0f6c1d7b58")
_UID, _SEQUENCE = "00000000-0000-0000-0000-000000000000", 909090909
_BEGIN, _CLOSE = "BEGIN:VEVENT", "END:VCALENDAR"
_STAMP, _START, _END = (datetime(1970, 1, day, tzinfo=UTC) for day in (1, 2, 3))


def calendar_part(mail: Mail, visit: Visit, summary: str) -> str:
    """An iCalendar object (RFC 5545) in UTC: ``visit`` and the others the mail is about, an event each.

    On a cancellation it names the start that was told.
    """
    first, *others = (_one(mail, each, summary) for each in (visit, *mail.also))
    events = "".join(other[other.index(_BEGIN) : other.index(_CLOSE)] for other in others)
    return first.replace(_CLOSE, events + _CLOSE)


def _one(mail: Mail, visit: Visit, summary: str) -> str:
    cancelled = mail.kind is Kind.CANCELLATION
    start = void_start(mail, visit) if cancelled else visit.start
    frame = _frame(mail.program, summary, cancelled, visit.end is not None)
    filled = (
        frame.replace(_UID, str(_uid(mail.tenant, visit.appointment_id)))
        .replace(_utc(_STAMP), _utc(mail.date))
        .replace(_utc(_START), _utc(start))
        .replace(str(_SEQUENCE), str(visit.sequence))
    )
    return filled.replace(_utc(_END), _utc(start + (visit.end - visit.start))) if visit.end else filled


@lru_cache(maxsize=256)
def _frame(program: ProgramMail, summary: str, cancelled: bool, has_end: bool) -> str:
    """All that mails of one sender share, written by icalendar once: it takes longer than the rest of a mail."""
    event = Event()
    event.add("uid", f"{_UID}@{program.host}")
    event.add("dtstamp", _STAMP)
    event.add("dtstart", _START)
    if has_end:
        event.add("dtend", _END)
    event.add("sequence", _SEQUENCE)
    event.add("summary", summary)
    event.add("class", "PRIVATE")
    event.add("status", "CANCELLED" if cancelled else "CONFIRMED")
    event.add("organizer", f"mailto:{program.sender}", parameters={"CN": plain(program.public_name)})
    calendar = Calendar()
    calendar.add("prodid", "-//Appointments//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "CANCEL" if cancelled else "PUBLISH")
    calendar.add_component(event)
    written: bytes = calendar.to_ical()
    return written.decode("utf-8")


def _uid(tenant: str, appointment_id: str) -> uuid.UUID:
    """Stable per appointment; our own id doesn't leave the house."""
    return uuid.uuid5(_UIDS, f"{tenant}/{appointment_id}")


def _utc(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
