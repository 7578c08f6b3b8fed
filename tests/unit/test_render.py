"""What each mail says, word for word, and to whom it says how much."""

import os
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from icalendar import Calendar

from schemas.appointment import Modality
from schemas.outcomes import Kind
from services.notifier.digest_mail import DIGEST
from services.notifier.lint import lint
from services.notifier.mail import ProgramMail, Told, Visit
from services.notifier.render import render
from tests.support.mails import INVITATION, KINDS, MOVED, PROGRAM, TOLD, VIDEO, VISIT, a_mail, every_shape
from tests.support.reading import reading_grade

GOLDEN = Path(__file__).parent / "golden"
SHAPES = every_shape()


@pytest.mark.parametrize("name", SHAPES)
def test_each_mail_is_what_was_read_and_approved(name: str) -> None:
    """``UPDATE_GOLDEN=1 pytest tests/unit/test_render.py`` writes the files anew: read the difference."""
    mail = render(SHAPES[name])
    path = GOLDEN / f"{name}.txt"
    shown = f"Subject: {mail.subject}\nPreheader: {mail.preheader}\n\n{mail.text}"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(shown, "utf-8")
    assert shown == path.read_text("utf-8")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tier", [0, 1])
def test_the_whole_message_is_what_was_approved(kind: Kind, tier: int) -> None:
    """Bytes for bytes, HTML and calendar included; written anew as above."""
    path = GOLDEN / f"{kind}-{tier}.eml"
    content = render(SHAPES[f"{kind}-{tier}"]).content
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_bytes(content)
    assert content == path.read_bytes()


def test_no_golden_file_is_left_over() -> None:
    wanted = {f"{name}.txt" for name in SHAPES} | {f"{kind}-{tier}.eml" for kind in KINDS for tier in (0, 1)}
    assert {path.name for path in GOLDEN.glob("[!.]*")} == wanted | {f"{DIGEST}.txt", f"{DIGEST}.eml"}


@pytest.mark.parametrize("name", SHAPES)
def test_html_says_what_the_text_says(name: str) -> None:
    mail = render(SHAPES[name])
    visible = re.sub(r"<!--.*?-->|<style.*?</style>|<title>.*?</title>", "", mail.html, flags=re.DOTALL)
    visible = re.sub(r'<div style="display:none.*?</div>', "", visible)
    html = re.sub(r"<[^>]+>", " ", visible)
    text = re.sub(r"[•-]{4}|•|: https://\S+", "", mail.text)  # HTML has the link in its button
    # The name of the sender heads the page: one more word group than the text has.
    name_of_sender = SHAPES[name].program.public_name
    assert _squeezed(html) == _squeezed(f"{name_of_sender} {text}")


def _squeezed(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("name", SHAPES)
def test_an_eighth_grader_reads_it(name: str) -> None:
    words = render(SHAPES[name]).text.partition("----")[0]
    # The hospital's own name counts as one short word: its patients know it.
    assert reading_grade(words.replace(SHAPES[name].program.public_name, "Kay")) <= 8


def test_the_reading_grade_tells_hard_text_from_easy() -> None:
    assert reading_grade("The cat sat. The dog ran. We like it.") < 2
    assert (
        reading_grade(
            "Notwithstanding preliminary investigational recommendations, participation necessitates "
            "comprehensive documentation of administrative authorisation procedures."
        )
        > 20
    )


@pytest.mark.parametrize("name", [name for name, mail in SHAPES.items() if mail.invitation is None])
def test_no_mail_refers_to_a_page_that_does_not_exist(name: str) -> None:
    mail = render(SHAPES[name])
    assert "<a" not in mail.html
    assert not re.search(r"birth date|click|button|link|http|unsubscribe", mail.text, re.IGNORECASE)
    assert b"List-Unsubscribe" not in mail.content


@pytest.mark.parametrize("tier", [0, 1])
def test_an_invitation_is_subscription_mail_that_can_be_ended_by_a_post(tier: int) -> None:
    rendered = render(a_mail(Kind.TRIAL_INVITATION, tier))
    parsed = message_from_bytes(rendered.content, policy=default)
    assert parsed["List-Id"] == "<updates.k7q2m9.notices.example.com>"
    assert parsed["List-Unsubscribe"].split() == [
        f"<{INVITATION.stop_url}>,", f"<mailto:{INVITATION.stop_address}>",
    ]  # fmt: skip
    assert parsed["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert re.findall(r'href="([^"]*)"', rendered.html) == [INVITATION.stop_url]
    assert f"Stop research messages: {INVITATION.stop_url}\n" in rendered.text


def test_approved_words_stand_in_an_invitation_word_for_word_and_only_at_tier_1() -> None:
    low, high = render(a_mail(Kind.TRIAL_INVITATION, 0)), render(a_mail(Kind.TRIAL_INVITATION, 1))
    for line in INVITATION.text.splitlines():
        assert line in high.text
        assert line in high.html
        assert line not in low.text + low.html
    assert lint(high.content, 1, PROGRAM.deny_list) == ()
    assert {hit.place for hit in lint(high.content, 0, PROGRAM.deny_list)} == {"body:html", "body:text"}


@pytest.mark.parametrize("evil", ["https://x/>, <https://evil", "https://x/\r\nBcc: b@example.org", "https://x/ y"])
def test_a_link_cannot_add_a_header_or_another_link(evil: str) -> None:
    with pytest.raises(ValueError, match=r"^header List-Unsubscribe "):
        render(a_mail(Kind.TRIAL_INVITATION, invitation=replace(INVITATION, stop_url=evil)))


@pytest.mark.parametrize("name", SHAPES)
def test_every_page_has_a_language_a_title_and_loads_nothing(name: str) -> None:
    html = render(SHAPES[name]).html
    assert '<html lang="en"' in html
    assert f"<title>{render(SHAPES[name]).subject}</title>" in html
    assert not re.search(r"<img|src=|url\(|@import|<link|<script", html)


@pytest.mark.parametrize("name", [name for name in SHAPES if name.endswith("-0")])
def test_tier_0_says_nothing_that_identifies(name: str) -> None:
    mail = SHAPES[name]
    secrets = ("Ana", "Demo Clinician", "Demo Clinic", "Example Way", "medications", "spouse", "authorization")
    rendered = render(mail)
    assert not [secret for secret in secrets if secret in rendered.text + rendered.html]
    assert lint(rendered.content, 0, (*mail.program.deny_list, *secrets)) == ()


@pytest.mark.parametrize("kind", KINDS)
def test_subject_preheader_headers_and_calendar_are_the_same_at_both_tiers(kind: Kind) -> None:
    low, high = render(a_mail(kind, 0)), render(a_mail(kind, 1))
    assert (low.subject, low.preheader, low.calendar) == (high.subject, high.preheader, high.calendar)
    assert _head(low.content) == _head(high.content)


def _head(content: bytes) -> bytes:
    return content.partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_subject_never_holds_a_date(kind: Kind) -> None:
    assert not re.search(r"\d|March|Tuesday|Thursday", render(a_mail(kind, 1)).subject)


def test_the_message_carries_its_headers() -> None:
    mail = a_mail(program=replace(PROGRAM, reply_to="desk@clinic.example.com"))
    parsed = message_from_bytes(render(mail).content, policy=default)
    assert {name: str(value) for name, value in parsed.items() if name != "Content-Type"} == {
        "From": "Cedars-Sinai <no-reply@notices.example.com>",
        "To": "ana@example.org",
        "Subject": "Appointment reminder",
        "Date": "Tue, 02 Mar 2027 18:00:00 +0000",
        "Message-ID": "<5f8e1d60-0a5c-4f53-8c39-9a7f0f6d2c11@notices.example.com>",
        "Auto-Submitted": "auto-generated",
        "Content-Language": "en",
        "Reply-To": "desk@clinic.example.com",
        "X-Upright-Simulated": "true",
        "MIME-Version": "1.0",
    }


def test_a_real_mail_does_not_say_it_is_simulated() -> None:
    assert b"X-Upright-Simulated" not in render(a_mail(simulated=False)).content


def test_only_mails_about_the_visit_carry_a_calendar_file() -> None:
    without = [kind for kind in KINDS if render(a_mail(kind)).calendar is None]
    assert without == [Kind.PAPERWORK, Kind.TRIAL_INVITATION]


def test_the_same_mail_gives_the_same_bytes() -> None:
    assert render(a_mail(tier=1)).content == render(a_mail(tier=1)).content


def test_a_mail_carries_the_id_of_the_patient_it_was_made_for() -> None:
    assert render(a_mail(patient_id="one")).patient_id == "one"


def test_an_unknown_language_falls_back_to_english() -> None:
    spanish = render(a_mail(locale="es-US"))
    assert spanish.text == render(a_mail()).text
    assert b"\r\nContent-Language: en\r\n" in spanish.content
    assert render(a_mail(locale="../_base")).text == render(a_mail()).text


def test_a_day_of_the_change_to_summer_time_reads_right() -> None:
    before = replace(VISIT, start=datetime(2027, 3, 14, 9, 30, tzinfo=UTC), end=None)
    after = replace(VISIT, start=datetime(2027, 3, 14, 10, 30, tzinfo=UTC), end=None)
    assert "Sunday, March 14, 2027, 1:30 AM Pacific Standard Time" in render(a_mail(visit=before)).text
    assert "Sunday, March 14, 2027, 3:30 AM Pacific Daylight Time" in render(a_mail(visit=after)).text


def test_a_zone_with_the_same_clock_is_not_mentioned() -> None:
    assert "That is" not in render(a_mail(zone="America/Vancouver")).text


def test_nobody_on_a_video_visit_is_told_to_come() -> None:
    for kind in (each for each in KINDS if each is not Kind.TRIAL_INVITATION):
        told = Told(VIDEO.start, Modality.VIDEO) if kind in (Kind.CHANGE, Kind.CANCELLATION) else None
        visit = replace(VIDEO, start=MOVED.start) if kind is Kind.CHANGE else VIDEO
        mail = render(a_mail(kind, 1, visit=visit, told=told, preparation=None, companion=None))
        assert not re.search(r"\bcome\b|Where:", f"{mail.text} {mail.preheader}")


def test_a_place_that_changed_alone_does_not_void_the_time() -> None:
    mail = render(a_mail(Kind.CHANGE, visit=VISIT, told=replace(TOLD, place_changed=True)))
    assert "no longer booked" not in mail.text
    assert "The time is the same." in mail.text


def test_a_name_can_write_neither_markup_nor_lines_nor_turn_the_text_around() -> None:
    mail = render(a_mail(tier=1, given_name="<b>Eve</b>\r\n\r\nCall\u202e 555\x07"))
    assert "Hello <b>Eve</b> Call 555," in mail.text
    assert "Hello &lt;b&gt;Eve&lt;/b&gt; Call 555," in mail.html


@pytest.mark.parametrize("field", ["recipient", "message_id"])
@pytest.mark.parametrize("evil", ["a@example.org\r\nBcc: b@example.org", "a@example.org\n", "a\x00@example.org"])
def test_a_header_cannot_be_injected_and_the_error_quotes_nothing(field: str, evil: str) -> None:
    with pytest.raises(ValueError, match=r"^header (To|Message-ID) ") as raised:
        render(replace(a_mail(), **{field: evil}))  # type: ignore[arg-type]  # both are text
    assert "example" not in str(raised.value)


def test_a_mail_that_makes_no_sense_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="needs a visit"):
        a_mail(visit=None)
    with pytest.raises(ValueError, match="0 or 1"):
        a_mail(tier=2)
    with pytest.raises(ValueError, match="needs a form"):
        a_mail(Kind.PAPERWORK, forms=(), forms_count=0)
    with pytest.raises(ValueError, match="has a name"):
        a_mail(Kind.PAPERWORK, tier=1, forms=())
    with pytest.raises(ValueError, match="no template"):
        a_mail(Kind.UNKNOWN)
    with pytest.raises(ValueError, match="a way to stop it"):
        a_mail(Kind.TRIAL_INVITATION, invitation=None)
    with pytest.raises(ValueError, match="a way to stop it"):
        a_mail(invitation=INVITATION)
    with pytest.raises(ValueError, match="on site or by video"):
        replace(VISIT, modality=Modality.UNKNOWN)
    with pytest.raises(ValueError, match="a phone or the instruction"):
        ProgramMail(public_name="Demo", sender="a@example.com", host="example.com")


def test_a_mail_does_not_show_itself_in_a_log() -> None:
    mail = a_mail(tier=1)
    for thing in (mail, mail.visit, mail.program, TOLD, render(mail)):
        assert not re.search(r"Ana|ana@|Clinic|2027|Cedars", repr(thing))
    assert isinstance(mail.visit, Visit)


def test_a_reminder_of_several_visits_says_and_files_each_of_them() -> None:
    other = replace(VISIT, appointment_id="0b0c3a52-97c4-4c4e-9a4e-0a5f3bb1c2d3", start=VISIT.start + timedelta(days=1))
    rendered = render(a_mail(Kind.REMINDER, also=(other,)))
    for words in (rendered.text, rendered.html):
        assert "Tuesday, March 16, 2027, 9:30 AM" in words
        assert "You also have an appointment on:" in words
        assert "Wednesday, March 17, 2027, 9:30 AM" in words
    assert rendered.calendar is not None
    events = Calendar.from_ical(rendered.calendar).events
    assert [event.start for event in events] == [VISIT.start, other.start]
    assert len({str(event["uid"]) for event in events}) == 2
