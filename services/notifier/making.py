"""From the guard's yes to finished bytes: render, lint, and a form that no server can misread. Nothing is sent here."""

from dataclasses import dataclass

import structlog

from services.notifier.checks import Ready
from services.notifier.context import mail_of
from services.notifier.domain import Reason
from services.notifier.lint import lint
from services.notifier.render import render
from services.notifier.smtp.transfer import Transfer

log = structlog.get_logger(__name__)


class BrokenMailError(Exception):
    """A mail that must not go out as it is; ``reason`` is ``render_error`` or ``phi_lint``."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Made:
    """A finished mail: its envelope (RFC 5321), bytes, and the version of its template."""

    sender: str
    recipient: str
    content: bytes
    template_version: str


def make(ready: Ready) -> Made:
    """The mail; ``BrokenMailError`` with the reason. The context's patient is compared with the truth's."""
    sending = ready.sending
    try:
        mail = mail_of(sending)
        rendered = render(mail)
        Transfer(mail.return_path, mail.recipient, rendered.content)
    except Exception as error:
        log.error("render_error", error=type(error).__name__, kind=sending.bundle.kind)
        raise BrokenMailError(Reason.RENDER_ERROR) from None
    if rendered.patient_id != ready.patient.patient_id:
        raise BrokenMailError(Reason.RENDER_ERROR)
    if hits := lint(rendered.content, sending.tier, sending.program.deny_list):
        places = sorted({f"{hit.place}:{hit.rule}" for hit in hits})
        log.critical("phi_lint", kind=sending.bundle.kind, places=places)
        raise BrokenMailError(Reason.PHI_LINT)
    return Made(mail.return_path, mail.recipient, rendered.content, rendered.template_version)
