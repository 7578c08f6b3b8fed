"""What the page shows, as plain values: days with what happened, the cast, one chosen row with its mail and its why."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from schemas.outcomes import DeliveryState
from standalone.demo.driver import Posted
from standalone.demo.ledger import Entry
from standalone.demo.matches import Matched
from standalone.demo.story import CAST, PACIFIC
from standalone.mailbox import Message

S = DeliveryState
_TAGS = {S.SENT: "", S.FAILED: "stop", S.MISSED: "warn", S.HELD: "warn", S.UNCERTAIN: "warn"}
OPEN = (S.PLANNED, S.CLAIMED, S.SENDING, S.HELD)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a day: what somebody posted or did, a match, or a delivery with the mail it became.

    ``shared``: a line before it shows the same mail.
    """

    at: datetime
    clock: str
    person: str
    text: str
    match: Matched | None = None
    entry: Entry | None = None
    mail: Message | None = None
    shared: bool = False

    @property
    def tag(self) -> str:
        """The look of the state's badge."""
        return _TAGS.get(S(self.entry.state), "plain") if self.entry else ""


@dataclass(frozen=True, slots=True)
class Day:
    title: str
    lines: tuple[Line, ...]


def zone_name(instant: datetime, zone: str = PACIFIC) -> str:
    """``Tue 9 Mar 2027, 10:00 PST``."""
    local = instant.astimezone(ZoneInfo(zone))
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M %Z}"


def hour(instant: datetime, zone: str = PACIFIC) -> str:
    return f"{instant.astimezone(ZoneInfo(zone)):%H:%M}"


def days(
    posted: Iterable[Posted],
    matched: Iterable[Matched],
    ledger: Iterable[Entry],
    mailbox: Sequence[Message],
    person: str | None,
) -> list[Day]:
    """Everything up to now in the order of simulated time; deliveries still open come last, by when they are due."""
    by_id = {each.header("Message-ID").strip(): each for each in mailbox}
    lines = [_posted(each) for each in posted]
    lines += [Line(each.at, hour(each.at), each.person, each.said, match=each) for each in matched]
    lines += [_delivery(each, by_id.get(each.message_id or "")) for each in ledger]
    chosen = [each for each in lines if person in (None, each.person)]
    done = _shared(sorted((each for each in chosen if not _is_open(each)), key=lambda each: each.at))
    found = [Day(title, tuple(group)) for title, group in groupby(done, key=lambda each: _day(each.at))]
    waiting = sorted((each for each in chosen if _is_open(each)), key=lambda each: each.at)
    return [*found, Day("Still open", tuple(waiting))] if waiting else found


def _shared(lines: Iterable[Line]) -> list[Line]:
    seen: set[str] = set()
    marked = []
    for each in lines:
        marked.append(replace(each, shared=each.mail is not None and each.mail.id in seen))
        seen |= {each.mail.id} if each.mail else set()
    return marked


def _is_open(line: Line) -> bool:
    return line.entry is not None and line.entry.state in OPEN


def _day(instant: datetime) -> str:
    local = instant.astimezone(ZoneInfo(PACIFIC))
    return f"{local:%A} {local.day} {local:%B %Y}"


def _posted(posted: Posted) -> Line:
    said = ", ".join(each.said for each in posted.happenings)
    return Line(posted.at, hour(posted.at), posted.happenings[0].person, said)


def _delivery(entry: Entry, mail: Message | None) -> Line:
    at = entry.ended_at or entry.due_at
    clock = zone_name(at).rpartition(", ")[0] if entry.state in OPEN else hour(at)
    return Line(at, clock, entry.person, entry.what, entry=entry, mail=mail)


def cast() -> list[dict[str, Any]]:
    return [{"name": name, "shows": person.shows} for name, person in CAST.items()]


def real_time(message: Message) -> str:
    """When the mailbox really took it."""
    return f"{message.accepted_at:%d %b %Y, %H:%M:%S} UTC"


def real_clock(message: Message) -> str:
    return f"{message.accepted_at:%H:%M:%S} UTC"
