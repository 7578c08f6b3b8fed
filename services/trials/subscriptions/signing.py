"""Standard Webhooks 1.0.0 (standardwebhooks.com): thin payloads, symmetric signatures, its retry schedule."""

import base64
import json
import random
import secrets
from datetime import UTC, datetime

from standardwebhooks.webhooks import Webhook

SECRET_BYTES = 32
"""The specification asks for 24 to 64 random bytes."""

PREFIX = "whsec_"

_MINUTE, _HOUR = 60.0, 3600.0
RETRIES = (5.0, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR)
"""Seconds from one failure to the next try, as the specification gives them; after the last there is none."""

JITTER = 0.1
"""A pause is up to so much longer, that not all come at once after an outage."""


def new_secret() -> str:
    """A secret to share with one receiver."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def payload(name: str, at: datetime, subscription_id: str, sequence: int, report_id: str) -> bytes:
    """Where the report can be fetched, and nothing of what it says."""
    told = {
        "type": name,
        "timestamp": at.isoformat(),
        "data": {"subscription_id": subscription_id, "sequence": sequence, "report_id": report_id},
    }
    return json.dumps(told, separators=(",", ":")).encode()


def headers(secret: str, message_id: str, sent_at: datetime, body: bytes) -> dict[str, str]:
    """``message_id`` is the same at each try, by which a receiver knows a repeat; ``sent_at`` is real time."""
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, sent_at.astimezone(UTC), body.decode()),
    }


def pause_after(failures: int) -> float | None:
    """Seconds until the next try after so many failures in a row; None: there is none."""
    if failures > len(RETRIES):
        return None
    return RETRIES[failures - 1] * random.uniform(1.0, 1.0 + JITTER)
