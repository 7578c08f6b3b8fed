"""A synthetic digest for a coordinator."""

from dataclasses import replace
from datetime import UTC, datetime

from schemas.trials import DigestLine
from services.notifier.digest_mail import DigestMail
from tests.support.mails import PROGRAM

URL = "https://trials.example.com/trials"
MAIL = DigestMail(
    program=replace(PROGRAM, sender="updates@notices.example.com"),
    recipient="coordinator@example.org",
    return_path="bounces+5e8a3b90-c2d7-4f61-8e14-7f0b9d6a5c32@notices.example.com",
    message_id="<5e8a3b90-c2d7-4f61-8e14-7f0b9d6a5c32@notices.example.com>",
    date=datetime(2027, 3, 2, 16, 0, tzinfo=UTC),
    lines=(
        DigestLine(registry_id="NCT00000002", found=1, withdrawn=3),
        DigestLine(registry_id="NCT07085260", found=2, changed=1),
    ),
    console_url=URL,
    simulated=True,
)
