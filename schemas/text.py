"""Plain text from outside: bounded, no control characters, no marks that change the direction of what follows."""

import unicodedata
from datetime import date
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from schemas.protected import Protected

_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean(value: str) -> str:
    """``ValueError`` on a control character or a direction mark; the text itself is not in the error."""
    for character in value:
        if character in _DIRECTION:
            raise ValueError("has a mark that changes the direction of text")
        if unicodedata.category(character) in {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}:
            raise ValueError("has a control character")
    return unicodedata.normalize("NFC", value)


Line = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True), AfterValidator(clean)]
"""One line of text, 1 to 200 characters."""

Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
"""A name from a program's file: visit type, site, form, step."""

ReasonCode = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
"""A reason or worklist code: a word from a fixed set, safe in a log."""

Zone = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+/-]{1,64}$")]
"""An IANA time zone name. Intake checks that it exists; a reader with older tzdata falls back to the clinic's."""

Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$")]
"""A BCP 47 language tag, such as ``en`` or ``es-US``."""

ProtectedLine = Protected[Line]
BirthDate = Protected[date]
Address = Protected[Annotated[str, StringConstraints(min_length=3, max_length=254), AfterValidator(clean)]]
"""An e-mail address (RFC 5321: 254 octets at most). Its syntax is checked by intake."""
