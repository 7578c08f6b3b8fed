"""The lint of finished messages."""

import base64
from dataclasses import replace
from email.message import EmailMessage

import pytest

from services.notifier.lint import Hit, lint
from services.notifier.render import render
from tests.support.mails import PROGRAM, VISIT, a_mail, every_shape

DENIED = ("CSF", "CSF leak", "blood patch", "cerebrospinal fluid", "Dr. Demo", "líquido")


def a_message(text: str = "Hello", html: str = "<p>Hello</p>", calendar: str = "x", **headers: str) -> bytes:
    """A message which somebody else's code wrote."""
    written = EmailMessage()
    written["Subject"] = "Appointment reminder"
    for name, value in headers.items():
        del written[name]
        written[name] = value
    written.set_content(text)
    written.add_alternative(html, subtype="html")
    written.add_attachment(calendar, subtype="calendar")
    return written.as_bytes()


def hits(content: bytes, tier: int = 0) -> tuple[Hit, ...]:
    return lint(content, tier, DENIED)


@pytest.mark.parametrize("name", every_shape())
def test_our_own_mails_pass(name: str) -> None:
    mail = every_shape()[name]
    assert lint(render(mail).content, mail.tier, mail.program.deny_list) == ()


def test_a_clean_message_has_no_hits() -> None:
    assert hits(a_message()) == ()


@pytest.mark.parametrize(
    "words",
    [
        "Your CSF result", "csf", "Csf-Leak", "CSF\u00a0leak", "CSF\nleak", "csf leaks", "ＣＳＦ", "CS\u200bF",
        "a blood-patch.", "BLOOD  PATCH", "bloodpatch", "cerebro\u00adspinal fluid", "cerebrospinal\u2010fluid",
        "dr demo", "Dr. Demo's", "li\u0301quido",
    ],
)  # fmt: skip
def test_a_denied_word_is_found_however_it_is_written(words: str) -> None:
    assert hits(a_message(text=f"Hello {words} there")) == (Hit("body:text", "deny-list"),)
    assert hits(a_message(html=f"<p>Hello {words} there</p>")) == (Hit("body:html", "deny-list"),)


@pytest.mark.parametrize("words", ["June", "csfx", "acsf", "blood", "patch of blood", "Drs demonstrate"])
def test_a_word_that_only_contains_a_denied_one_passes(words: str) -> None:
    assert hits(a_message(text=words)) == ()


def test_a_denied_word_is_found_between_tags_in_attributes_and_in_entities() -> None:
    for html in (
        "<b>blood</b><br>patch",
        '<p title="blood patch">x</p>',
        "&#67;SF",
        "<!-- CSF -->",
        "blood&nbsp;patch",
    ):
        assert Hit("body:html", "deny-list") in hits(a_message(html=html))


def test_the_body_may_say_more_at_tier_1_but_nothing_else_may() -> None:
    assert hits(a_message(text="CSF leak", html="<p>CSF leak</p>"), tier=1) == ()
    assert hits(a_message(Subject="Your CSF leak"), tier=1) == (Hit("header:subject", "deny-list"),)
    assert hits(a_message(calendar="SUMMARY:CSF leak"), tier=1) == (Hit("calendar", "deny-list"),)
    assert hits(a_message(html='<a href="https://example.com/c%73f/1">x</a>'), tier=1) == (Hit("url", "deny-list"),)
    assert hits(a_message(text="see https://blood-patch.example.com/ now"), tier=1) == (Hit("url", "deny-list"),)


@pytest.mark.parametrize("name", ["From", "Reply-To", "X-Anything", "Message-ID", "List-Id"])
def test_every_header_is_looked_at(name: str) -> None:
    value = "<csf@example.com>" if name != "X-Anything" else "csf"
    assert Hit(f"header:{name.lower()}", "deny-list") in hits(a_message(**{name: value}), tier=1)


def test_an_encoded_and_folded_header_is_looked_at_as_it_reads() -> None:
    word = base64.b64encode(b"your blood").decode()
    content = f"Subject: =?utf-8?b?{word}?= p=\r\n =?utf-8?q?_and_C=53F?=\r\n\r\nHello\r\n".encode()
    assert hits(content) == (Hit("header:subject", "deny-list"),)
    assert hits(b"Subject: a blood\r\n patch\r\n\r\nHello\r\n") == (Hit("header:subject", "deny-list"),)


def test_a_folded_calendar_line_is_looked_at_as_it_reads() -> None:
    assert hits(a_message(calendar="SUMMARY:a CS\r\n F visit")) == (Hit("calendar", "deny-list"),)


def test_the_address_a_patient_chose_is_not_looked_at() -> None:
    assert hits(a_message(To="csf.leak@example.org")) == ()


@pytest.mark.parametrize(
    "words", ["MRN 1234567", "mrn: A-123456", "Medical record number: 00123", "chart no. 4411", "record #123"]
)
@pytest.mark.parametrize("tier", [0, 1])
def test_a_record_number_may_stand_nowhere(words: str, tier: int) -> None:
    if words != "record #123":
        assert hits(a_message(text=words), tier) == (Hit("body:text", "record-number"),)
    assert hits(a_message(calendar=words), tier) == (Hit("calendar", "record-number"),)
    assert hits(a_message(Subject=words), tier) == (Hit("header:subject", "record-number"),)


@pytest.mark.parametrize(
    "words",
    ["DOB: 4/7/1980", "D.O.B. 1980-04-07", "Date of birth: April 7, 1980", "birthdate 7.4.80", "born on 7 April"],
)
@pytest.mark.parametrize("tier", [0, 1])
def test_a_birth_date_may_stand_nowhere(words: str, tier: int) -> None:
    assert hits(a_message(html=f"<td>{words}</td>"), tier) == (Hit("body:html", "birth-date"),)


@pytest.mark.parametrize(
    "words",
    [
        "We will ask for your birth date first. This keeps your details private.",
        "Medical record release authorization",
        "Keep a record of your symptoms. Call 1-800-233-2771.",
        "Tuesday, March 16, 2027, 9:30 AM",
    ],
)
def test_what_mails_really_say_passes(words: str) -> None:
    assert hits(a_message(text=words, html=words)) == ()


def test_a_hit_never_holds_the_words() -> None:
    assert "csf" not in repr(hits(a_message(Subject="CSF", text="CSF"))).lower()


def test_a_program_without_a_deny_list_is_still_looked_at_for_numbers() -> None:
    for deny_list in ((), ("",), ("-",)):
        assert lint(a_message(text="CSF, MRN 123456"), 0, deny_list) == (Hit("body:text", "record-number"),)


def test_a_mail_whose_program_let_a_word_slip_is_caught() -> None:
    slipped = replace(PROGRAM, public_name="Demo CSF Leak Program")
    places = {hit.place for hit in lint(render(a_mail(program=slipped)).content, 0, PROGRAM.deny_list)}
    assert places == {"header:from", "body:text", "body:html", "calendar"}
    clinician = a_mail(tier=1, visit=replace(VISIT, clinician="Demo Clinician"))
    assert lint(render(clinician).content, 0, PROGRAM.deny_list) != ()
