"""The shipped programs say what their public pages say, no more, and have the steps and the policy of the design."""

from collections.abc import Iterator
from datetime import time, timedelta
from importlib.resources import files
from pathlib import Path

import pytest

from schemas.program_checks import check_programs
from schemas.program_files import LoadedProgram, load_programs

SEEDS = Path(__file__).parent.parent / "data" / "seeds"
SHIPPED = Path(str(files("programs")))
CEDARS, KAISER = "k7q2m9", "r4w8t3"
PAGES = {
    CEDARS: SEEDS / "cedars-sinai-csf-leak-program.txt",
    KAISER: SEEDS / "kaiser-permanente-csf-leak-program.txt",
}


def quotes(loaded: LoadedProgram) -> Iterator[str]:
    yield from (each.quote for each in loaded.provenance.values() if each.quote)


def test_both_shipped_programs_pass_every_check_with_and_without_demo_values() -> None:
    assert check_programs(SHIPPED) == []
    assert check_programs(SHIPPED, demo=True) == []


@pytest.mark.parametrize("code", PAGES)
def test_every_quote_stands_on_the_programs_own_page(code: str) -> None:
    page = " ".join(PAGES[code].read_text().split())
    found = list(quotes(load_programs()[code]))
    assert found
    assert [quote for quote in found if " ".join(quote.split()) not in page] == []


@pytest.mark.parametrize("code", PAGES)
def test_every_value_from_the_page_that_is_a_name_or_number_stands_there(code: str) -> None:
    page, program = PAGES[code].read_text().lower(), load_programs()[code].program
    names = [program.public_name, *(site.name for site in program.sites.values()), *program.forms.values()]
    names += [program.phone] if program.phone else []
    assert [name for name in names if name.lower() not in page] == []


def test_cedars_says_what_its_page_says_and_leaves_the_rest_to_the_hospital() -> None:
    program = load_programs()[CEDARS].program
    assert (program.public_name, program.full_name) == ("Cedars-Sinai", "Cedars-Sinai CSF Leak Program")
    assert (program.tenant, program.zone, program.phone) == (
        "cedars", "America/Los_Angeles", "1-800-CEDARS-1 (1-800-233-2771)",
    )  # fmt: skip
    assert program.sites == {}
    assert program.visit_types.keys() == {
        "consultation", "second-opinion", "follow-up", "blood-patch", "fibrin-glue", "surgery",
    }  # fmt: skip
    assert {code for code, kind in program.visit_types.items() if kind.preparation} == {
        "consultation", "second-opinion", "follow-up",
    }  # fmt: skip
    assert len(program.preparation) == 5
    assert [item.only_from_outside for item in program.preparation] == [False, False, False, True, False]
    assert program.forms.keys() == {"record-release", "referral-request", "patient-intake", "patient-privacy"}
    assert program.companion
    assert program.offers_trials


def test_kaiser_says_what_its_page_says_and_has_no_preparation_no_forms_and_no_trials() -> None:
    program = load_programs()[KAISER].program
    assert program.public_name == "Kaiser Permanente"
    assert program.full_name.startswith("Spinal Cerebrospinal Fluid (CSF) Leak Program")
    assert (program.tenant, program.zone, program.phone) == ("kaiser", "America/Los_Angeles", None)
    assert {site.name for site in program.sites.values()} == {"Santa Clara", "Roseville", "Sacramento", "Redwood City"}
    assert all(site.address is None for site in program.sites.values())
    assert program.visit_types.keys() == {
        "consultation", "ct-myelography", "specialized-myelogram", "blood-patch", "surgery",
    }  # fmt: skip
    assert (program.preparation, program.forms, program.companion, program.offers_trials) == ((), {}, None, False)


STEPS = {
    (CEDARS, "consultation", "on-site"): (("P14D", "P3D", "P1D"), "P3D"),
    (CEDARS, "second-opinion", "on-site"): (("P14D", "P3D", "P1D"), "P3D"),
    (CEDARS, "follow-up", "on-site"): (("P7D", "P1D"), "P7D"),
    (CEDARS, "follow-up", "video"): (("P2D", "PT2H"), "P2D"),
    (CEDARS, "blood-patch", "on-site"): (("P3D", "P1D"), "P3D"),
    (CEDARS, "fibrin-glue", "on-site"): (("P3D", "P1D"), "P3D"),
    (CEDARS, "surgery", "on-site"): (("P14D", "P3D", "P1D"), "P3D"),
    (KAISER, "consultation", "on-site"): (("P14D", "P3D", "P1D"), "P3D"),
    (KAISER, "ct-myelography", "on-site"): (("P7D", "P1D"), "P7D"),
    (KAISER, "specialized-myelogram", "on-site"): (("P7D", "P1D"), "P7D"),
    (KAISER, "blood-patch", "on-site"): (("P3D", "P1D"), "P3D"),
    (KAISER, "surgery", "on-site"): (("P14D", "P3D", "P1D"), "P3D"),
}


@pytest.mark.parametrize(("place", "expected"), STEPS.items(), ids=str)
def test_visits_have_the_steps_of_the_reminder_policy(
    place: tuple[str, str, str], expected: tuple[tuple[str, ...], str]
) -> None:
    code, visit, modality = place
    steps = load_programs()[code].program.visit_types[visit].steps
    found = next(each for name, each in steps.items() if name == modality)
    assert (found.steps, found.confirm_at) == expected


def test_the_policy_is_the_one_of_the_design() -> None:
    policy = load_programs()[CEDARS].program.policy
    assert (policy.hour, policy.evening) == (time(10), time(18))
    assert (policy.last_until_on_site, policy.last_until_video) == (timedelta(hours=3), timedelta(minutes=10))
    assert (policy.windows.care.opens, policy.windows.care.closes) == (time(9), time(19))
    assert (policy.windows.notices.opens, policy.windows.notices.closes) == (time(8), time(21))
    assert policy.windows.trials.weekdays == {1, 2, 3, 4, 5}
    assert (policy.caps.per_day, policy.caps.per_week, policy.caps.breaker_per_24h) == (1, 3, 6)
    assert (policy.settle.staff, policy.settle.feed) == (timedelta(minutes=15), timedelta(minutes=30))
    late, paperwork = policy.late_booking, policy.paperwork
    assert (late.horizon, late.min_gap, late.too_late) == (
        timedelta(hours=12), timedelta(hours=20), timedelta(hours=3),
    )  # fmt: skip
    assert (paperwork.rungs, paperwork.own) == (("P14D", "P7D", "P3D"), ("P7D",))
    assert (paperwork.max_asks, paperwork.max_own, paperwork.min_days_apart) == (4, 2, 4)
    assert (paperwork.worklist_at, paperwork.worklist_hour) == ("P4D", time(9))


def test_no_clinicians_bare_surname_that_is_also_a_word_is_denied() -> None:
    for loaded in load_programs().values():
        assert "jun" not in {term.lower() for term in loaded.program.deny_list}
