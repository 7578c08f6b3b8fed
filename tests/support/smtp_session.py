"""One conversation of the SMTP server in `smtp_server.py`: the usual answers, or those of the script."""

import asyncio
import base64
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from enum import Enum, auto
from typing import Literal

Step = Literal["greeting", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "body", "dot", "rset", "quit"]
_PATH = re.compile(r"(?:MAIL FROM|RCPT TO):<([^>]*)> ?(.*)", re.IGNORECASE)


class Deed(Enum):
    """What the server does instead of answering."""

    DROP = auto()  # hang up
    KEEP_AND_DROP = auto()  # at the dot: accept the mail, then hang up
    STALL = auto()  # wait for release(), then go on as usual


@dataclass(frozen=True)
class ReceivedMail:
    """One accepted mail, dots unstuffed, as of ``at``. ``parameters`` is what followed the path in MAIL."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    parameters: str
    at: datetime = field(default_factory=lambda: datetime.now(UTC), compare=False)

    @property
    def message(self) -> EmailMessage:
        """The parsed content."""
        return message_from_bytes(self.content, policy=policy.default)


@dataclass(frozen=True)
class Manners:
    """How the server is set up."""

    extensions: Sequence[str]
    extensions_under_tls: Sequence[str] | None
    starttls: ssl.SSLContext | None
    encrypted: bool
    login: tuple[str, str] | None
    close_after: int | None
    delay: float
    lingers: bool


@dataclass
class _Rule:
    step: Step
    answer: str | Deed
    left: int | None
    recipient: str | None


@dataclass
class Script:
    """What to answer out of turn, and what was seen; shared by all conversations of a server."""

    mails: list[ReceivedMail] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    reads: list[bytes] = field(default_factory=list)
    stray_bodies: list[bytes] = field(default_factory=list)
    rules: list[_Rule] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    stalled: int = 0

    def add(self, step: Step, answer: str | Deed, times: int | None, recipient: str | None) -> None:
        self.rules.append(_Rule(step, answer, times, recipient))

    async def stall(self) -> None:
        self.stalled += 1
        try:
            await self.released.wait()
        finally:
            self.stalled -= 1

    def answer(self, step: Step, recipient: str | None) -> str | Deed | None:
        for rule in self.rules:
            if rule.step == step and rule.left != 0 and rule.recipient in (None, recipient):
                rule.left = None if rule.left is None else rule.left - 1
                return rule.answer
        return None


class _HangUp(Exception):  # noqa: N818 - an order to the session, not an error
    pass


class Session:
    """One connection, from the greeting to its end."""

    def __init__(
        self, manners: Manners, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._manners = manners
        self._script = script
        self._reader = reader
        self.writer = writer
        self._buffer = bytearray()
        self._trusted = manners.login is None
        self._encrypted = manners.encrypted
        self._mails = 0
        self._reset()

    def _reset(self) -> None:
        self._sender: str | None = None
        self._parameters = ""
        self._recipients: list[str] = []

    async def run(self) -> None:
        try:
            await self._say("greeting", "220 test ESMTP")
            while True:
                await self._obey((await self._until(b"\r\n")).decode())
        except (_HangUp, OSError):
            pass
        finally:
            self.writer.close()

    def write(self, reply: str) -> None:
        """Lines apart by LF are one reply; CR LF begins another reply, which nobody asked for."""
        *first, last = re.split(r"(?<!\r)\n", reply)
        lines = [f"{line[:3]}-{line[4:]}" for line in first] + [last]
        self.writer.write("".join(f"{line}\r\n" for line in lines).encode())

    async def _say(self, step: Step, usual: str, recipient: str | None = None) -> int:
        """Answer as scripted, else as usual; the code that was said."""
        return await self._tell(self._scripted(step, recipient), usual)

    def _scripted(self, step: Step, recipient: str | None = None) -> str | Deed | None:
        return self._script.answer(step, recipient or next(iter(self._recipients), None))

    async def _tell(self, answer: str | Deed | None, usual: str) -> int:
        if answer in (Deed.DROP, Deed.KEEP_AND_DROP):
            raise _HangUp
        if answer is Deed.STALL:
            await self._script.stall()
        if self._manners.delay:
            await asyncio.sleep(self._manners.delay)
        reply = answer if isinstance(answer, str) else usual
        self.write(reply)
        await self.writer.drain()
        if reply.startswith("421") and not self._manners.lingers:
            raise _HangUp
        return int(reply[:3])

    async def _until(self, end: bytes) -> bytes:
        while (at := self._buffer.find(end)) < 0:
            data = await self._reader.read(65536)
            if not data:
                raise _HangUp
            self._script.reads.append(data)
            self._buffer += data
        found = bytes(self._buffer[:at])
        del self._buffer[: at + len(end)]
        return found

    async def _obey(self, line: str) -> None:
        verb = line.split(" ")[0].upper()
        self._script.commands.append("AUTH" if verb == "AUTH" else line)
        act = getattr(self, f"_on_{verb.lower()}", None)
        if act is None:
            self.write("502 5.5.1 unknown command")
        else:
            await act(line)

    async def _on_ehlo(self, line: str) -> None:
        under_tls = self._manners.extensions_under_tls
        offers = list(self._manners.extensions if under_tls is None or not self._encrypted else under_tls)
        if self._manners.starttls and not self._encrypted:
            offers.append("STARTTLS")
        if self._manners.login:
            offers.append("AUTH PLAIN")
        await self._say("ehlo", "\n".join(["250 test", *(f"250 {offer}" for offer in offers)]))

    async def _on_starttls(self, line: str) -> None:
        if await self._say("starttls", "220 2.0.0 go ahead") == 220 and self._manners.starttls:
            self._buffer.clear()
            await self.writer.start_tls(self._manners.starttls)
            self._encrypted = True
            self._reset()

    async def _on_auth(self, line: str) -> None:
        _, username, password = base64.b64decode(line.split(" ")[2]).decode().split("\0")
        right = (username, password) == self._manners.login
        usual = "235 2.7.0 welcome" if right else f"535 5.7.8 wrong password for {username}"
        self._trusted = await self._say("auth", usual) == 235

    async def _on_mail(self, line: str) -> None:
        if not self._trusted:
            self.write("530 5.7.0 authentication required")
        elif self._sender is not None:
            self.write("503 5.5.1 nested MAIL")
        elif (path := _PATH.fullmatch(line)) is None:
            self.write("501 5.5.4 syntax")
        elif await self._say("mail", "250 2.1.0 ok") == 250:
            self._sender, self._parameters = path[1], path[2]

    async def _on_rcpt(self, line: str) -> None:
        path = _PATH.fullmatch(line)
        recipient = path[1] if path else ""
        usual = "503 5.5.1 MAIL first" if self._sender is None else f"250 2.1.5 {recipient} ok"
        if 200 <= await self._say("rcpt", usual, recipient) < 300:
            self._recipients.append(recipient)

    async def _on_data(self, line: str) -> None:
        usual = "354 go ahead" if self._recipients else "554 5.5.1 no valid recipients"
        if await self._say("data", usual) != 354:
            return
        await self._act_before_body()
        # The line end before the body belongs to it, so that a lone dot is found too.
        self._buffer[:0] = b"\r\n"
        raw = await self._until(b"\r\n.\r\n")
        content = (raw + b"\r\n").replace(b"\r\n.", b"\r\n").removeprefix(b"\r\n")
        if self._recipients:
            await self._finish(content)
        else:
            self._script.stray_bodies.append(content)
            self.write("554 5.5.1 no valid recipients")
        self._reset()

    async def _act_before_body(self) -> None:
        answer = self._scripted("body")
        if answer is Deed.STALL:
            await self._script.stall()
        elif isinstance(answer, str):
            self.write(answer)
        elif answer is not None:
            raise _HangUp

    async def _finish(self, content: bytes) -> None:
        mail = ReceivedMail(self._sender or "", tuple(self._recipients), content, self._parameters)
        answer = self._scripted("dot")
        if answer is Deed.KEEP_AND_DROP:
            self._script.mails.append(mail)
        if await self._tell(answer, "250 2.0.0 accepted") == 250:
            self._script.mails.append(mail)
            self._mails += 1
        if self._mails == self._manners.close_after:
            raise _HangUp

    async def _on_rset(self, line: str) -> None:
        self._reset()
        await self._say("rset", "250 2.0.0 ok")

    async def _on_quit(self, line: str) -> None:
        await self._say("quit", "221 2.0.0 bye")
        raise _HangUp
