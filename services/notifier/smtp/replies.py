"""SMTP replies out of a byte stream, however it is cut (RFC 5321, 4.2; enhanced codes RFC 3463)."""

import re
from dataclasses import dataclass

# Bounds the memory that a server without line ends or with endless continuation lines can take.
_LONGEST_REPLY = 32 * 1024
_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(rb"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?!\S)")


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole reply; its text is thrown away, because servers quote addresses in it."""

    code: int
    enhanced: str | None


def enhanced_of(code: int, text: bytes) -> str | None:
    """The enhanced status code at the start of a reply's text, if it is of the same class as ``code``."""
    match = _ENHANCED.match(text)
    if match is None or match[1][:1] != b"%d" % (code // 100):
        return None
    return match[1].decode("ascii")


class ReplyParser:
    """Collects bytes. ``garbled`` is set at the first byte sequence that is no reply; nothing is read after it."""

    def __init__(self) -> None:
        self.garbled = False
        self._buffer = bytearray()
        self._continued = 0  # bytes of the continuation lines seen so far
        self._enhanced: str | None = None

    @property
    def midway(self) -> bool:
        """Whether part of a reply has come."""
        return bool(self._buffer) or self._continued > 0

    def feed(self, data: bytes) -> list[Reply]:
        """The replies which ``data`` completes."""
        found: list[Reply] = []
        self._buffer += data
        while not self.garbled and (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end]).removesuffix(b"\r")
            del self._buffer[: end + 1]
            if reply := self._read(line):
                found.append(reply)
        self.garbled |= len(self._buffer) + self._continued > _LONGEST_REPLY
        return found

    def _read(self, line: bytes) -> Reply | None:
        match = _LINE.fullmatch(line)
        if match is None:
            self.garbled = True
            return None
        code = int(match[1])
        self._enhanced = self._enhanced or enhanced_of(code, match[3] or b"")
        if match[2] == b"-":
            self._continued += len(line) + 1  # an empty continuation line counts too
            return None
        reply = Reply(code, self._enhanced)
        self._enhanced, self._continued = None, 0
        return reply
