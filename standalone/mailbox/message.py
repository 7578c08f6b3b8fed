"""One accepted mail. Its bytes are kept as they came; everything else is read from them when asked for.

A mail may be malformed in any way: reading it never raises, what can't be read is empty or shows U+FFFD.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from email.utils import parsedate_to_datetime
from functools import cached_property


@dataclass(frozen=True)
class Message:
    """``accepted_at`` is the real instant (UTC) of the 250; ``sender`` and ``recipients`` are those of the envelope."""

    id: str
    accepted_at: datetime
    sender: str
    recipients: tuple[str, ...]
    source: bytes

    @cached_property
    def _mail(self) -> EmailMessage:
        mail = message_from_bytes(self.source, policy=default)
        assert isinstance(mail, EmailMessage)  # noqa: S101 - what this policy makes; for the type checker
        return mail

    def header(self, name: str) -> str:
        """The decoded value of the first header of that name, or ""."""
        try:
            return str(self._mail.get(name, "")).strip()
        except Exception:  # the standard parser of addresses has slips of every type: AttributeError for "::@;)"
            return self._raw_header(name)

    def _raw_header(self, name: str) -> str:
        raw = next(str(value) for key, value in self._mail.raw_items() if key.lower() == name.lower())
        return " ".join(raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace").split())

    @property
    def subject(self) -> str:
        return self.header("Subject")

    @property
    def date(self) -> datetime | None:
        """The ``Date`` header with its own offset (the simulated time in the demo); None if absent or unreadable."""
        try:
            date = parsedate_to_datetime(self.header("Date"))
        except (ValueError, TypeError, IndexError):
            return None
        return date if date.tzinfo else None

    @property
    def simulated(self) -> bool:
        """True if the mail says that the clock which dated it was simulated."""
        return self.header("X-Upright-Simulated").lower() == "true"

    @cached_property
    def text(self) -> str | None:
        return self._first("text/plain")

    @cached_property
    def html(self) -> str | None:
        return self._first("text/html")

    @cached_property
    def calendar(self) -> str | None:
        """The calendar file (RFC 5545), or None."""
        return self._first("text/calendar")

    def _first(self, kind: str) -> str | None:
        leaves = (part for part in self._mail.walk() if not part.is_multipart())
        return next((_decoded(part) for part in leaves if part.get_content_type() == kind), None)


def _decoded(part: EmailMessage) -> str:
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    try:
        return content.decode(part.get_content_charset("utf-8"), "replace")
    except (LookupError, ValueError):  # a charset that doesn't exist
        return content.decode("utf-8", "replace")
