"""Mails in memory, in the order they were accepted, and one ``.eml`` each in a folder, so that a restart shows them.

A file is the mail's own bytes under the lines which a delivery writes (RFC 5321, 4.4; RFC 9228): any mail program
opens it. A mail is on disk before its SMTP reply.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from uuid import uuid4

from standalone.mailbox.message import Message

_NAME = re.compile(r"(\d{8}T\d{12})Z-([0-9a-f]{32})\.eml")
_STAMP = "%Y%m%dT%H%M%S%f"


class Store:
    """All mails of one mailbox; ``folder`` None keeps them in memory only."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self.messages: list[Message] = []
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            found = (_read(path) for path in sorted(folder.glob("*.eml")))
            self.messages = [message for message in found if message is not None]

    def add(self, sender: str, recipients: list[str], source: bytes) -> Message:
        """Keep one mail. Raises ``OSError`` if it can't be written; then it isn't kept at all."""
        now = datetime.now(UTC)  # real on purpose: the demo shows it beside the simulated time of the Date header
        message = Message(uuid4().hex, now, sender, tuple(recipients), source)
        if self._folder is not None:
            _write(self._folder, message)
        self.messages.append(message)
        return message

    def clear(self) -> None:
        """Delete all mails, also the files."""
        if self._folder is not None:
            for message in self.messages:
                (self._folder / _name(message)).unlink(missing_ok=True)
        self.messages.clear()


def _name(message: Message) -> str:
    return f"{message.accepted_at.strftime(_STAMP)}Z-{message.id}.eml"


def _write(folder: Path, message: Message) -> None:
    delivered = [f"Delivered-To: {address}" for address in message.recipients]
    received = f"Received: by mailbox.localhost; {format_datetime(message.accepted_at)}"
    lines = [f"Return-Path: <{message.sender}>", *delivered, received]
    top = "".join(line + "\r\n" for line in lines).encode("utf-8", "surrogateescape")
    path = folder / _name(message)
    partial = path.with_suffix(".partial")
    partial.write_bytes(top + message.source)
    partial.replace(path)


def _read(path: Path) -> Message | None:
    """The mail of a file that ``_write`` made; None for any other."""
    if (name := _NAME.fullmatch(path.name)) is None:
        return None
    top, received, rest = path.read_bytes().partition(b"\r\nReceived: ")
    if not received:
        return None
    first, *delivered = _text(top).split("\r\n")
    accepted_at = datetime.strptime(name[1], _STAMP).replace(tzinfo=UTC)
    sender = first.removeprefix("Return-Path: <").removesuffix(">")
    recipients = tuple(line.removeprefix("Delivered-To: ") for line in delivered)
    return Message(name[2], accepted_at, sender, recipients, rest.partition(b"\r\n")[2])


def _text(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape")
