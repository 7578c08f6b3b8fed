"""The transaction against the mail catcher that the deployment has, asked over its own interface what it took."""

import json
import os
import secrets
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from services.notifier.smtp import SmtpPool, SmtpSettings, Tls, Verdict
from tests.support.smtp_client import ANA, BOUNCE

SMTP, HTTP = "TEST_MAILPIT_SMTP", "TEST_MAILPIT_HTTP"


@pytest.mark.servers
@pytest.mark.skipif(SMTP not in os.environ, reason="needs a mail catcher: tests.support.containers starts one")
async def test_mailpit_shows_each_mail_as_it_was_handed_over() -> None:
    where = urlsplit(f"//{os.environ[SMTP]}")
    ids = [f"{secrets.token_hex(8)}@example.org" for _ in range(3)]
    pool = SmtpPool(SmtpSettings(host=str(where.hostname), port=where.port or 0, tls=Tls.NONE))
    async with pool.connection() as connection:
        verdicts = [(await connection.send(BOUNCE, ANA, mail(each))).verdict for each in ids]
    await pool.close()
    assert verdicts == [Verdict.ACCEPTED] * 3
    shown = {each["MessageID"]: each for each in asked("/api/v1/messages?limit=10000")["messages"]}
    assert [shown[each]["To"][0]["Address"] for each in ids] == [ANA] * 3
    assert asked(f"/api/v1/message/{shown[ids[0]]['ID']}")["Text"].splitlines() == [".", "..dots and bjørn"]


def mail(message_id: str) -> bytes:
    head = f"Message-ID: <{message_id}>\r\nTo: {ANA}\r\nSubject: Hei\r\nMIME-Version: 1.0\r\n"
    kind = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    return f"{head}{kind}.\r\n..dots and bjørn\r\n".encode()


def asked(path: str) -> Any:
    with urlopen(f"{os.environ[HTTP]}{path}", timeout=10) as answer:  # noqa: S310 - the catcher's address, http
        return json.load(answer)
