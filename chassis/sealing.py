"""Sealing: AES-256-GCM with a key id, for blocks in events and for columns at rest.

A block's associated data names tenant, subject and the block's model, so that a block which was moved to another
subject, tenant or field doesn't open. Whatever doesn't open is ``Permanent("cannot_open")``; why is not told.

The initialisation vector is random: one key must not seal more than 2^32 times (NIST SP 800-38D, 8.3); rotate before.
"""

import base64
import json
import secrets
from collections.abc import Mapping
from typing import Annotated, Self, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import AfterValidator, SecretStr, StringConstraints, ValidationError, model_validator

from chassis.errors import Permanent
from chassis.settings import Settings
from schemas.base import Contract
from schemas.sealed import Sealed

KEY_BYTES = 32
IV_BYTES = 12
WRAPPING = b"data key"

M = TypeVar("M", bound=Contract)


class DataKey:
    """One key. It doesn't show itself."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes")
        self._cipher = AESGCM(key)

    def __repr__(self) -> str:
        return "DataKey(<protected>)"

    def seal_bytes(self, plain: bytes, associated: bytes) -> bytes:
        """Vector and ciphertext; opens only with the same ``associated`` bytes, which aren't stored."""
        iv = secrets.token_bytes(IV_BYTES)
        return iv + self._cipher.encrypt(iv, plain, associated)

    def open_bytes(self, sealed: bytes, associated: bytes) -> bytes:
        """The plain bytes; ``Permanent("cannot_open")``."""
        try:
            return self._cipher.decrypt(sealed[:IV_BYTES], sealed[IV_BYTES:], associated)
        except (InvalidTag, ValueError):
            raise Permanent("cannot_open") from None


class Keyring:
    """Keys by id: seals with the active one, opens with any. To rotate: add a key everywhere, make it active, wait."""

    def __init__(self, keys: Mapping[str, bytes], active: str) -> None:
        if active not in keys:
            raise ValueError("the active key is not in the ring")
        self._keys = {kid: DataKey(key) for kid, key in keys.items()}
        self._active = active

    def __repr__(self) -> str:
        return f"Keyring(active={self._active!r}, keys=<protected>)"

    def seal(self, block: Contract, *, tenant: str, subject: str) -> Sealed:
        """The block for the wire. ``subject`` is the envelope's, ``tenant`` its tenant."""
        plain = block.model_dump_json().encode()
        sealed = self._keys[self._active].seal_bytes(plain, _associated(type(block), tenant, subject))
        return Sealed(kid=self._active, iv=_to_text(sealed[:IV_BYTES]), ciphertext=_to_text(sealed[IV_BYTES:]))

    def open(self, sealed: Sealed, model: type[M], *, tenant: str, subject: str) -> M:
        """The block, read tolerantly. ``Permanent``: ``cannot_open``, or ``bad_block`` when the model refuses it."""
        parts = _from_text(sealed.iv) + _from_text(sealed.ciphertext)
        plain = self._key(sealed.kid).open_bytes(parts, _associated(model, tenant, subject))
        try:
            return model.tolerant_json(plain)
        except ValidationError:
            raise Permanent("bad_block") from None

    def seal_bytes(self, plain: bytes, associated: bytes) -> bytes:
        """Sealed by the active key, whose id stands before; opens only with the same ``associated`` bytes."""
        kid = self._active.encode()
        return bytes([len(kid)]) + kid + self._keys[self._active].seal_bytes(plain, associated)

    def open_bytes(self, sealed: bytes, associated: bytes) -> bytes:
        """The plain bytes; ``Permanent("cannot_open")``."""
        end = 1 + sealed[0] if sealed else 0
        return self._key(sealed[1:end].decode("ascii", "replace")).open_bytes(sealed[end:], associated)

    def new_data_key(self) -> tuple[DataKey, bytes]:
        """A key for one aggregate, and the same wrapped by the active key: without the wrapped bytes it is gone."""
        key = secrets.token_bytes(KEY_BYTES)
        return DataKey(key), self.seal_bytes(key, WRAPPING)

    def unwrap(self, wrapped: bytes) -> DataKey:
        """The key inside ``wrapped``; ``Permanent("cannot_open")``."""
        return DataKey(self.open_bytes(wrapped, WRAPPING))

    def _key(self, kid: str) -> DataKey:
        if kid not in self._keys:
            raise Permanent("cannot_open")
        return self._keys[kid]


def _associated(model: type[Contract], tenant: str, subject: str) -> bytes:
    """A JSON array: no two different triples have the same bytes."""
    return json.dumps([tenant, subject, model.__name__], separators=(",", ":")).encode()


def _to_text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _from_text(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise Permanent("cannot_open") from None


def _is_key(value: SecretStr) -> SecretStr:
    try:
        right = len(base64.b64decode(value.get_secret_value(), validate=True)) == KEY_BYTES
    except ValueError:
        right = False
    if not right:
        raise ValueError(f"a key is the base64 of {KEY_BYTES} random bytes")
    return value


class KeyringSettings(Settings):
    """``keys``: base64 of 32 bytes by key id (lower-case letters, digits, hyphens); ``active`` seals."""

    active: str
    keys: dict[
        Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}$")], Annotated[SecretStr, AfterValidator(_is_key)]
    ]

    @model_validator(mode="after")
    def _active_is_there(self) -> Self:
        if self.active not in self.keys:
            raise ValueError("active names no key")
        return self

    def ring(self) -> Keyring:
        """The keys, ready for use."""
        decoded = {kid: base64.b64decode(key.get_secret_value()) for kid, key in self.keys.items()}
        return Keyring(decoded, self.active)
