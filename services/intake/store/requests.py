"""Answers by ``Idempotency-Key``: the same key gives the same answer, also to two who ask at once.

A request that was refused leaves nothing here: its key may be used again with what was put right.
"""

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.store import insert
from services.intake.tables import requests

KEPT = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class RequestKey:
    """Who sent which key. ``fingerprint`` is a hash of the body under the key itself, so it tells nothing alone."""

    tenant: str
    caller: str
    key_hash: str
    fingerprint: str

    @classmethod
    def of(cls, tenant: str, caller: str, key: str, body: bytes) -> "RequestKey":
        secret = key.encode()
        return cls(
            tenant, caller, hashlib.sha256(secret).hexdigest(), hmac.new(secret, body, hashlib.sha256).hexdigest()
        )


@dataclass(frozen=True, slots=True)
class Earlier:
    """A request with this key came before; ``answer`` is what it got."""

    same_body: bool
    answer: Any


async def claim(connection: AsyncConnection, key: RequestKey, now: datetime) -> Earlier | None:
    """None when this request is the first with its key. Waits for another one that is under way with the same key."""
    await connection.execute(delete(requests).where(requests.c.created_at < now - KEPT))
    row = {"tenant": key.tenant, "caller": key.caller, "key_hash": key.key_hash}
    added = await connection.execute(
        insert(connection, requests)
        .values(**row, fingerprint=key.fingerprint, created_at=now)
        .on_conflict_do_nothing()
        .returning(requests.c.key_hash)
    )
    if added.first() is not None:
        return None
    found = (await connection.execute(select(requests).where(_is(key)))).one()
    same = hmac.compare_digest(found.fingerprint, key.fingerprint)
    return Earlier(same, json.loads(found.answer))


async def record_answer(connection: AsyncConnection, key: RequestKey, answer: Any) -> None:
    """In the transaction that ``claim`` was made in."""
    await connection.execute(update(requests).where(_is(key)).values(answer=json.dumps(answer)))


def _is(key: RequestKey) -> Any:
    columns = requests.c
    return (columns.tenant == key.tenant) & (columns.caller == key.caller) & (columns.key_hash == key.key_hash)
