"""Tokens in links: sealed, so that they say nothing, and each good for one purpose alone.

They are one word of lower-case letters and digits: nothing that reads a URL changes it, or finds words in it.
"""

import base64
import binascii

from chassis.errors import Permanent
from chassis.sealing import Keyring

LONGEST = 400


def token(ring: Keyring, purpose: str, subject: bytes) -> str:
    """A token for ``subject``, a few bytes. Never the same twice."""
    return base64.b32encode(ring.seal_bytes(subject, _salt(purpose))).decode().rstrip("=").lower()


def subject(ring: Keyring, purpose: str, text: str) -> bytes | None:
    """What the token is for; None when it isn't one, is for another purpose, or was changed. Why isn't told."""
    if len(text) > LONGEST:
        return None
    try:
        sealed = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
        return ring.open_bytes(sealed, _salt(purpose))
    except (binascii.Error, ValueError, Permanent):
        return None


def _salt(purpose: str) -> bytes:
    return f"link/{purpose}".encode()
