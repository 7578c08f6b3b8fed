"""The mailbox: real SMTP in, pages and JSON out, and nothing a mail contains can act."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import httpx2
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from standalone.mailbox import Mailbox, Message, router, view
from tests.support.eventually import eventually

SCRIPT = "<script>alert(1)</script>"
CALENDAR = "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n"


@pytest.fixture
async def mailbox(tmp_path: Path) -> AsyncIterator[Mailbox]:
    async with Mailbox(tmp_path / "mail") as running:
        yield running


@pytest.fixture
async def web(mailbox: Mailbox) -> AsyncIterator[httpx2.AsyncClient]:
    async with browse(mailbox) as client:
        yield client


def browse(mailbox: Mailbox) -> httpx2.AsyncClient:
    app = FastAPI()
    app.include_router(router(mailbox), prefix="/mailbox")
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app), base_url="http://127.0.0.1/mailbox/", follow_redirects=True
    )


def written(subject: str = "Appointment reminder", text: str = "Hello,\n", **headers: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "Cedars-Sinai <reminders@clinic.example.org>"
    mail["To"] = "ana@example.org"
    mail["Subject"] = subject
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(text)
    return mail


async def send(mailbox: Mailbox, mail: EmailMessage | bytes, to: str = "ana@example.org") -> None:
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=mailbox.port, timeout=5) as client:
        raw = mail if isinstance(mail, bytes) else mail.as_bytes()
        options = ["SMTPUTF8"] if not to.isascii() else []
        await client.sendmail("reminders@clinic.example.org", [to], raw, mail_options=options)


async def test_a_mail_sent_by_smtp_is_listed_and_shown_with_both_its_times(
    mailbox: Mailbox, web: httpx2.AsyncClient
) -> None:
    before = datetime.now(UTC)
    mail = written(Date="Tue, 09 Mar 2027 10:00:00 -0800", X_Upright_Simulated="true")
    mail.add_alternative("<p>Hello <b>Ana</b></p>", subtype="html")
    mail.add_attachment(CALENDAR.encode(), maintype="text", subtype="calendar", filename="visit.ics")
    await send(mailbox, mail)
    (listed,) = (await web.get("api/messages")).json()
    whole = (await web.get(f"api/messages/{listed['id']}")).json()
    assert before <= datetime.fromisoformat(whole["accepted_at"]) <= datetime.now(UTC)
    assert datetime.fromisoformat(whole["date"]) == datetime(2027, 3, 9, 18, tzinfo=UTC)
    assert (whole["simulated"], whole["subject"]) == (True, "Appointment reminder")
    assert (whole["sender"], whole["recipients"]) == ("reminders@clinic.example.org", ["ana@example.org"])
    assert whole["text"].strip() == "Hello,"
    assert whole["html"].strip() == "<p>Hello <b>Ana</b></p>"
    assert whole["calendar"] == CALENDAR
    assert "X-Upright-Simulated: true" in whole["source"]
    page = (await web.get(f"messages/{listed['id']}")).text
    assert "Tue 9 Mar 2027, 10:00 UTC−8" in page
    assert "Appointment reminder" in (await web.get("./")).text


async def test_each_tab_shows_its_part_and_the_files_can_be_downloaded(
    mailbox: Mailbox, web: httpx2.AsyncClient
) -> None:
    mail = written(text="plain words\n")
    mail.add_alternative("<p>html words</p>", subtype="html")
    mail.add_attachment(CALENDAR.encode(), maintype="text", subtype="calendar", filename="visit.ics")
    await send(mailbox, mail)
    own = f"messages/{mailbox.messages[0].id}"
    assert "plain words" in (await web.get(own, params={"tab": "text"})).text
    assert "multipart/mixed" in (await web.get(own, params={"tab": "source"})).text
    assert "BEGIN:VCALENDAR" in (await web.get(own, params={"tab": "calendar"})).text
    assert "<p>html words</p>" in (await web.get(f"{own}/html")).text
    calendar = await web.get(f"{own}/calendar.ics")
    assert (calendar.text, calendar.headers["content-type"]) == (CALENDAR, "text/calendar; charset=utf-8")
    assert "attachment" in calendar.headers["content-disposition"]
    assert (await web.get(f"{own}/mail.eml")).content == mailbox.messages[0].source


async def test_the_bytes_kept_are_the_bytes_sent(mailbox: Mailbox, web: httpx2.AsyncClient) -> None:
    raw = b"Subject: =?utf-8?q?caf=C3=A9?=\r\n\r\n.leading dot\r\n\xff not UTF-8\r\nReceived: no header\r\n"
    await send(mailbox, raw)
    assert mailbox.messages[0].source == raw
    assert mailbox.messages[0].subject == "café"
    assert (await web.get(f"api/messages/{mailbox.messages[0].id}")).json()["source"].count("�") == 1


async def test_markup_in_headers_and_text_is_shown_and_never_interpreted(
    mailbox: Mailbox, web: httpx2.AsyncClient
) -> None:
    mail = written(subject=SCRIPT, text=SCRIPT)
    mail.replace_header("From", f'"{SCRIPT}" <a@example.org>')
    mail.add_attachment(f"{SCRIPT}".encode(), maintype="text", subtype="calendar")
    await send(mailbox, mail)
    own = f"messages/{mailbox.messages[0].id}"
    pages = [await web.get("./")] + [await web.get(own, params={"tab": tab}) for tab in ("text", "source", "calendar")]
    for page in pages:
        assert "<script" not in page.text
        assert "&lt;script&gt;" in page.text
        assert "script-src 'none'" in page.headers["content-security-policy"]


async def test_the_html_of_a_mail_is_sandboxed_and_may_load_nothing(mailbox: Mailbox, web: httpx2.AsyncClient) -> None:
    mail = written()
    mail.add_alternative(f'{SCRIPT}<img src="https://tracker.example/x.png">', subtype="html")
    await send(mailbox, mail)
    own = f"messages/{mailbox.messages[0].id}"
    headers = (await web.get(f"{own}/html")).headers
    rules = [rule.strip() for rule in headers["content-security-policy"].split(";")]
    assert {"default-src 'none'", "img-src data:", "form-action 'none'"} <= set(rules)
    assert "sandbox allow-popups allow-popups-to-escape-sandbox" in rules
    assert not any(rule.startswith("script-src") for rule in rules)
    assert headers["x-content-type-options"] == "nosniff"
    assert "<script" not in (await web.get(own)).text


async def test_an_address_and_headers_in_utf8_arrive_as_they_are(mailbox: Mailbox, web: httpx2.AsyncClient) -> None:
    raw = "To: Zoë <zoë@exämple.org>\r\nSubject: Grüße\r\n\r\nHallo\r\n".encode()
    await send(mailbox, raw, to="zoë@exämple.org")
    (listed,) = (await web.get("api/messages")).json()
    assert (listed["recipients"], listed["to_header"], listed["subject"]) == (
        ["zoë@exämple.org"],
        "Zoë <zoë@exämple.org>",
        "Grüße",
    )


async def test_a_refused_address_gets_exactly_the_reply_it_was_given_and_others_get_their_mail(
    mailbox: Mailbox,
) -> None:
    mailbox.refuse("Lars@example.org", "550 5.1.1 No such mailbox")
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refused:
        await send(mailbox, written(), to="lars@Example.org")
    reply = refused.value.recipients[0]
    assert (reply.code, reply.message) == (550, "5.1.1 No such mailbox")
    assert mailbox.messages == []
    await send(mailbox, written())
    assert len(mailbox.messages) == 1


async def test_a_whole_transaction_may_be_pipelined(mailbox: Mailbox) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", mailbox.port)
    writer.write(b"EHLO me\r\n")
    assert await reader.readline() == b"220 mailbox.localhost mailbox\r\n"
    offers = b""
    while not offers.rpartition(b"\r\n250 ")[1]:
        offers += await reader.readline()
    assert b"250-PIPELINING\r\n" in offers
    assert b"250-SMTPUTF8\r\n" in offers
    group = b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"  # DATA ends a group (RFC 2920, 3.1)
    writer.write(group)
    assert [(await reader.readline())[:3] for _ in range(3)] == [b"250", b"250", b"354"]
    writer.write(b"Subject: first\r\n\r\n.\r\n" + group)
    assert [(await reader.readline())[:3] for _ in range(4)] == [b"250", b"250", b"250", b"354"]
    writer.write(b"Subject: second\r\n\r\n.\r\nQUIT\r\n")
    assert [(await reader.readline())[:3] for _ in range(2)] == [b"250", b"221"]
    writer.close()
    await writer.wait_closed()
    assert [message.subject for message in mailbox.messages] == ["first", "second"]


async def test_while_stopped_it_refuses_connections_cuts_open_ones_and_comes_back_on_its_port(
    mailbox: Mailbox, web: httpx2.AsyncClient
) -> None:
    port = mailbox.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readline()
    await mailbox.stop()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        async with asyncio.timeout(5):
            await reader.readexactly(1)
    writer.close()
    with pytest.raises(OSError, match="Connect"):
        await asyncio.open_connection("127.0.0.1", port)
    assert "SMTP is stopped" in (await web.get("./")).text
    await mailbox.start()
    assert mailbox.port == port
    await send(mailbox, written())
    assert len(mailbox.messages) == 1


async def test_a_restart_shows_the_mails_of_before_with_their_envelope_and_time(tmp_path: Path) -> None:
    raw = b"Delivered-To: earlier@example.org\r\nSubject: kept\r\n\r\nbody \xff\r\n"
    async with Mailbox(tmp_path) as first:
        await send(first, raw)
        await send(first, written(subject="second"), to="zoë@example.org")
    (tmp_path / "stranger.eml").write_bytes(b"not ours")
    assert Mailbox(tmp_path).messages == first.messages
    assert first.messages[0].source == raw


async def test_deleting_all_empties_pages_memory_and_folder(tmp_path: Path) -> None:
    async with Mailbox(tmp_path) as mailbox, browse(mailbox) as web:
        await send(mailbox, written())
        refused = await web.post("delete-all", headers={"Sec-Fetch-Site": "cross-site"})
        assert (refused.status_code, len(mailbox.messages)) == (403, 1)
        page = await web.post("delete-all", headers={"Sec-Fetch-Site": "same-origin"})
        assert (page.status_code, page.url.path) == (200, "/mailbox/")
        assert "No mail yet" in page.text
        assert (mailbox.messages, Mailbox(tmp_path).messages) == ([], [])
        await send(mailbox, written())
        assert (await web.delete("api/messages")).status_code == 204
        assert mailbox.messages == []


async def test_the_list_is_newest_first_by_acceptance_or_by_the_date_in_the_mail(
    mailbox: Mailbox, web: httpx2.AsyncClient
) -> None:
    await send(mailbox, written("late", Date="Tue, 16 Mar 2027 10:00:00 -0700"))
    await send(mailbox, written("early", Date="Tue, 02 Mar 2027 10:00:00 -0800"))
    await send(mailbox, written("undated", Date="when pigs fly"))
    by_acceptance = (await web.get("api/messages")).json()
    by_date = (await web.get("api/messages", params={"order": "date"})).json()
    assert [mail["subject"] for mail in by_acceptance] == ["undated", "early", "late"]
    assert [mail["subject"] for mail in by_date] == ["late", "early", "undated"]


async def test_a_watcher_hears_of_each_mail_and_its_failure_does_not_reach_the_client(mailbox: Mailbox) -> None:
    heard: list[Message] = []
    failures: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(str(context["exception"])))

    def fail(_: Message) -> None:
        raise RuntimeError("broken watcher")

    mailbox.on_message(fail)
    mailbox.on_message(heard.append)
    await send(mailbox, written())
    await eventually(lambda: heard == mailbox.messages)
    assert failures == ["broken watcher"]


async def test_a_mail_that_cannot_be_written_is_put_off_and_not_shown(tmp_path: Path) -> None:
    folder = tmp_path / "mail"
    async with Mailbox(folder) as mailbox:
        folder.rmdir()
        with pytest.raises(aiosmtplib.SMTPDataError) as put_off:
            await send(mailbox, written())
        assert put_off.value.code == 451
        assert mailbox.messages == []


async def test_an_unknown_mail_or_part_is_a_404(mailbox: Mailbox, web: httpx2.AsyncClient) -> None:
    await send(mailbox, written())
    own = f"messages/{mailbox.messages[0].id}"
    for path in ("messages/none", "api/messages/none", "messages/none/html", f"{own}/html", f"{own}/calendar.ics"):
        assert (await web.get(path)).status_code == 404
    assert (await web.get(own, params={"tab": "html"})).status_code == 200


HEADERS = st.sampled_from(
    [b"Subject", b"From", b"To", b"Date", b"Content-Type", b"Content-Transfer-Encoding", b"X-Upright-Simulated"]
)
VALUES = st.binary(max_size=60) | st.sampled_from(
    [
        b"text/html; charset=nonsense",
        b"text/plain; charset=\xff",
        b"multipart/mixed",
        b'multipart/mixed; boundary="b"',
        b"message/rfc822",
        b"base64",
        b"=?utf-8?b?broken",
        b"Tue, 09 Mar 2027 25:61:00 -9999",
        b'"<@[',
        b"text/html; charset*=utf-8''%FF",
    ]
)


@given(st.lists(st.tuples(HEADERS, VALUES), max_size=6), st.binary(max_size=200))
def test_no_mail_is_too_malformed_to_be_shown(headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    source = b"".join(name + b": " + value + b"\r\n" for name, value in headers) + b"\r\n" + body
    whole = view.whole(Message("id", datetime(2027, 3, 9, tzinfo=UTC), "a\udcff@example.org", ("b",), source))
    assert whole.model_dump_json()
    assert view.when(whole.date)


@pytest.mark.parametrize("value", [b"::@;)", b"--\xc3\xa9@[>\xc3\xa9)?b?,"])
def test_a_header_which_the_standard_parser_trips_over_is_shown_as_it_is(value: bytes) -> None:
    source = b"To: " + value + b"\r\n\r\nbody"
    shown = view.whole(Message("id", datetime(2027, 3, 9, tzinfo=UTC), "a", ("b",), source))
    assert shown.to_header == value.decode("utf-8", "replace")
    assert shown.model_dump_json()


@pytest.mark.parametrize(
    ("offset", "shown"),
    [(0, "UTC"), (-480, "UTC−8"), (-210, "UTC−3:30"), (330, "UTC+5:30")],
)
def test_a_time_is_shown_with_its_own_offset(offset: int, shown: str) -> None:
    instant = datetime(2027, 3, 9, 10, 5, tzinfo=timezone(timedelta(minutes=offset)))
    assert view.when(instant) == f"Tue 9 Mar 2027, 10:05 {shown}"
