"""What came of one attempt to hand a mail over, without a word of the server's own text.

Servers quote addresses in their replies, so a receipt keeps numbers only. Guaranteed: ``ACCEPTED`` is said only when
the server said so, and once the final dot was handed over, nothing but a reply counts as "not sent".
"""

from dataclasses import dataclass
from enum import StrEnum

# RFC 5321, 4.2.3: the service is closing this connection.
CLOSING = 421
# RFC 4954, 6: the reply to any command of a client which has to authenticate first.
AUTHENTICATION_REQUIRED = 530
# RFC 4954, 4.7.12 (a password that must be changed) and common practice at large hosts: soon over.
_SHORT = {CLOSING, 432}
# RFC 3463, 3.2: X.1.7 and X.1.8 speak of the *sender's* address; Postfix reports them at RCPT by default.
_ABOUT_THE_SENDER = {"5.1.7", "5.1.8"}


class Verdict(StrEnum):
    """What may be done next depends on this alone."""

    ACCEPTED = "accepted"
    UNSENT = "unsent"  # the relay's fault: connect, TLS, greeting, AUTH; no attempt is counted
    RETRY = "retry"  # certainly not sent: a 4xx, or the line lost before the dot
    REFUSED = "refused"  # certainly not sent, and never will be: a 5xx
    UNCERTAIN = "uncertain"  # the dot was handed over and nobody knows what became of it


class Phase(StrEnum):
    """How far the conversation had come."""

    CONNECT = "connect"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    DOT = "dot"


@dataclass(frozen=True, slots=True)
class Receipt:
    """The end of one attempt. ``enhanced`` without ``code`` is our own finding: no server was asked."""

    verdict: Verdict
    phase: Phase
    code: int | None = None
    enhanced: str | None = None

    @property
    def answer(self) -> str:
        """The class of the server's reply; ``none`` where no usable one came."""
        return f"{self.code // 100}xx" if self.code else "none"

    @property
    def slow(self) -> bool:
        """Whether to try again late (most 4xx) rather than shortly (421, 432, a lost line)."""
        return self.verdict is Verdict.RETRY and self.code is not None and self.code not in _SHORT

    @property
    def suppress(self) -> bool:
        """Whether the recipient's address itself is bad: 5.1.x to RCPT, but not what speaks of the sender."""
        at_recipient = self.verdict is Verdict.REFUSED and self.phase is Phase.RCPT
        enhanced = self.enhanced or ""
        return at_recipient and enhanced.startswith("5.1.") and enhanced not in _ABOUT_THE_SENDER


class SmtpUnavailable(Exception):  # noqa: N818 - named by what the caller finds, like `Unavailable` in the chassis
    """No connection could be made ready. ``receipt`` is ``UNSENT``; the text names the cause, never an address."""

    def __init__(self, receipt: Receipt, cause: str) -> None:
        super().__init__(f"{receipt.phase}: {cause}")
        self.receipt = receipt


def answered(phase: Phase, code: int, enhanced: str | None) -> Receipt:
    """The receipt for the reply which ended a transaction."""
    if code == AUTHENTICATION_REQUIRED:
        return Receipt(Verdict.UNSENT, Phase.AUTH, code, enhanced)
    if phase is Phase.DOT and 200 <= code < 300:
        return Receipt(Verdict.ACCEPTED, phase, code, enhanced)
    if 400 <= code < 500:
        return Receipt(Verdict.RETRY, phase, code, enhanced)
    if 500 <= code < 600:
        return Receipt(Verdict.REFUSED, phase, code, enhanced)
    return lost(phase)


def lost(phase: Phase) -> Receipt:
    """The receipt when no usable reply came: silence, a closed line, or an answer that is none."""
    return Receipt(Verdict.UNCERTAIN if phase is Phase.DOT else Verdict.RETRY, phase)
