"""What a coordinator's digest says, word for word, and that it can say nothing of a patient."""

import os
import re
from dataclasses import fields, replace
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from schemas.trials import DigestLine, DigestRequest
from services.notifier.digest_mail import DIGEST, MOST_LINES, VARIABLES, DigestMail
from services.notifier.digests.making import say, written
from services.notifier.lint import lint
from services.notifier.template_set import template_set
from tests.support.digest_mails import MAIL, URL
from tests.support.mails import PROGRAM

GOLDEN = Path(__file__).parent / "golden"
TEMPLATES = template_set(DIGEST, "en")


def test_a_digest_is_what_was_read_and_approved() -> None:
    """``UPDATE_GOLDEN=1 pytest tests/unit/test_digest_mail.py`` writes the files anew: read the difference."""
    said = say(MAIL, TEMPLATES)
    shown = f"Subject: {said.subject}\nPreheader: {said.preheader}\n\n{said.text}".encode()
    made = {f"{DIGEST}.txt": shown, f"{DIGEST}.eml": written(MAIL, TEMPLATES, said)}
    for name, content in made.items():
        if os.environ.get("UPDATE_GOLDEN"):
            (GOLDEN / name).write_bytes(content)
        assert content == (GOLDEN / name).read_bytes()


def test_html_says_what_the_text_says_and_loads_nothing() -> None:
    said = say(MAIL, TEMPLATES)
    html = re.sub(r"<!--.*?-->|<style.*?</style>|<title>.*?</title>", "", said.html, flags=re.DOTALL)
    html = re.sub(r'<div style="display:none.*?</div>', "", html)
    text = said.text.replace(f": {URL}", "").replace("----", "")  # HTML has the link in its button
    assert "".join(re.sub(r"<[^>]+>", " ", html).split()) == "".join(f"Cedars-Sinai {text}".split())
    assert re.findall(r'href="([^"]*)"', said.html) == [URL]
    assert not re.search(r"<img|src=|url\(|@import|<link|<script", said.html)


def test_without_a_page_there_is_no_link() -> None:
    said = say(replace(MAIL, console_url=None), TEMPLATES)
    assert "See the matches" not in said.text + said.html
    assert "href" not in said.html


@pytest.mark.parametrize(("number", "words"), [(100, None), (101, "And 1 more trial."), (250, "And 150 more trials.")])
def test_a_digest_of_many_trials_names_some_and_counts_all(number: int, words: str | None) -> None:
    lines = tuple(DigestLine(registry_id=f"NCT{each:08}", found=1, changed=2) for each in range(number))
    said = say(replace(MAIL, lines=lines), TEMPLATES)
    assert said.preheader == f"{number} new, {2 * number} changed, 0 withdrawn"
    for body in (said.text, said.html):
        assert len(re.findall(r"NCT\d{8}", body)) == MOST_LINES
        assert re.findall(r"And \d+ more trials?\.", body) == ([words] if words else [])


def test_the_message_carries_its_headers_and_no_list_of_its_own() -> None:
    parsed = message_from_bytes(written(MAIL, TEMPLATES, say(MAIL, TEMPLATES)), policy=default)
    assert {name: str(value) for name, value in parsed.items() if name != "Content-Type"} == {
        "From": "Cedars-Sinai <updates@notices.example.com>",
        "To": "coordinator@example.org",
        "Subject": "Match update",
        "Date": "Tue, 02 Mar 2027 16:00:00 +0000",
        "Message-ID": "<5e8a3b90-c2d7-4f61-8e14-7f0b9d6a5c32@notices.example.com>",
        "Auto-Submitted": "auto-generated",
        "Content-Language": "en",
        "X-Upright-Simulated": "true",
        "MIME-Version": "1.0",
    }


def test_a_digest_passes_the_lint_of_tier_0_and_a_clinical_word_in_it_does_not() -> None:
    assert lint(written(MAIL, TEMPLATES, say(MAIL, TEMPLATES)), 0, PROGRAM.deny_list) == ()
    named = replace(MAIL, program=replace(MAIL.program, public_name="The CSF leak clinic"))
    hits = lint(written(named, TEMPLATES, say(named, TEMPLATES)), 0, PROGRAM.deny_list)
    assert {hit.place for hit in hits} == {"header:from", "body:html"}


def test_nothing_a_digest_is_made_of_is_about_a_patient() -> None:
    """Who adds something here must ask whether a coordinator's inbox may hold it."""
    assert {each.name for each in fields(DigestMail)} == {
        "program", "recipient", "return_path", "message_id", "date", "lines", "console_url", "simulated",
    }  # fmt: skip
    assert set(DigestLine.model_fields) == {"registry_id", "found", "changed", "withdrawn"}
    assert set(VARIABLES) == {"public_name", "found", "changed", "withdrawn", "lines", "more", "console_url"}
    assert "patient_id" not in DigestRequest.model_fields
    assert "coordinator@example.org" not in repr(MAIL)
