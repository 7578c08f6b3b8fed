"""Takes e-mail addresses and telephone numbers out of free text. Time is linear in the text's length.

A number counts as a telephone's when it is written like one or follows such a word; clinical figures stay.
"""

import re

REMOVED = "[contact removed]"

# Each run of characters is tried once, from its beginning, and nothing in it twice: long runs stay cheap.
_ADDRESS = re.compile(
    r"(?<![\w.+%'-])(?:mailto:)?[\w.+%'-]++(?:@| ?[(\[] ?at ?[)\]] ?)[\w-]++(?:(?:\.| ?[(\[] ?dot ?[)\]] ?)[\w-]++)+",
    re.IGNORECASE,
)
_PHONES = (
    # International (E.164: at most 15 digits), North American, and any other that is announced.
    re.compile(r"(?<![\w+])\+\d{1,3}[ .()/-]{0,2}\d(?:[ .()/-]{0,2}\d){6,12}(?!\d)"),
    re.compile(r"(?<![\w.,/-])(?:1[-. ])?(?:\([2-9]\d\d\) ?|[2-9]\d\d([-. ]))[2-9]\d\d(?(1)\1|[-. ])\d{4}(?![\w/-])"),
    re.compile(
        r"\b(?:tele)?(?:phone|tel|fax|mobile|hotline)\b\.?(?: (?:no|number|nr)\b\.?)? ?:? ?"
        r"\(?\d(?:[ .()/-]{0,2}\d){5,14}",
        re.IGNORECASE,
    ),
)


def without_contacts(text: str) -> str:
    """The text, with ``REMOVED`` in each contact's place."""
    for pattern in (_ADDRESS, *_PHONES):
        text = pattern.sub(REMOVED, text)
    return text
