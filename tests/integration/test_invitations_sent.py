"""From a request to the mail on a real SMTP server, on both stores; and to no mail, where it may not go out."""

import asyncio
import email
import email.policy
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import date, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from chassis.errors import Permanent
from chassis.outbox import Message
from chassis.scope import Scope
from chassis.settings import KafkaSettings, StoreSettings
from schemas.outcomes import Answer, DeliveryOutcome
from schemas.patient import ConsentScope
from schemas.registry import NOTIFIER_REQUESTS, TRIALS_CATALOG
from schemas.trials import ApprovalStatus, RecruitmentStatus
from services.notifier.answers import stop_trials
from services.notifier.context import mail_of
from services.notifier.explain import sentences
from services.notifier.links import Link
from services.notifier.making import make
from services.notifier.store.claims import LostClaimError
from services.notifier.store.evidence import find_evidence
from services.notifier.tables import deliveries, outbox, stops
from standalone.broker import EmbeddedBroker
from tests.support.clinic import Clinic, clinic, new_id
from tests.support.eventually import eventually
from tests.support.kafka import create_topic, publish
from tests.support.sending import at_work, check, claim, open_clinic, open_items, read
from tests.support.smtp_server import SmtpServer


async def person(desk: Clinic, *scopes: ConsentScope, **changes: Any) -> str:
    """A registered and enrolled patient who agreed to be told of trials, and to whatever else."""
    patient_id = new_id()
    agreed = [desk.consent(patient_id, scope) for scope in (ConsentScope.TRIAL_CONTACT, *scopes)]
    await desk.hear(desk.patient(patient_id, **changes), desk.enrolment(patient_id), *agreed)
    return patient_id


async def state(desk: Clinic, wanted: str, reason: str | None = None) -> Any:
    async def there() -> Any:
        found = [row for row in await desk.rows() if (row.state, row.reason) == (wanted, reason)]
        return found[0] if found else None

    return await eventually(there, within=15)


def read_mail(smtp: SmtpServer) -> EmailMessage:
    [mail] = smtp.mails
    parsed = email.message_from_bytes(mail.content, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


async def outcomes(desk: Clinic, name: str) -> list[bytes]:
    """The data of what is on its way to the others, by name."""
    rows = await read(desk, select(outbox).order_by(outbox.c.id))
    wanted = f"org.upright.{name}.v1".encode()
    return [row.value for row in rows if dict(row.headers).get("ce_type") == wanted]


@pytest.mark.parametrize("tier", [0, 1])
async def test_a_request_becomes_one_mail_in_approved_words(store_settings: StoreSettings, tier: int) -> None:
    async with open_clinic(store_settings) as (desk, smtp):
        trial, scopes = new_id(), [ConsentScope.EMAIL_DETAILED] * tier
        desk.know(desk.trial(trial))
        patient = await person(desk, *scopes)
        request = desk.request(patient, trial)
        await desk.hear(request)
        row = await state(desk, "sent")
        assert (row.kind, row.request_id, row.tier) == ("trial-invitation", request.data.request_id, tier)
        mail = read_mail(smtp)
        assert mail["From"] == "Cedars-Sinai <updates@notices.example.com>"
        assert mail["Subject"] == "An update you asked for"
        assert mail["List-Id"] == "<updates.k7q2m9.notices.example.com>"
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert f"<mailto:unsubscribe+{row.mail_id}@notices.example.com>" in mail["List-Unsubscribe"]
        assert ("DEMO TEXT – not approved by any review board" in text_of(mail)) == bool(tier)
        assert patient not in smtp.mails[0].content.decode()
        [sent] = await outcomes(desk, "delivery.sent")
        assert DeliveryOutcome.strict_json(sent).delivery.request_id == request.data.request_id


async def test_an_invitation_is_in_the_language_of_its_approval(store_settings: StoreSettings) -> None:
    async with SmtpServer() as smtp, clinic(store_settings, smtp.port) as desk:
        trial = new_id()
        desk.know(desk.trial(trial, approval={"language": "es"}))
        await desk.hear(desk.request(await person(desk), trial, language="es"))
        ready = await check(desk, await claim(desk))
        assert ready is not None
        assert mail_of(ready.sending).locale == "es"


async def test_the_same_request_again_sends_nothing_more(store_settings: StoreSettings) -> None:
    async with open_clinic(store_settings) as (desk, smtp):
        trial = new_id()
        desk.know(desk.trial(trial))
        patient = await person(desk)
        request = desk.request(patient, trial)
        await desk.hear(request)
        await state(desk, "sent")
        await desk.hear(request, desk.request(patient, trial))
        desk.clock.advance_to(desk.clock.now() + timedelta(days=3))
        await desk.hear(desk.request(patient, trial))
        await state(desk, "sent")
        assert len(smtp.mails) == 1


async def test_withdrawn_before_sending_it_is_cancelled_in_whatever_order_it_was_heard(
    store_settings: StoreSettings,
) -> None:
    async with SmtpServer() as smtp, clinic(store_settings, smtp.port) as desk:
        trial = new_id()
        desk.know(desk.trial(trial))
        patient = await person(desk)
        request = desk.request(patient, trial)
        withdrawn = desk.withdrawal(patient, request.data.request_id)
        await desk.hear(request)
        await desk.hear(withdrawn)
        await desk.hear(request)
        [row] = await desk.rows()
        assert (row.state, row.reason) == ("cancelled", "match_withdrawn")
        other = desk.request(patient, new_id())
        await desk.hear(desk.withdrawal(patient, other.data.request_id))
        await desk.hear(other)
        assert len(await desk.rows()) == 1


async def test_withdrawn_while_claimed_it_is_not_sent(store_settings: StoreSettings) -> None:
    async with SmtpServer() as smtp, clinic(store_settings, smtp.port) as desk:
        trial = new_id()
        desk.know(desk.trial(trial))
        patient = await person(desk)
        request = desk.request(patient, trial)
        await desk.hear(request)
        claimed = await claim(desk)
        await desk.hear(desk.withdrawal(patient, request.data.request_id))
        assert await check(desk, claimed) is None
        [row] = await desk.rows()
        assert (row.state, row.reason) == ("skipped", "match_withdrawn")


@pytest.mark.parametrize(
    ("approval", "changes", "reason"),
    [
        ({"status": ApprovalStatus.SUSPENDED}, {}, "irb_expired"),
        ({"valid_until": date(2027, 2, 25)}, {}, "irb_expired"),
        ({}, {"status": RecruitmentStatus.COMPLETED}, "match_withdrawn"),
        ({}, {"programs": ("zzzz",)}, "trials_not_offered"),
    ],
)
async def test_what_isnt_approved_or_open_now_is_not_sent(
    store_settings: StoreSettings, approval: Mapping[str, Any], changes: Mapping[str, Any], reason: str
) -> None:
    async with open_clinic(store_settings) as (desk, smtp):
        trial = new_id()
        desk.know(desk.trial(trial, approval=approval, **changes))
        await desk.hear(desk.request(await person(desk), trial))
        await state(desk, "skipped", reason)
        assert smtp.mails == []


async def test_an_unknown_approval_is_held_told_to_staff_and_sent_once_it_is_known(
    store_settings: StoreSettings,
) -> None:
    async with open_clinic(store_settings) as (desk, smtp), watching(desk):
        trial = new_id()
        desk.know(desk.trial(trial, approval={"text_version": "v0"}))
        await desk.hear(desk.request(await person(desk), trial))
        await state(desk, "held", "approval_unknown")
        assert await open_items(desk) == {"approval_unknown"}
        desk.know(desk.trial(trial))
        desk.watch().nudge()
        await state(desk, "sent")
        assert len(smtp.mails) == 1
        assert await open_items(desk) == set()


@asynccontextmanager
async def watching(desk: Clinic) -> AsyncIterator[None]:
    stopping = asyncio.Event()
    task = asyncio.create_task(desk.watch().run(stopping))
    try:
        yield
    finally:
        stopping.set()
        await task


async def test_while_the_catalogue_is_not_read_to_its_end_an_invitation_waits(store_settings: StoreSettings) -> None:
    async with SmtpServer() as smtp, clinic(store_settings, smtp.port) as desk:
        trial = new_id()
        desk.know(desk.trial(trial))
        await desk.hear(desk.request(await person(desk), trial))
        desk.notifier.catalogue.ready = lambda: False
        assert await check(desk, await claim(desk)) is None
        [row] = await desk.rows()
        assert (row.state, row.reason, row.not_before is None) == ("planned", "stale_truth", False)


async def test_why_says_it_in_words(store_settings: StoreSettings) -> None:
    async with SmtpServer() as smtp, clinic(store_settings, smtp.port) as desk:
        trial = new_id()
        desk.know(desk.trial(trial, approval={"status": ApprovalStatus.SUSPENDED}))
        await desk.hear(desk.request(await person(desk), trial))
        assert await check(desk, await claim(desk)) is None
        [row] = await desk.rows()
        async with desk.notifier.store.read() as connection:
            evidence = await find_evidence(connection, Scope("cedars", None), row.delivery_id)
        assert evidence is not None
        said = " ".join(sentences(evidence))
        assert "Trial invitation: Not sent. The approval of the invitation's text has expired or is suspended." in said
        assert "Rule: A study may take the patient, who asked to be told of such." in said


async def test_an_unknown_kind_of_request_is_refused_and_holds_its_patients_mail(store_settings: StoreSettings) -> None:
    async with SmtpServer() as smtp, clinic(store_settings, smtp.port) as desk:
        patient = await person(desk)
        odd = desk.request(patient, new_id(), kind="appointment-reminder")
        with pytest.raises(Permanent, match="unknown_kind"):
            await desk.hear(odd)


# the page that ends it


@asynccontextmanager
async def browser(desk: Clinic) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(desk.notifier.app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://notifier") as client:
        yield client


def path_of(mail: EmailMessage) -> str:
    found = re.search(r"<https://messages\.example\.com(/v1/unsubscribe/[a-z2-7]+)>", mail["List-Unsubscribe"])
    assert found
    return found[1]


async def test_opening_the_page_changes_nothing_and_its_post_ends_trial_mail_at_once(
    store_settings: StoreSettings,
) -> None:
    async with open_clinic(store_settings) as (desk, smtp):
        trial, other = new_id(), new_id()
        desk.know(desk.trial(trial))
        desk.know(desk.trial(other))
        patient = await person(desk)
        await desk.hear(desk.request(patient, trial))
        await state(desk, "sent")
        path = path_of(read_mail(smtp))
        await desk.hear(desk.request(patient, other, hours=200))  # waits for tomorrow: one mail a day
        async with browser(desk) as web:
            for _ in range(2):
                seen = await web.get(path)
                assert (seen.status_code, "Stop research messages?" in seen.text) == (200, True)
                assert "Cedars-Sinai" in seen.text
            assert await read(desk, select(stops)) == []
            for _ in range(2):
                done = await web.post(path, data={"List-Unsubscribe": "One-Click"})
                assert (done.status_code, "Research messages have stopped" in done.text) == (200, True)
        [answer] = [Answer.strict_json(each) for each in await outcomes(desk, "answer.given")]
        assert (answer.patient_id, answer.answer, answer.program, answer.kind) == (
            patient, "stopped", "k7q2m9", "trial-invitation",
        )  # fmt: skip
        desk.clock.advance_to(desk.clock.now() + timedelta(days=3))
        await eventually(lambda: ended(desk, other))
        assert len(smtp.mails) == 1


async def ended(desk: Clinic, trial: str) -> bool:
    rows = await read(desk, select(deliveries).where(deliveries.c.dedup_key == f"trial/{trial}"))
    return [(row.state, row.reason) for row in rows] == [("skipped", "opted_out")]


async def test_a_post_between_claim_and_guard_or_after_it_stops_that_very_mail(store_settings: StoreSettings) -> None:
    async with SmtpServer() as smtp, clinic(store_settings, smtp.port) as desk:
        trial = new_id()
        desk.know(desk.trial(trial))
        patient = await person(desk)
        await desk.hear(desk.request(patient, trial))
        claimed = await claim(desk)
        ready = await check(desk, claimed)
        assert ready is not None
        async with desk.notifier.store.write() as connection:
            link = Link("cedars", patient, "k7q2m9")
            await stop_trials(connection, desk.notifier.planner, desk.notifier.sender.checker.master, link)
        with pytest.raises(LostClaimError):
            await desk.notifier.sender.commits.enter_sending(claimed, ready, make(ready))


@pytest.mark.parametrize("token", ["a", "mfrggzdfmztwq2lk", "%00", "a" * 5000])
async def test_a_bad_link_says_so_and_nothing_else(store_settings: StoreSettings, token: str) -> None:
    async with SmtpServer() as smtp, clinic(store_settings, smtp.port) as desk, browser(desk) as web:
        answers = [await web.get(f"/v1/unsubscribe/{token}"), await web.post(f"/v1/unsubscribe/{token}")]
        assert {each.status_code for each in answers} == {404}
        assert len({each.text for each in answers}) == 1
        assert "This link does not work" in answers[0].text


async def test_a_link_of_a_patient_nobody_knows_any_more_is_thanked_and_changes_nothing(
    store_settings: StoreSettings,
) -> None:
    async with SmtpServer() as smtp, clinic(store_settings, smtp.port) as desk, browser(desk) as web:
        links = desk.notifier.sender.checker.links
        assert links is not None
        path = links.unsubscribe(Link("cedars", new_id(), "zzzz")).removeprefix("https://messages.example.com")
        assert (await web.post(path)).status_code == 200
        assert await read(desk, select(stops)) == []
        assert await outcomes(desk, "answer.given") == []


# over Kafka


async def test_request_and_catalogue_on_kafka_become_a_mail(tmp_path: Path) -> None:
    store = StoreSettings(url=f"sqlite:///{tmp_path / 'store.db'}")
    async with EmbeddedBroker(tmp_path) as broker, SmtpServer() as smtp:
        kafka = KafkaSettings(bootstrap=broker.bootstrap, embedded=True)
        for topic in (NOTIFIER_REQUESTS, TRIALS_CATALOG):
            await create_topic(kafka, topic, 24)
        async with clinic(store, smtp.port, kafka=kafka) as desk, at_work(desk), desk.reading():
            trial = new_id()
            request = desk.request(await person(desk), trial)
            await publish(kafka, [desk.message(request)])
            await state(desk, "held", "approval_unknown")
            await publish(kafka, [desk.message(desk.trial(trial))])
            await state(desk, "sent")
            assert path_of(read_mail(smtp))
            withdrawn = desk.request(await person(desk, email="b@example.org"), new_id())
            gone = desk.withdrawal(withdrawn.data.patient_id, withdrawn.data.request_id)
            await publish(kafka, [desk.message(withdrawn), desk.message(gone)])
            key = withdrawn.data.patient_id
            mine = select(deliveries.c.state).where(deliveries.c.patient_id == key)
            poison = Message(NOTIFIER_REQUESTS, key.encode(), desk.message(withdrawn).headers, b"{}")
            await publish(kafka, [poison])
            await eventually(lambda: open_items(desk), within=15)
            assert await open_items(desk) == {"truth_incomplete"}
            assert [row.state for row in await read(desk, mine)] in ([], ["cancelled"])
            assert len(smtp.mails) == 1
