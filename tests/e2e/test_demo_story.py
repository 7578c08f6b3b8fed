"""The demo's story, whole: over HTTP in, through the broker, out by SMTP. The mails are the ones the design says."""

import json
from pathlib import Path

import pytest

from standalone.demo.acts import APPROVAL
from standalone.demo.driver import Driver
from standalone.demo.equation import equation
from standalone.demo.research import reports
from standalone.demo.story import CAST
from standalone.mailbox import Message
from tests.support.stage import STAGES, on_stage
from tests.support.story import (
    EQUATION,
    MAILS,
    MATCHED,
    MATCHES,
    NOT_SENT,
    REPORTS,
    mails_of,
    matched,
    matches_of,
    not_sent,
    reported,
)


@pytest.mark.parametrize("stage", STAGES)
async def test_the_story_ends_as_worked_out_by_hand(stage: str, tmp_path: Path) -> None:
    async with on_stage(stage, tmp_path) as driver:
        await driver.play()
        assert await mails_of(driver) == MAILS
        assert await not_sent(driver) == NOT_SENT
        assert str(await equation(driver.system)) == EQUATION
        assert matched(driver) == MATCHED
        assert await matches_of(driver) == MATCHES
        await the_coordinator_was_told_of_pseudonyms(driver)
        texts_say_what_they_must(driver)


def texts_say_what_they_must(driver: Driver) -> None:
    first, asked, bring, last = to(driver, "ana")
    assert "Medical record release authorization" in text(first)
    assert "We still need" in text(asked)
    assert "Bring all medications" in text(bring)
    assert "form" not in text(last)
    for mail in to(driver, "ben"):
        assert "Pacific Daylight Time" in text(mail)
        assert "Eastern Daylight Time" in text(mail)
        assert "Ben" not in text(mail)
    week_before, day_before = to(driver, "carmen")
    assert "Follow the instructions your care team gave you" in text(week_before)
    assert "get ready" not in text(day_before)
    late, changed, off = to(driver, "david")
    assert "only reminder" in text(late)
    assert "New time: Friday, March 12, 2027" in text(changed)
    assert "March 10" in text(changed)
    assert "March 11" not in text(changed)
    assert "METHOD:CANCEL" in (off.calendar or "")
    (grace,), (hana,) = to(driver, "grace"), to(driver, "hana")
    assert APPROVAL["text"] not in text(grace)
    assert APPROVAL["text"] in text(hana)
    for mail in (grace, hana):
        assert "TEST-CVF-1" not in mail.subject + mail.header("From") + text(mail)
        assert mail.header("List-Unsubscribe-Post") == "List-Unsubscribe=One-Click"
    for mail in driver.system.mailbox.messages:
        assert "Cedars-Sinai" in mail.header("From") or "Kaiser Permanente" in mail.header("From")


async def the_coordinator_was_told_of_pseudonyms(driver: Driver) -> None:
    told = await reports(driver.staff)
    assert await reported(driver) == REPORTS
    assert len({each["pseudonym"] for each in told}) == 3
    said = json.dumps(told)
    for name, person in CAST.items():
        for secret in (name, person.family, person.born, driver.posts.id_of(name, "patient")):
            assert secret not in said


def to(driver: Driver, name: str) -> list[Message]:
    return [each for each in driver.system.mailbox.messages if each.recipients == (f"{name}@example.org",)]


def text(mail: Message) -> str:
    return " ".join((mail.text or "").split())
