"""Eligibility texts, split: no word vanishes, and what belongs together stays together."""

import contextlib
import json
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.criteria import Kind
from services.trials.registry.eligibility import (
    LONGEST,
    MOST,
    Piece,
    SplitCriterion,
    TooMuch,
    criteria_of,
    split_eligibility,
)
from services.trials.registry.lines import unescaped

STUDIES = json.loads((Path(__file__).parents[1] / "data/ctgov-v2/spine-disc-open-88.json").read_text("utf-8"))
TEXTS = {
    each["protocolSection"]["identificationModule"]["nctId"]: each["protocolSection"]["eligibilityModule"][
        "eligibilityCriteria"
    ]
    for each in STUDIES
}

LINES = st.sampled_from(
    [
        "Inclusion Criteria:",
        "EXCLUSION CRITERIA",
        "* Inclusion criteria:",
        "Key Exclusion Criteria: pregnancy",
        "**Exclusion:**",
        "* Age \\> 18",
        "- nested",
        "1. first",
        "2) second",
        "a. letter",
        "(b) letter",
        "19) odd",
        "* 1. both",
        "•glued• twice",
        "one of the following:",
        "A paragraph.",
        "which goes on",
        "\\*no bullet",
        "*",
        "-2.5 T-score",
        "Healthy participants",
        "text Exclusion Criteria: x",
        "Patients are excluded if:",
        "E. coli",
        "o  old bullet",
        "1.5 mg",
        "\\",
        "\u2028",
        "é",
        "Any of the following criteria will be excluded:",
    ]
)
MADE = st.lists(
    st.tuples(st.sampled_from(["", "  ", "    ", "\t", " "]), LINES, st.sampled_from(["\n", "\n\n", " ", ""])),
    max_size=25,
).map(lambda parts: "".join(map("".join, parts)))


def squeezed(text: str) -> str:
    return "".join(text.split())


def words_of(pieces: tuple[Piece, ...]) -> str:
    return "".join(squeezed(f"{each.marker} {each.text}") for each in pieces)


def split(text: str) -> list[tuple[str, str]]:
    return [(each.id, each.text) for each in criteria_of(split_eligibility(text))]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_no_character_of_a_real_text_vanishes(text: str) -> None:
    assert words_of(split_eligibility(text)) == squeezed(unescaped(text))


@given(st.one_of(MADE, st.text()))
@example("\\\\• a")
def test_no_character_of_a_made_text_vanishes(text: str) -> None:
    assert words_of(split_eligibility(text)) == squeezed(unescaped(text))


@given(MADE)
def test_every_criterion_has_an_id_of_its_own_and_the_sentence_of_its_piece(text: str) -> None:
    pieces = split_eligibility(text)
    criteria = criteria_of(pieces)
    assert len({each.id for each in criteria}) == len(criteria)
    assert all(each.id[0] == each.kind[0] and each.expression is None for each in criteria)
    assert [each.text for each in criteria] == [each.sentence for each in pieces if isinstance(each, SplitCriterion)]


def test_real_texts_split_into_as_many_criteria_as_people_count() -> None:
    counted = {
        "NCT05287867": (9, 20),
        "NCT06115512": (8, 14),
        "NCT05614284": (10, 6),
        "NCT05329129": (4, 1),
        "NCT05508360": (6, 21),
        "NCT06490887": (11, 0),
        "NCT04042844": (5, 35),
        "NCT06610175": (9, 10),
        "NCT05587465": (9, 66),
    }
    for name, (inclusions, exclusions) in counted.items():
        kinds = [each.kind for each in criteria_of(split_eligibility(TEXTS[name]))]
        assert (kinds.count(Kind.INCLUSION), kinds.count(Kind.EXCLUSION)) == (inclusions, exclusions), name


def test_the_most_criteria_that_the_bound_speaks_of_are_counted() -> None:
    assert max(len(criteria_of(split_eligibility(text))) for text in TEXTS.values()) == 75


@pytest.mark.parametrize(
    "heading",
    [
        "Exclusion Criteria:",
        "EXCLUSION CRITERIA",
        "Exclusion criteria",
        "Exclusion:",
        "Exclusions",
        "Key Exclusion Criteria:",
        "Subject Exclusion Criteria",
        "Exclusion Criteria for all groups:",
        "Exclusion criteria (cohort A):",
        "**Exclusion Criteria**",
        "## Exclusion Criteria",
        "Non-inclusion criteria:",
        "NON INCLUSION CRITERIA",
        "Criteria for exclusion:",
        "Intraoperative Exclusion Criteria:",
        "Exclusion Critera:",
        "Exclusion criterion:",
        "Ineligibility criteria:",
        "* Exclusion Criteria:",
        "1. Exclusion Criteria:",
        "Exclusion Criteria -",
        "Exclusion Criteria are as follows:",
        "    Exclusion Criteria：",
        "Patient exclusion criteria",
        "Main Non-Inclusion Criteria",
    ],
)
def test_a_heading_of_exclusions_is_known_in_its_many_spellings(heading: str) -> None:
    assert split(f"* Adult\n\n{heading}\n\n* Pregnant") == [("i1", "Adult"), ("e1", "Pregnant")]


@pytest.mark.parametrize("heading", ["Inclusion Criteria:", "INCLUSION", "Eligibility Criteria:", "Inclusions:"])
def test_a_heading_of_inclusions_ends_the_exclusions(heading: str) -> None:
    assert split(f"Exclusion Criteria:\n* Pregnant\n\n{heading}\n* Adult") == [("e1", "Pregnant"), ("i1", "Adult")]


@pytest.mark.parametrize(
    "sentence",
    [
        "Patients not meeting all of the inclusion criteria",
        "Meets the inclusion criteria",
        "Other exclusion criteria may apply.",
        "Inclusion body myositis",
        "Exclusion criteria for lumbar surgery",
        "Exclusion of other causes by imaging",
        "Fulfils inclusion criteria of the CSF registry",
    ],
)
def test_a_sentence_about_criteria_is_no_heading(sentence: str) -> None:
    assert split(f"Exclusion Criteria:\n* Pregnant\n* {sentence}") == [("e1", "Pregnant"), ("e2", sentence)]


def test_text_before_any_heading_is_inclusion() -> None:
    assert split("* Adult\n\nExclusion Criteria:\n* Pregnant") == [("i1", "Adult"), ("e1", "Pregnant")]


@pytest.mark.parametrize(
    "marker", ["*", "-", "•", "1.", "1)", "(1)", "a.", "b)", "(c)", "ii.", "–", "o", "* 1.", "•1)"]
)
def test_a_marker_is_no_part_of_the_sentence(marker: str) -> None:
    assert split(f"{marker} Adult") == [("i1", "Adult")]


@pytest.mark.parametrize("line", ["-2.5 or lower", "1.5 mg or more", "E. coli in urine", "\\* a note", "C. difficile"])
def test_what_only_looks_like_a_marker_stays(line: str) -> None:
    assert split(line) == [("i1", line.replace("\\", ""))]


def test_escaped_characters_are_read_as_meant() -> None:
    assert split("* Age \\>= 18 \\& \\<80 \\[years\\], 3\\*2") == [("i1", "Age >= 18 & <80 [years], 3*2")]


def test_a_nested_list_stays_with_its_sentence() -> None:
    text = "1. One of the following:\n   1. X\n      a. Y\n\n   Note: Z\n2. Adult"
    assert split(text) == [("i1", "One of the following:\n   1. X\n      a. Y\n   Note: Z"), ("i2", "Adult")]


def test_a_nested_list_that_nobody_indented_stays_with_its_sentence_too() -> None:
    text = "1. One of the following:\n- X\n- Y\n2. Adult\n- odd"
    assert split(text) == [("i1", "One of the following:\n- X\n- Y"), ("i2", "Adult"), ("i3", "odd")]


def test_a_bullet_further_left_begins_a_criterion() -> None:
    assert split("    * A\n* B") == [("i1", "A"), ("i2", "B")]


def test_numbers_aligned_to_the_right_are_one_list() -> None:
    assert split(" 9. A\n10. B") == [("i1", "A"), ("i2", "B")]


def test_each_criterion_of_a_list_carries_the_sentence_before_it() -> None:
    text = "Healthy participants\n\n* Adult\n* Well\n\nA note.\n\n* Able"
    assert split(text) == [
        ("i1", "Healthy participants Adult"),
        ("i2", "Healthy participants Well"),
        ("i3", "A note."),
        ("i4", "Able"),
    ]


@pytest.mark.parametrize(
    ("sentence", "carried"),
    [
        ("Subjects who meet any of the following criteria will be excluded:", False),
        ("Patients may not be enrolled if any of the following exclusion criteria are present:", False),
        ("A subject is not eligible to participate if any of the following criteria are met:", False),
        ("Patients with diabetes are excluded if they have:", True),
        ("Subjects who meet at least two of any of the following criteria will be excluded:", True),
        ("Subjects who meet all of the following criteria will be excluded:", True),
    ],
)
def test_a_sentence_that_excludes_makes_a_list_exclusions(sentence: str, carried: bool) -> None:
    expected = f"{sentence} Pregnant" if carried else "Pregnant"
    assert split(f"* Adult\n\n{sentence}\n\n* Pregnant") == [("i1", "Adult"), ("e1", expected)]


def test_paragraphs_without_bullets_are_criteria() -> None:
    assert split("Adult.\n\nAble to consent.\nNo surgery\nbefore today") == [
        ("i1", "Adult."),
        ("i2", "Able to consent."),
        ("i3", "No surgery before today"),
    ]


def test_a_paragraph_that_ends_in_a_colon_goes_on_in_the_next() -> None:
    assert split("One of:\n\nheadache\n\nAdult") == [("i1", "One of: headache"), ("i2", "Adult")]


def test_a_heading_or_bullet_glued_to_a_line_begins_something_new() -> None:
    text = "* Approved by the board (MAB) Exclusion Criteria:• Thin disc.• Facet disease\n* Tumor"
    assert split(text) == [
        ("i1", "Approved by the board (MAB)"),
        ("e1", "Thin disc."),
        ("e2", "Facet disease"),
        ("e3", "Tumor"),
    ]


def test_one_line_may_hold_both_headings() -> None:
    text = "Inclusion Criteria: Adult. Exclusion Criteria: Pregnant"
    assert split(text) == [("i1", "Adult."), ("e1", "Pregnant")]


def test_what_follows_a_heading_on_its_line_is_a_criterion() -> None:
    assert split("Inclusion Criteria: Adult\nExclusion criteria include pregnancy") == [
        ("i1", "Adult"),
        ("e1", "pregnancy"),
    ]


def test_a_bullet_without_a_word_is_no_criterion() -> None:
    assert split("* \n* --\n* Adult") == [("i1", "Adult")]


def test_an_empty_text_has_no_criteria() -> None:
    assert split(" \n\n") == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a" * (LONGEST + 1), "longer than 200,000"),
        ("* a\n" * (MOST + 1), "more than 1,000 criteria"),
        ("* a:" + "\n\t- b" * 39_000, "criterion of more than 200,000"),
    ],
)
def test_a_text_that_no_trial_has_is_refused(text: str, reason: str) -> None:
    with pytest.raises(TooMuch, match=reason):
        criteria_of(split_eligibility(text))


def test_hundreds_of_thousands_of_bullets_are_refused_before_they_are_read() -> None:
    with pytest.raises(TooMuch, match="more than 1,000 criteria"):
        split_eligibility("•a" * 90_000)


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "* ",
        "* a:\n",
        ":\n",
        " ",
        "\n",
        "•",
        "1. ",
        "\\",
        "Inclusion ",
        "Inclusion Criteria ",
        "Exclusion Criteria: ",
        "not ",
        "  * a\n",
        "all any ",
        "(a",
        "-",
        "**",
        "#",
    ],
)
def test_time_is_linear_in_the_text(unit: str) -> None:
    text = unit * (LONGEST // len(unit))
    started = time.process_time()
    with contextlib.suppress(TooMuch):
        split_eligibility(f"{text}:\n* a"[-LONGEST:])
    assert time.process_time() - started < 8.0  # 1 s at most; with a square in it, minutes
