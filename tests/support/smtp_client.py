"""Pools to a server made for a test, and one plain mail to send through them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from services.notifier.smtp import Receipt, SmtpPool, SmtpSettings, Tls
from tests.support.smtp_server import SmtpServer

BOUNCE = "bounce+1@mail.example.org"
ANA = "ana@example.org"
CONTENT = b"From: clinic@mail.example.org\r\nTo: ana@example.org\r\nSubject: Hello\r\n\r\nHello\r\n"


def settings_for(server: SmtpServer, **settings: Any) -> SmtpSettings:
    """Plain and impatient unless told otherwise."""
    usual = {"host": "127.0.0.1", "port": server.port, "tls": Tls.NONE, "ehlo_name": "client.test"}
    patience = {"connect_seconds": 5, "command_seconds": 5, "dot_seconds": 5}
    return SmtpSettings.model_validate(usual | patience | settings)


@asynccontextmanager
async def pool_to(server: SmtpServer, **settings: Any) -> AsyncIterator[SmtpPool]:
    pool = SmtpPool(settings_for(server, **settings))
    try:
        yield pool
    finally:
        await pool.close()


async def send_one(pool: SmtpPool, *, sender: str = BOUNCE, recipient: str = ANA, content: bytes = CONTENT) -> Receipt:
    """Acquire, send, put back."""
    async with pool.connection() as connection:
        return await connection.send(sender, recipient, content)
