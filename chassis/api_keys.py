"""API keys: ``Authorization: Bearer <key id>.<secret>``. Each has a Scope and roles.

The secret is 256 random bits, so its plain SHA-256 can be kept: there is nothing to guess and no need for a slow hash.
"""

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from chassis.problems import Problem
from chassis.scope import Scope
from chassis.settings import ApiKeySetting


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: ``key_id`` may be logged and stored as the author of a change."""

    key_id: str
    scope: Scope
    roles: frozenset[str]


def new_api_key(
    key_id: str, tenant: str, programs: Iterable[str] | None = None, roles: Iterable[str] = ()
) -> tuple[str, ApiKeySetting]:
    """A new key's text, shown once and never again, and the setting that knows it."""
    secret = secrets.token_urlsafe(32)
    allowed = None if programs is None else frozenset(programs)
    setting = ApiKeySetting(id=key_id, sha256=_digest(secret), tenant=tenant, programs=allowed, roles=frozenset(roles))
    return f"{key_id}.{secret}", setting


class ApiKeys:
    """The keys of one service."""

    def __init__(self, settings: Iterable[ApiKeySetting]) -> None:
        self._keys = {setting.id: setting for setting in settings}
        self._nobody = _digest(secrets.token_urlsafe(32))

    def caller(self, text: str) -> Caller | None:
        """Who holds this key; None for any that isn't ours. Takes as long for an unknown id as for a wrong secret."""
        key_id, _, secret = text.partition(".")
        setting = self._keys.get(key_id)
        matches = hmac.compare_digest(_digest(secret), setting.sha256 if setting else self._nobody)
        if setting is None or not matches:
            return None
        return _caller(setting)

    def known(self, key_id: str) -> Caller | None:
        """Whose key this is, for who has shown it before; None once it is taken away."""
        setting = self._keys.get(key_id)
        return None if setting is None else _caller(setting)


def _caller(setting: ApiKeySetting) -> Caller:
    return Caller(setting.id, Scope(setting.tenant, setting.programs), setting.roles)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


_bearer = HTTPBearer(auto_error=False, bearerFormat="<key id>.<secret>")


def caller(role: str) -> Callable[..., Awaitable[Caller]]:
    """A dependency: the caller, who must have ``role``. Problem 401 without a valid key, 403 without the role.

    Used as ``Annotated[Caller, Depends(caller("publish"))]``; the app keeps its keys in ``app.state.api_keys``.
    """

    async def known_caller(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> Caller:
        keys: ApiKeys = request.app.state.api_keys
        known = keys.caller(credentials.credentials) if credentials else None
        if known is None:
            challenge = {"WWW-Authenticate": "Bearer"}
            raise Problem(401, "unauthenticated", "A valid API key is needed.", headers=challenge)
        if role not in known.roles:
            raise Problem(403, "role_missing", f"This API key doesn't have the role {role}.")
        return known

    return known_caller


def scope(role: str) -> Callable[..., Awaitable[Scope]]:
    """A dependency: the Scope of a caller who has ``role``."""

    async def known_scope(known: Annotated[Caller, Depends(caller(role))]) -> Scope:
        return known.scope

    return known_scope
