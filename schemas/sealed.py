"""A sealed block on the wire: AES-256-GCM ciphertext with its key id. ``chassis.sealing`` seals and opens.

Field names are those of JWE (RFC 7516). The associated data is not carried: the reader rebuilds it from the envelope
(tenant and subject), so a block moved to another subject doesn't open.
"""

from typing import Annotated, Literal

from pydantic import StringConstraints

from schemas.base import Contract

Base64Url = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$")]


class Sealed(Contract):
    """``ciphertext`` ends with the 16-byte tag; ``iv`` is 12 random bytes; both base64url without padding."""

    enc: Literal["A256GCM"] = "A256GCM"
    kid: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}$")]
    iv: Base64Url
    ciphertext: Base64Url
