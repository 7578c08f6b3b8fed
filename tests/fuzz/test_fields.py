"""Whatever stands in a mail's fields, the mail has its own headers and no others, or isn't made at all."""

import re
from dataclasses import fields, is_dataclass, replace
from email import message_from_bytes
from email.policy import default
from functools import cache
from random import Random
from typing import Any

import pytest

from services.notifier.mail import Mail
from services.notifier.render import render
from services.notifier.smtp.transfer import Transfer
from tests.fuzz.amount import chances, time_limit
from tests.fuzz.shapes import text
from tests.support.mails import every_shape

pytestmark = time_limit

SHAPES = list(every_shape().values())
EVIL = (
    "x\r\nBcc: eve@example.org", "x\nBcc: eve@example.org\n\nHi", "\r\n\r\n--=_a_", "=?utf-8?q?=0d=0aBcc:_x?=",
    "a" * 2_000, "\u2028Bcc: x", "\x0bBcc: x", "\x85Bcc: x", "\x00", "\ud800", '"', "<", ">", "\\", ",", ";", ":",
    "END:VCALENDAR\r\nBEGIN:VALARM", "</title><script>", "a@b@c", "(", "\u202e", "", " ", "\t", "=" * 80, ".",
    "{{ 7 }}", "\r\n.\r\nMAIL",
)  # fmt: skip
FIXED = {"zone", "locale"}
"""No texts of anybody's: contracts take known zones only, and a locale chooses a file."""

HELD = (ValueError, UnicodeError)
"""What keeps a mail from being made: it is held, and staff are told."""


def spoilt(chance: Random, node: Any) -> Any:
    """``node`` with some of its texts replaced or added to, at any depth."""
    if isinstance(node, str) and type(node) is str and chance.random() < 0.15:
        evil = chance.choice(EVIL) if chance.random() < 0.6 else text(chance, 40)
        return chance.choice((evil, node + evil, evil + node))
    if isinstance(node, tuple):
        return tuple(spoilt(chance, each) for each in node)
    if is_dataclass(node) and not isinstance(node, type):
        changes = {
            each.name: spoilt(chance, getattr(node, each.name)) for each in fields(node) if each.name not in FIXED
        }
        return replace(node, **changes)
    return node


def outline(content: bytes) -> tuple[list[str], list[str]]:
    """Names of the headers, and what kinds of parts there are, in order."""
    parsed = message_from_bytes(content, policy=default)
    assert not parsed.defects
    return sorted(parsed.keys()), [each.get_content_type() for each in parsed.walk()]


@cache
def approved(shape: int) -> tuple[list[str], list[str]]:
    return outline(render(SHAPES[shape]).content)


@pytest.mark.parametrize("tier", [0, 1])
def test_no_field_adds_a_header_or_ends_a_part(tier: int) -> None:
    made = 0
    for chance in chances(f"fields {tier}"):
        good: Mail = chance.choice([each for each in SHAPES if each.tier == tier])
        try:
            mail = spoilt(chance, good)
            content = render(mail).content
        except HELD:
            continue
        made += 1
        assert outline(content) == approved(SHAPES.index(good))
        assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\x00", content)
        assert max(len(line) for line in content.split(b"\r\n")) <= 998
        Transfer("desk@example.org", "ana@example.org", content)
    assert made
