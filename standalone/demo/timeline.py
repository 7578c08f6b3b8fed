"""The story as it happens, one line for each thing: simulated time in Los Angeles, who, what."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from schemas.outcomes import DeliveryState
from standalone.demo.driver import Posted
from standalone.demo.ledger import Change
from standalone.demo.matches import Matched
from standalone.demo.story import PACIFIC
from standalone.terminal import paint, say

S = DeliveryState
_COLOURS = {S.SENT: "green", S.FAILED: "red", S.MISSED: "yellow", S.HELD: "yellow", S.UNCERTAIN: "yellow"}


def clinic_time(instant: datetime) -> str:
    """``Tue  9 Mar 10:00`` in Los Angeles."""
    local = instant.astimezone(ZoneInfo(PACIFIC))
    return f"{local:%a} {local.day:>2} {local:%b %H:%M}"


def _line(at: datetime, person: str, mark: str, what: str, *styles: str) -> None:
    say(f"  {paint(clinic_time(at), 'dim')}  {person:<7} {paint(mark, *styles)} {what}")


def tell_seen(seen: Posted | Matched) -> None:
    """What was posted for one person in one batch, what a coordinator did, or what became of a match."""
    if isinstance(seen, Matched):
        _line(seen.at, seen.person, "=" if seen.verdict else "≠", seen.said, "magenta")
    else:
        _line(seen.at, seen.happenings[0].person, "→", ", ".join(each.said for each in seen.happenings), "cyan")


def tell_changes(changed: Sequence[Change]) -> None:
    """Mails first by their contents: deliveries that went in one mail are one line."""
    told: set[str] = set()
    for each in changed:
        entry = each.entry
        if each.state != S.SENT or entry.message_id is None:
            _line(each.at, entry.person, "·", f"{entry.what}: {each.status}", _COLOURS.get(S(each.state), "dim"))
        elif entry.message_id not in told:
            told.add(entry.message_id)
            together = [e.entry.what for e in changed if e.state == S.SENT and e.entry.message_id == entry.message_id]
            mail = " + ".join(dict.fromkeys(together))
            _line(each.at, entry.person, "✉", f"{mail} ({'with' if entry.tier else 'without'} details)", "green")
