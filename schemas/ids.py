"""Opaque identifiers. Never a record number, never an e-mail address, never a program's name."""

import uuid
from typing import Annotated

from pydantic import AfterValidator, StringConstraints, WithJsonSchema


def _canonical(value: str) -> str:
    try:
        return str(uuid.UUID(value))
    except ValueError:
        raise ValueError("must be a UUID") from None


Opaque = Annotated[
    str,
    StringConstraints(max_length=45),
    AfterValidator(_canonical),
    WithJsonSchema({"type": "string", "format": "uuid"}),
]
"""A UUID in its canonical text form."""

TenantCode = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{2,16}$")]
"""A hospital organisation."""

ProgramCode = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{4,16}$")]
"""A program's opaque public code: the only name of a program that leaves the hospital's own screens."""
