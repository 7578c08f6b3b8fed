"""The templates themselves: compiled, complete, and neutral where they must be."""

import shutil
from pathlib import Path

import pytest
from babel import Locale
from jinja2 import UndefinedError

from schemas.outcomes import Kind
from services.notifier.digest_mail import DIGEST
from services.notifier.mail import KINDS
from services.notifier.template_lint import Finding, lint_template, lint_templates
from services.notifier.template_set import email_templates, environment, template_set, unbroken
from services.notifier.variables import VARIABLES, Class, variables
from standalone.compile_templates import EMAIL, compile_one, disagreements, main
from tests.support.mails import a_mail

BODY = "email/appointment-reminder/en/body.txt.j2"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EMAIL, tmp_path / "email"))


def test_every_kind_of_mail_has_its_templates() -> None:
    assert set(email_templates()) == {(kind, "en") for kind in KINDS | {DIGEST}}


def test_the_templates_may_be_published() -> None:
    assert lint_templates() == ()


@pytest.mark.parametrize("name", [name for name, variable in VARIABLES.items() if variable.class_ is not Class.NEUTRAL])
def test_a_variable_that_gives_something_away_needs_tier_1(name: str) -> None:
    use = f"{{{{ {name} }}}}"
    assert lint_template(BODY, use) == [Finding(BODY, f"{name} isn't neutral")]
    assert lint_template(BODY, f"{{% if tier == 1 and {name} %}}{use}{{% endif %}}") == []
    assert lint_template(BODY, f"{{% if not (tier == 1 and {name}) %}}x{{% endif %}}") == []
    assert lint_template(BODY, f"{{% if {name} and tier == 1 %}}x{{% endif %}}") != []
    assert lint_template(BODY, f"{{% if tier == 0 %}}{use}{{% endif %}}") != []
    assert lint_template(BODY, f"{{% if tier == 1 %}}x{{% else %}}{use}{{% endif %}}") != []
    assert lint_template(BODY, f"{{% if tier == 1 %}}x{{% elif video %}}{use}{{% endif %}}") != []
    assert lint_template(BODY, f"{{% if tier == 1 or video %}}{use}{{% endif %}}") != []


@pytest.mark.parametrize("part", ["subject.txt.j2", "preheader.txt.j2", "calendar.txt.j2"])
def test_a_subject_a_preheader_and_a_calendar_entry_are_neutral_at_both_tiers(part: str) -> None:
    name = f"email/appointment-reminder/en/{part}"
    assert lint_template(name, "{% if tier == 1 %}{{ given_name }}{% endif %}") == [
        Finding(name, "given_name isn't neutral")
    ]


def test_at_tier_0_a_template_does_not_get_what_gives_something_away() -> None:
    neutral = {name for name, variable in VARIABLES.items() if variable.class_ is Class.NEUTRAL}
    assert set(variables(a_mail(tier=0), Locale("en"))) == neutral
    assert set(variables(a_mail(tier=1), Locale("en"))) == set(VARIABLES)


def test_nothing_of_a_trial_is_given_to_an_invitation_at_tier_0() -> None:
    of_the_trial = {"approved", "approval_id", "approval_until", "trial_contact"}
    given = [set(variables(a_mail(Kind.TRIAL_INVITATION, tier), Locale("en"))) & of_the_trial for tier in (0, 1)]
    assert given == [set(), of_the_trial]


def test_a_variable_that_is_not_there_is_an_error_and_never_an_empty_word() -> None:
    with pytest.raises(UndefinedError):
        environment().from_string("Hello {{ given_name }}").render(variables(a_mail(tier=0), Locale("en")))


def test_what_a_template_includes_counts() -> None:
    assert lint_template(BODY, '{% include "email/_base/en/place.txt.j2" %}') == []
    assert lint_template("email/x/en/subject.txt.j2", '{% include "email/_base/en/place.txt.j2" %}') != []


def test_a_variable_nobody_knows_is_found() -> None:
    assert lint_template(BODY, "{{ birth_date }}") == [Finding(BODY, "birth_date is unknown")]


@pytest.mark.parametrize("name", ["given_name", "tier", "phone"])
def test_a_digest_may_use_nothing_that_patients_mails_have(name: str) -> None:
    body = f"email/{DIGEST}/en/body.txt.j2"
    assert lint_template(body, f"{{{{ {name} }}}}") == [Finding(body, f"{name} is unknown")]
    assert lint_template(body, "{{ found }} {{ subject }}<img>") == [Finding(body, "loads something from elsewhere")]


@pytest.mark.parametrize(
    "loaded", ['<img src="https://example.com/p.gif">', "<style>@import x</style>", "background:url(x)"]
)
def test_a_template_that_loads_something_is_found(loaded: str) -> None:
    assert lint_template(BODY, loaded) == [Finding(BODY, "loads something from elsewhere")]


def test_compiled_templates_agree_with_their_sources(capsys: pytest.CaptureFixture[str]) -> None:
    assert disagreements() == []
    assert main(["--check"]) == 0
    assert capsys.readouterr().out == ""


def test_a_changed_source_a_changed_part_and_a_missing_source_are_noticed(copy: Path) -> None:
    compiled = copy / "appointment-reminder/en/body.html.j2"
    source = compiled.with_name("body.mjml")
    original = source.read_text("utf-8")
    source.write_text(original.replace("contact.mjml", "greeting.mjml"), "utf-8")
    assert disagreements(copy) == [compiled]
    source.write_text(original, "utf-8")
    assert disagreements(copy) == []
    footer = copy / "_base/en/footer.mjml"
    footer.write_text(footer.read_text("utf-8").replace("emergency.", "hurry."), "utf-8")
    assert len(disagreements(copy)) == len(KINDS)
    source.unlink()
    assert compiled in disagreements(copy)


def test_an_unknown_tag_is_noticed() -> None:
    with pytest.raises(ValueError, match="unknown MJML tag <mj-txet>"):
        compile_one(
            "<mjml><mj-body><mj-section><mj-column><mj-txet>x</mj-txet></mj-column></mj-section></mj-body></mjml>"
        )


def test_an_expression_that_is_lost_is_noticed() -> None:
    with pytest.raises(ValueError, match="doesn't survive"):
        compile_one('<mjml><mj-body><mj-section bogus="{{ phone }}"></mj-section></mj-body></mjml>')


def test_the_version_changes_with_any_file_of_the_set() -> None:
    versions = {template_set(kind, "en").version for kind in KINDS}
    assert len(versions) == len(KINDS)
    assert template_set(Kind.REMINDER, "en-US").version == template_set(Kind.REMINDER, "en").version


def test_a_phone_number_stays_on_one_line_and_escaped() -> None:
    held = '<span style="white-space:nowrap;">1-800</span>'
    assert unbroken("1-800 <b> & x") == f"{held} &lt;b&gt; &amp; x"
    assert unbroken("<i>-") == '<span style="white-space:nowrap;">&lt;i&gt;-</span>'
