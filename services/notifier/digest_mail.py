"""What one digest says to one coordinator: counts by public registry number, and no word of any patient."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from schemas.trials import DigestLine
from services.notifier.mail import ProgramMail
from services.notifier.variables import plain

DIGEST = "coordinator-digest"
"""The folder of its templates, and its kind in metrics. No kind of delivery: those are patients'."""

MOST_LINES = 100
"""Trials named in one mail; of more, their number. Mail programs cut a long mail off."""


@dataclass(frozen=True, slots=True, repr=False)
class DigestMail:
    """One digest. ``date`` is the civil time it is made; ``console_url`` None: the mail has no link."""

    program: ProgramMail
    recipient: str
    return_path: str
    message_id: str
    date: datetime
    lines: tuple[DigestLine, ...]
    console_url: str | None = None
    simulated: bool = False


VARIABLES: Mapping[str, Callable[[DigestMail], object]] = {
    "public_name": lambda mail: plain(mail.program.public_name),
    "found": lambda mail: sum(each.found for each in mail.lines),
    "changed": lambda mail: sum(each.changed for each in mail.lines),
    "withdrawn": lambda mail: sum(each.withdrawn for each in mail.lines),
    "lines": lambda mail: mail.lines[:MOST_LINES],
    "more": lambda mail: max(0, len(mail.lines) - MOST_LINES),
    "console_url": lambda mail: mail.console_url,
}
"""What its templates may use: all of it is neutral, so there are no tiers."""
