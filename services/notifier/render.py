"""A mail's words and bytes: a pure function of one patient's context.

Raises on anything it can't render whole (a missing variable, a header with a control character, an unknown zone): the
caller holds the mail as ``render_error``. No error text quotes a value.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import format_datetime

from services.notifier.calendar import calendar_part
from services.notifier.mail import VISIT_KINDS, Addressed, Invitation, Mail
from services.notifier.mime import Part, address_header, list_header, message, text_header, token_header
from services.notifier.template_set import TemplateSet, template_set
from services.notifier.variables import plain, variables

_GAPS = re.compile(r"\n{3,}")


@dataclass(frozen=True, slots=True, repr=False)
class Rendered:
    """A finished mail. ``patient_id`` is whose context it was made from, to be compared with the envelope's."""

    patient_id: str
    content: bytes
    subject: str
    preheader: str
    text: str
    html: str
    calendar: bytes | None
    template_version: str


@dataclass(frozen=True, slots=True, repr=False)
class Words:
    """What the templates of a mail say."""

    subject: str
    preheader: str
    text: str
    html: str


def render(mail: Mail) -> Rendered:
    """The whole message with CRLF line ends, and its pieces for a preview."""
    templates = template_set(mail.kind, mail.locale)
    said = words(templates, variables(mail, templates.locale))
    calendar = _calendar(mail, templates)
    return Rendered(
        patient_id=mail.patient_id,
        content=_content(mail, templates, said, calendar),
        subject=said.subject,
        preheader=said.preheader,
        text=said.text,
        html=said.html,
        calendar=None if calendar is None else calendar.encode("utf-8"),
        template_version=templates.version,
    )


def words(templates: TemplateSet, context: Mapping[str, object]) -> Words:
    """Each template with this context; the HTML is given subject and preheader, too."""
    subject = templates.subject.render(context).strip()
    preheader = templates.preheader.render(context).strip()
    text = _GAPS.sub("\n\n", templates.text.render(context)).strip() + "\n"
    html = templates.html.render(context, subject=subject, preheader=preheader)
    return Words(subject, preheader, text, html)


def _calendar(mail: Mail, templates: TemplateSet) -> str | None:
    if mail.visit is None or mail.kind not in VISIT_KINDS:
        return None
    return calendar_part(mail, mail.visit, templates.calendar_summary)


def _content(mail: Mail, templates: TemplateSet, said: Words, calendar: str | None) -> bytes:
    more = _list_headers(mail.invitation) if mail.invitation else []
    attachments = [] if calendar is None else [_calendar_file(calendar)]
    return message(headers(mail, said.subject, templates, more), bodies(said), attachments, seed=mail.message_id)


def bodies(said: Words) -> list[Part]:
    """Text first: a reader takes the last form that it can show (RFC 2046, 5.1.4)."""
    return [Part("text/plain; charset=utf-8", said.text), Part("text/html; charset=utf-8", said.html)]


def _calendar_file(calendar: str) -> Part:
    method = "CANCEL" if "\r\nMETHOD:CANCEL\r\n" in calendar else "PUBLISH"
    return Part(
        f"text/calendar; charset=utf-8; method={method}", calendar, disposition='attachment; filename="appointment.ics"'
    )


def headers(mail: Addressed, subject: str, templates: TemplateSet, more: Sequence[bytes] = ()) -> list[bytes]:
    """The headers of any mail, with those that its kind adds."""
    program = mail.program
    made = [
        address_header("From", program.sender, plain(program.public_name)),
        address_header("To", mail.recipient),
        text_header("Subject", subject),
        token_header("Date", format_datetime(mail.date)),
        token_header("Message-ID", mail.message_id),
        token_header("Auto-Submitted", "auto-generated"),
        token_header("Content-Language", str(templates.locale).replace("_", "-")),
    ]
    if program.reply_to:
        made.append(address_header("Reply-To", program.reply_to))
    made += more
    if mail.simulated:
        made.append(token_header("X-Upright-Simulated", "true"))
    return made


def _list_headers(invitation: Invitation) -> list[bytes]:
    """Subscription mail: a mail program shows its own button, which posts and opens no page."""
    return [
        list_header("List-Id", invitation.list_id),
        list_header("List-Unsubscribe", invitation.stop_url, f"mailto:{invitation.stop_address}"),
        token_header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    ]
