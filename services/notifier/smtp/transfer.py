"""One mail as it goes over the line: refuses what could break out of a command or of the body."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from .receipts import Phase, Receipt, Verdict


@dataclass(frozen=True, slots=True)
class Offers:
    """What the server said it can do, in its answer to the last EHLO (under TLS: the one after the handshake)."""

    pipelining: bool = False
    eight_bit: bool = False
    utf8: bool = False
    size: bool = False
    largest: int = 0  # bytes; 0 means that the server names no bound (RFC 1870)

    @classmethod
    def read(cls, extensions: Mapping[str, str]) -> "Offers":
        """From keyword (lower case) to parameters."""
        largest = extensions.get("size", "").strip()
        return cls(
            pipelining="pipelining" in extensions,
            eight_bit="8bitmime" in extensions,
            utf8="smtputf8" in extensions,
            size="size" in extensions,
            largest=int(largest) if largest.isascii() and largest.isdigit() else 0,
        )


@dataclass(frozen=True, repr=False)
class Transfer:
    """A sender, one recipient, and a message whose lines all end in CRLF. ``ValueError`` names no address."""

    sender: str
    recipient: str
    content: bytes

    def __post_init__(self) -> None:
        _check_address(self.sender, "sender")
        _check_address(self.recipient, "recipient")
        breaks = self.content.count(b"\r\n")
        if self.content.count(b"\r") != breaks or self.content.count(b"\n") != breaks:
            raise ValueError("content holds a CR or LF that isn't part of a CRLF")

    @cached_property
    def body(self) -> bytes:
        """The content with dots stuffed (RFC 5321, 4.5.2) and a last line that ends; the final dot is not in it."""
        stuffed = self.content.replace(b"\r\n.", b"\r\n..")
        if stuffed.startswith(b"."):
            stuffed = b"." + stuffed
        return stuffed if stuffed.endswith(b"\r\n") else stuffed + b"\r\n"

    @cached_property
    def needs_utf8(self) -> bool:
        """Whether an address needs SMTPUTF8 (RFC 6531)."""
        return not (self.sender.isascii() and self.recipient.isascii())

    def impossible(self, offers: Offers) -> Receipt | None:
        """The refusal which this server would give, known without asking it (codes of RFC 6531 and RFC 3463)."""
        if self.needs_utf8 and not offers.utf8:
            return Receipt(Verdict.REFUSED, Phase.MAIL, enhanced="5.6.7")
        if 0 < offers.largest < len(self.content):
            return Receipt(Verdict.REFUSED, Phase.MAIL, enhanced="5.3.4")
        return None

    def commands(self, offers: Offers) -> list[tuple[Phase, bytes]]:
        """The envelope, one command for each phase."""
        return [
            (Phase.MAIL, f"MAIL FROM:<{self.sender}>{self._parameters(offers)}\r\n".encode()),
            (Phase.RCPT, f"RCPT TO:<{self.recipient}>\r\n".encode()),
            (Phase.DATA, b"DATA\r\n"),
        ]

    def _parameters(self, offers: Offers) -> str:
        size = f" SIZE={len(self.content)}" if offers.size else ""
        body = " BODY=8BITMIME" if offers.eight_bit and not self.content.isascii() else ""
        return size + body + (" SMTPUTF8" if self.needs_utf8 else "")


def _check_address(address: str, role: str) -> None:
    """Refuse what could end the path or the line: blanks, controls, format marks, angle brackets (RFC 5321, 4.1.2).

    That refuses quoted local parts with a blank in them too, which no form of ours accepts.
    """
    if any(character in "<>" or unicodedata.category(character)[0] in "CZ" for character in address):
        raise ValueError(f"the {role}'s address holds a character which no address may have")
    local, at, domain = address.rpartition("@")
    if not (local and at and domain):
        raise ValueError(f"the {role}'s address is none")
