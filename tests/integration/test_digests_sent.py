"""Coordinators' digests, from the request to a mail on a real SMTP server, on both stores; at most once, whatever."""

from datetime import UTC, datetime, timedelta

import pytest
import structlog
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import select, update

from chassis.settings import StoreSettings
from chassis.store import database_now
from chassis.tracing import span
from schemas.outcomes import DeliveryState
from schemas.trials import DigestLine
from services.notifier.programs import apply
from services.notifier.smtp import Phase, Receipt, Verdict
from services.notifier.store.claims import LostClaimError
from services.notifier.store.digests import (
    begin_sending_digest,
    claim_digest,
    end_overdue,
    put_off_digest,
    record_digest,
)
from services.notifier.tables import arming, digests, suppressions
from tests.support.clinic import Clinic, clinic, new_id
from tests.support.digests import TO, a_request, ask, becomes, mailing, open_desk, rows
from tests.support.doomed import doomed
from tests.support.eventually import eventually
from tests.support.programs import CEDARS
from tests.support.sending import force, read
from tests.support.smtp_server import Deed, SmtpServer
from tests.support.smtp_session import Step

pytest_plugins = ["tests.support.stores"]


async def test_a_request_becomes_one_mail_with_counts_however_often_it_is_heard(store_settings: StoreSettings) -> None:
    async with open_desk(store_settings) as (desk, smtp):
        request = a_request(desk)
        assert await ask(desk, request, request) == 1
        row = await becomes(desk, "sent")
        assert await ask(desk, request) == 1
        await ask(desk, other := a_request(desk, to="other@example.org"))
        await eventually(lambda: len(smtp.mails) == 2)
        assert [mail.recipients for mail in smtp.mails] == [(TO,), ("other@example.org",)]
        mail = smtp.mails[0].message
        assert mail["From"] == "Cedars-Sinai <updates@notices.example.com>"
        assert mail["Subject"] == "Match update"
        assert mail["Auto-Submitted"] == "auto-generated"
        assert mail["Message-ID"] == row.message_id == f"<{request.data.digest_id}@notices.example.com>"
        assert smtp.mails[0].sender == f"bounces+{request.data.digest_id}@notices.example.com"
        body = mail.get_body(("plain",))
        assert body is not None
        assert "NCT07085260: 2 new, 1 changed, 0 withdrawn" in body.get_content()
        assert "https://trials.example.com/coordinators" in body.get_content()
        assert (row.verdict, row.phase, row.code) == ("accepted", "dot", 250)
        assert request.data.digest_id != other.data.digest_id


async def test_the_address_is_sealed_while_it_is_needed_and_then_forgotten(store_settings: StoreSettings) -> None:
    async with SmtpServer() as smtp, clinic(store_settings, smtp.port) as desk:
        await ask(desk)
        [row] = await rows(desk)
        assert row.content
        assert TO not in repr(row)
        async with mailing(desk):
            assert (await becomes(desk, "sent")).content is None


async def test_a_refused_digest_has_failed_and_its_address_is_written_to_no_more(store_settings: StoreSettings) -> None:
    async with open_desk(store_settings) as (desk, smtp):
        smtp.refuse(TO, "550 5.1.1 no such user")
        await ask(desk)
        row = await becomes(desk, "failed")
        assert (row.code, row.enhanced, row.content) == (550, "5.1.1", None)
        await eventually(lambda: counted(desk, "failed"))
        assert [each.code for each in await read(desk, select(suppressions))] == ["5.1.1"]
        smtp.behave()
        await force(desk, digests.delete())
        await ask(desk)
        await becomes(desk, "planned", "suppressed")
        assert smtp.mails == []
        await force(desk, suppressions.delete())
        await force(desk, update(digests).values(not_before=None))
        await becomes(desk, "sent")


async def test_a_refusal_that_is_not_the_addresss_suppresses_nobody(store_settings: StoreSettings) -> None:
    async with open_desk(store_settings) as (desk, smtp):
        smtp.script("dot", "554 5.7.1 policy")
        await ask(desk)
        await becomes(desk, "failed")
        assert await read(desk, select(suppressions)) == []


async def test_a_no_for_now_is_tried_again_later_as_the_same_mail(store_settings: StoreSettings) -> None:
    async with open_desk(store_settings) as (desk, smtp):
        smtp.script("rcpt", "450 4.2.1 busy")
        await ask(desk)
        await eventually(lambda: tried(desk, "retry"))
        row = await becomes(desk, "planned")
        assert (row.attempts, row.lease_token, row.not_before is not None) == (1, None, True)
        await force(desk, update(digests).values(not_before=None))
        sent = await becomes(desk, "sent")
        assert (sent.attempts, sent.message_id, len(smtp.mails)) == (2, row.message_id, 1)


async def tried(desk: Clinic, verdict: str) -> bool:
    [row] = await rows(desk)
    return bool(row.verdict == verdict)


async def test_a_digest_of_which_nobody_knows_whether_it_arrived_is_not_sent_again(
    store_settings: StoreSettings,
) -> None:
    async with open_desk(store_settings) as (desk, smtp):
        smtp.script("dot", Deed.KEEP_AND_DROP)
        await ask(desk, request := a_request(desk))
        await becomes(desk, "uncertain")
        await eventually(lambda: counted(desk, "uncertain"))
        await ask(desk, request, a_request(desk, to="other@example.org"))
        await eventually(lambda: len(smtp.mails) == 2)
        assert [mail.recipients for mail in smtp.mails] == [(TO,), ("other@example.org",)]


async def test_a_digest_nobody_could_send_in_time_is_missed(store_settings: StoreSettings) -> None:
    async with open_desk(store_settings) as (desk, smtp):
        smtp.script("rcpt", "450 4.2.1 busy")
        await ask(desk)
        await eventually(lambda: tried(desk, "retry"))
        await becomes(desk, "planned")
        desk.clock.advance_to(desk.clock.now() + timedelta(hours=24))
        await force(desk, update(digests).values(not_before=None))
        desk.notifier.digest_sender.nudge()
        row = await becomes(desk, "missed")
        assert (row.content, row.ended_at, smtp.mails) == (None, desk.clock.now(), [])
        await eventually(lambda: counted(desk, "missed"))


def counted(desk: Clinic, state: str) -> bool:
    """Whether one digest in that state is in the metrics."""
    labels = f'kind="coordinator-digest",reason="",service="notifier",state="{state}"'
    return (
        f"upright_deliveries_total{{{labels}}} 1.0"
        in desk.notifier.digest_sender.metrics.registry.exposition().decode()
    )


async def test_what_expires_while_it_waits_for_a_connection_is_missed_without_an_alarm(
    store_settings: StoreSettings,
) -> None:
    async with open_desk(store_settings) as (desk, smtp):
        smtp.script("greeting", Deed.STALL)
        with structlog.testing.capture_logs() as logs:
            await ask(desk)
            await eventually(lambda: smtp.stalled)
            desk.clock.advance_to(desk.clock.now() + timedelta(hours=24))
            smtp.release()
            await becomes(desk, "missed")
        assert smtp.mails == []
        assert not [each for each in logs if each["log_level"] == "error"]


async def test_what_expires_while_it_is_claimed_does_not_enter_sending(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, 1) as desk:
        await ask(desk)
        async with desk.notifier.store.write() as connection:
            claim = await claim_digest(connection, new_id())
        assert claim is not None
        later = desk.clock.now() + timedelta(hours=24)
        async with desk.notifier.store.write() as connection:
            with pytest.raises(LostClaimError):
                await begin_sending_digest(connection, claim, later, {}, 60)


@pytest.mark.parametrize("armed_at", [None, datetime(2027, 2, 26, 17, 1, tzinfo=UTC)])
async def test_an_installation_that_was_not_responsible_yet_sends_nothing(
    store_settings: StoreSettings, armed_at: datetime | None
) -> None:
    async with clinic(store_settings, 1) as desk:
        await force(desk, update(arming).values(armed_at=armed_at) if armed_at else arming.delete())
        await ask(desk)
        async with desk.notifier.store.write() as connection:
            assert await claim_digest(connection, new_id()) is None


@pytest.mark.parametrize("changes", [{"program": "x8r3n1"}, {"tenant": "kaiser"}])
async def test_a_digest_of_a_program_that_cannot_send_waits(
    store_settings: StoreSettings, changes: dict[str, str]
) -> None:
    async with open_desk(store_settings) as (desk, smtp):
        await force(desk, arming.insert().values(tenant="kaiser", armed_at=datetime(2020, 1, 1, tzinfo=UTC)))
        await ask(desk, a_request(desk, **changes))  # type: ignore[arg-type]  # one of two names
        row = await becomes(desk, "planned", "program_incomplete")
        assert row.not_before is not None
        assert smtp.mails == []


@pytest.mark.parametrize("changes", [{"missing": ("phone",)}, {"trials_sender": None}])
async def test_a_digest_waits_until_its_program_is_complete(
    store_settings: StoreSettings, changes: dict[str, object]
) -> None:
    async with open_desk(store_settings) as (desk, smtp):
        async with desk.notifier.store.write() as connection:
            await apply(connection, {"": CEDARS.model_copy(update=changes)}, desk.clock.now(), demo=True)
        await ask(desk)
        await becomes(desk, "planned", "program_incomplete")
        async with desk.notifier.store.write() as connection:
            whole = CEDARS.model_copy(update={"version": "whole"})
            await apply(connection, {"": whole}, desk.clock.now(), demo=True)
        await force(desk, update(digests).values(not_before=None))
        row = await becomes(desk, "sent")
        assert (row.program_version, len(smtp.mails)) == ("whole", 1)


async def test_a_registry_number_that_is_a_clinical_word_stops_a_digest(store_settings: StoreSettings) -> None:
    async with open_desk(store_settings) as (desk, smtp):
        await ask(desk, a_request(desk, lines=(DigestLine(registry_id="CSF-0001", found=1),)))
        await becomes(desk, "planned", "phi_lint")
        assert smtp.mails == []


async def test_a_word_of_the_deny_list_stops_a_digest_and_is_not_told(
    store_settings: StoreSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    async with SmtpServer() as smtp, clinic(store_settings, smtp.port) as desk:
        maker = desk.notifier.digest_sender.maker
        object.__setattr__(maker, "console_url", "https://csf-leak.example.com/")
        with structlog.testing.capture_logs() as logs:
            async with mailing(desk):
                await ask(desk)
                await becomes(desk, "planned", "phi_lint")
        assert smtp.mails == []
        [said] = [each for each in logs if each["event"] == "phi_lint"]
        assert "url:deny-list" in said["places"]
        assert not [each for each in logs if "csf" in repr(each) or TO in repr(each)]


async def test_a_relay_that_is_away_costs_no_attempt(store_settings: StoreSettings) -> None:
    async with SmtpServer() as smtp, clinic(store_settings, smtp.port) as desk:
        await smtp.stop()
        await ask(desk)
        async with mailing(desk):
            await eventually(lambda: put_off(desk))
            assert (await becomes(desk, "planned")).attempts == 0
            await smtp.start()
            await force(desk, update(digests).values(not_before=None))
            await becomes(desk, "sent")
        assert len(smtp.mails) == 1


async def test_a_relay_that_wants_another_login_costs_no_attempt(store_settings: StoreSettings) -> None:
    async with open_desk(store_settings) as (desk, smtp):
        smtp.script("mail", "530 5.7.0 authentication required")
        await ask(desk)
        await eventually(lambda: tried(desk, "unsent"))
        assert (await becomes(desk, "planned")).attempts == 0


async def put_off(desk: Clinic) -> bool:
    [row] = await rows(desk)
    return row.not_before is not None and row.state == "planned"


async def test_a_request_that_does_not_open_stops_no_other(store_settings: StoreSettings) -> None:
    async with SmtpServer() as smtp, clinic(store_settings, smtp.port) as desk:
        await ask(desk)
        await force(desk, update(digests).values(content='{"kid": "k9", "iv": "AAAAAAAAAAAAAAAA", "ciphertext": "AA"}'))
        desk.clock.advance_to(desk.clock.now() + timedelta(minutes=1))
        await ask(desk)
        async with mailing(desk):
            await eventually(lambda: len(smtp.mails) == 1)
            await eventually(lambda: settled(desk))
        assert [row.state for row in await rows(desk)] == ["planned", "sent"]


async def settled(desk: Clinic) -> bool:
    return {row.state for row in await rows(desk)} == {"planned", "sent"}


@pytest.mark.parametrize("step", ["mail", "body", "dot"])
async def test_a_digest_in_a_killed_process_hands_is_uncertain_and_never_sent_again(
    store_settings: StoreSettings, step: Step
) -> None:
    """After ``sending`` and before any of the mail, inside DATA, and after the dot before its answer."""
    async with SmtpServer() as smtp, clinic(store_settings, smtp.port) as desk:
        await ask(desk)
        smtp.script(step, Deed.STALL)
        async with doomed(desk, store_settings, smtp.port):
            await eventually(lambda: smtp.stalled, within=30)
        smtp.release()
        await eventually(lambda: not smtp.open_connections)
        arrived = len(smtp.mails)
        row = await becomes(desk, "sending")
        assert row.message_id is not None
        assert row.lease_until > datetime.now(UTC) + timedelta(minutes=10)  # longer than the answer to the dot may take
        await force(desk, update(digests).values(lease_until=database_now(-1)))
        async with mailing(desk):
            await becomes(desk, "uncertain")
            await ask(desk, a_request(desk, to="other@example.org"))
            await eventually(lambda: len(smtp.mails) > arrived)
        assert [mail.recipients for mail in smtp.mails][arrived:] == [("other@example.org",)]


async def test_what_a_killed_process_had_only_claimed_is_sent_once_by_another(store_settings: StoreSettings) -> None:
    async with SmtpServer() as smtp, clinic(store_settings, smtp.port) as desk:
        await ask(desk)
        async with desk.notifier.store.write() as connection:
            assert await claim_digest(connection, new_id())
        async with desk.notifier.store.write() as connection:
            assert await claim_digest(connection, new_id()) is None
        await force(desk, update(digests).values(lease_until=database_now(-1)))
        async with mailing(desk):
            await becomes(desk, "sent")
        assert len(smtp.mails) == 1


async def test_who_lost_a_claim_can_change_nothing_any_more(store_settings: StoreSettings) -> None:
    async with clinic(store_settings, 1) as desk:
        await ask(desk)
        now, yes = desk.clock.now(), Receipt(Verdict.ACCEPTED, Phase.DOT, 250)
        async with desk.notifier.store.write() as connection:
            lost = await claim_digest(connection, new_id())
            await connection.execute(update(digests).values(lease_until=database_now(-1)))
            await end_overdue(connection, now)
            mine = await claim_digest(connection, new_id())
            assert lost is not None
            assert mine is not None
            await put_off_digest(connection, lost, 0)
            with pytest.raises(LostClaimError):
                await begin_sending_digest(connection, lost, now, {}, 60)
            await begin_sending_digest(connection, mine, now, {}, 60)
            assert not await record_digest(connection, lost, DeliveryState.SENT, yes, now, 0)
        await becomes(desk, "sending")


async def test_a_late_yes_makes_an_uncertain_digest_sent_and_a_late_no_changes_nothing(
    store_settings: StoreSettings,
) -> None:
    async with clinic(store_settings, 1) as desk:
        await ask(desk)
        now = desk.clock.now()
        async with desk.notifier.store.write() as connection:
            claim = await claim_digest(connection, new_id())
            assert claim is not None
            await begin_sending_digest(connection, claim, now, {}, -1)
            assert (await end_overdue(connection, now)).uncertain == 1
            no, yes = Receipt(Verdict.REFUSED, Phase.DOT, 554), Receipt(Verdict.ACCEPTED, Phase.DOT, 250)
            assert not await record_digest(connection, claim, DeliveryState.FAILED, no, now, 0)
            assert await record_digest(connection, claim, DeliveryState.SENT, yes, now, 0)
        await becomes(desk, "sent")


async def test_a_mail_of_a_digest_belongs_to_the_trace_of_its_request(store_settings: StoreSettings) -> None:
    async with open_desk(store_settings) as (desk, _):
        spans = InMemorySpanExporter()
        desk.notifier.traces.add_span_processor(SimpleSpanProcessor(spans))
        with span(desk.notifier.traces, "asked") as asked:
            await ask(desk)
        await becomes(desk, "sent")
        await eventually(lambda: [each for each in spans.get_finished_spans() if each.name == "send digest"])
        [sent] = [each for each in spans.get_finished_spans() if each.name == "send digest"]
        assert sent.context is not None
        assert sent.context.trace_id == asked.get_span_context().trace_id
        assert TO not in sent.to_json()
