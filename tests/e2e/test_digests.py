"""A coordinator's digest in a whole system: from trials' outbox through the broker to the mailbox, once."""

import uuid
from datetime import UTC, datetime
from pathlib import Path

from chassis.clock import SimulatedClock
from chassis.outbox import Message, put
from schemas.trials import DigestLine
from services.trials.publisher import Publisher
from services.trials.subscription import Channel, Filter, Secrets, Subscription
from services.trials.subscriptions.digests import digest
from services.trials.tables import outbox
from standalone.system import System
from tests.support.eventually import eventually
from tests.support.programs import CEDARS

MORNING = datetime(2027, 3, 2, 16, 0, tzinfo=UTC)
"""08:00 in Los Angeles."""


def asked_by(name: str) -> Message:
    """What trials put into their outbox for this coordinator's subscription."""
    of = Subscription(
        str(uuid.uuid4()), CEDARS.tenant, "coordinator", "Mine", Channel.DIGEST, Filter(), MORNING,
        Secrets(pseudonym_key="00" * 32, to=f"{name}@example.org"),
    )  # fmt: skip
    lines = (DigestLine(registry_id="NCT07085260", found=1),)
    publisher, digest_id = Publisher("https://trials.example.org/trials"), str(uuid.uuid4())
    return digest(publisher, of, CEDARS.public_code, digest_id, MORNING.date(), lines, MORNING)


async def test_a_digest_reaches_the_mailbox_once_and_leads_to_the_coordinators_page(tmp_path: Path) -> None:
    system = System(tmp_path, SimulatedClock(MORNING), simulated=True)
    await system.start()
    try:
        await system.ready()
        await system.arm(MORNING)
        twice = asked_by("ana")
        async with system.trials.store.write() as connection:
            await put(connection, outbox, [twice, twice, asked_by("ben")])
        system.trials.relay.nudge()
        await eventually(lambda: len(system.mailbox.messages) == 2, within=30)
    finally:
        await system.stop()
    mails = {mail.recipients: mail for mail in system.mailbox.messages}
    assert set(mails) == {("ana@example.org",), ("ben@example.org",)}
    mail = mails["ana@example.org",]
    assert (mail.subject, mail.simulated) == ("Match update", True)
    assert f"{system.trials_url}/trials" in mail.source.decode()
    assert not [each for each in stored(tmp_path) if b"ana@example.org" in each]


def stored(folder: Path) -> list[bytes]:
    """The notifier's files, whole."""
    return [each.read_bytes() for each in folder.glob("notifier.db*")]
