"""What the pages and the API say of a mail, in words and in fields. Times always carry their zone."""

from datetime import UTC, datetime, timedelta

from pydantic import BaseModel

from standalone.mailbox.message import Message

SNIPPET = 120  # characters of the text in the list


class Summary(BaseModel):
    """A mail in a list. ``accepted_at`` is real (UTC); ``date`` is the Date header, simulated in the demo."""

    id: str
    accepted_at: datetime
    sender: str
    recipients: list[str]
    from_header: str
    to_header: str
    subject: str
    date: datetime | None
    simulated: bool
    snippet: str
    has_calendar: bool


class Whole(Summary):
    """A mail with its contents; ``source`` shows bytes that aren't UTF-8 as U+FFFD."""

    text: str | None
    html: str | None
    calendar: str | None
    source: str


def summary(message: Message) -> Summary:
    return Summary(
        id=message.id,
        accepted_at=message.accepted_at,
        sender=_readable(message.sender),
        recipients=[_readable(address) for address in message.recipients],
        from_header=message.header("From"),
        to_header=message.header("To"),
        subject=message.subject,
        date=message.date,
        simulated=message.simulated,
        snippet=" ".join((message.text or "").split())[:SNIPPET],
        has_calendar=message.calendar is not None,
    )


def whole(message: Message) -> Whole:
    return Whole(
        **summary(message).model_dump(),
        text=message.text,
        html=message.html,
        calendar=message.calendar,
        source=source(message),
    )


def source(message: Message) -> str:
    return message.source.decode("utf-8", "replace")


def ordered(messages: list[Message], order: str) -> list[Message]:
    """Newest first: by acceptance, or by the (simulated) Date header, mails without one last."""
    newest = list(reversed(messages))
    if order == "accepted":
        return newest
    never = datetime.min.replace(tzinfo=UTC)
    return sorted(newest, key=lambda message: message.date or never, reverse=True)


def when(instant: datetime | None) -> str:
    """``Tue 9 Mar 2027, 10:00 UTC−8`` in the instant's own offset; "no date" for None."""
    if instant is None:
        return "no date"
    offset = instant.utcoffset() or timedelta()
    hours, minutes = divmod(abs(offset) // timedelta(minutes=1), 60)
    zone = f"{'−' if offset < timedelta() else '+'}{hours}{f':{minutes:02}' if minutes else ''}" if offset else ""
    return f"{instant:%a} {instant.day} {instant:%b %Y, %H:%M} UTC{zone}"


def _readable(address: str) -> str:
    return address.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
