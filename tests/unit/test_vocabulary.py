"""A program's vocabulary loads from its file; every problem names file, line and reason."""

import shutil
from importlib.resources import files
from pathlib import Path

import pytest

from schemas.expressions import Compared, Count, DaysSince, Exists, FactDate, Last, atoms, selection
from schemas.program_checks import check_programs
from schemas.vocabulary import Vocabulary
from schemas.vocabulary_files import load_vocabularies, load_vocabulary
from schemas.yaml_files import ProgramFilesError
from tests.support.fixture_trials import read_trials

SEEN = """\
facts:
  seen:
    label: visit
    type: events
    source: appointments
    fields:
      visit-type: {label: type of visit, type: code}
"""
"""A vocabulary that takes a fact from the program's appointments."""

SHIPPED = Path(str(files("programs")))
CEDARS, KAISER = "k7q2m9", "r4w8t3"

FILE = """\
facts:
  onset: {label: onset, type: date}
  kind:
    label: kind
    type: code
    values: {a: an a, b: a b}
  pressure: {label: pressure, type: number, unit: "cm[H2O]", minimum: 0, maximum: 100}
  patch:
    label: patch
    type: events
    fields:
      level: {label: level, type: code, values: {low: low, high: high}}
derived:
  days: {label: days since onset, derive: days-since, of: onset}
  patched: {label: months since the last patch, derive: months-since, of: patch}
"""


def load(folder: Path, text: str) -> Vocabulary:
    (folder / "facts.yaml").write_text(text)
    return load_vocabulary(folder)


def test_a_program_without_a_vocabulary_knows_the_person_alone() -> None:
    assert set(load_vocabularies()[KAISER].terms) == {"birth-date", "sex", "age", "age-in-months"}


def test_the_person_stands_in_every_vocabulary_and_derived_facts_have_type_and_unit(tmp_path: Path) -> None:
    terms = load(tmp_path, FILE).terms
    assert {"birth-date", "sex", "age", "onset", "days", "patched"} < set(terms)
    assert [(terms[name].type, terms[name].unit) for name in ("age", "age-in-months", "days", "patched")] == [
        ("integer", "a"), ("integer", "mo"), ("integer", "d"), ("integer", "mo"),
    ]  # fmt: skip


def test_what_a_fact_can_hold_is_read_with_its_type() -> None:
    terms = load_vocabularies()[CEDARS].terms
    pressure, patch, pregnant = terms["opening-pressure"], terms["blood-patch"], terms["pregnant"]
    assert (pressure.type, pressure.unit, pressure.maximum, pressure.latest) == ("number", "cm[H2O]", 100.0, True)
    assert patch.fields["approach"].values == {"blind": "blind", "targeted": "targeted"}
    assert (pregnant.valid_days, terms["diagnosis"].valid_days) == (28, None)


def test_weeks_of_validity_are_days(tmp_path: Path) -> None:
    assert load(tmp_path, "facts: {one: {label: one, type: boolean, valid_for: P2W}}").terms["one"].valid_days == 14


def test_every_name_and_unit_that_the_example_trials_ask_is_in_the_shipped_vocabulary() -> None:
    terms = load_vocabularies()[CEDARS].terms
    asked = [atom for trial in read_trials().values() for each in trial.eligibility.every() if each.expression
             for atom in atoms(each.expression)]  # fmt: skip
    assert len(asked) > 70
    for atom in asked:
        events = selection(atom)
        name = events.event if events else atom.days_since.fact if isinstance(atom, DaysSince) else atom.fact  # type: ignore[union-attr]  # a field is no atom here
        assert (terms[name].type == "events") == isinstance(atom, Count | Exists | Last | DaysSince), name
        if isinstance(atom, Compared) and atom.unit:
            assert terms[name].unit == atom.unit
        assert not isinstance(atom, FactDate)


def test_all_that_the_design_names_for_csf_leaks_can_be_recorded() -> None:
    facts = load_vocabularies()[CEDARS].facts
    assert set(facts["diagnosis"].values) == {
        "spontaneous", "post-dural-puncture", "postoperative", "traumatic", "cranial", "other",
    }  # fmt: skip
    assert len(facts["leak-type"].values) == 4
    assert {
        "diagnosis-certainty", "leak-levels", "leak-count", "symptom-onset", "orthostatic-onset", "headache-severity",
        "opening-pressure", "brain-mri", "spine-mri", "ct-myelography", "digital-subtraction-myelography",
        "pregnant", "breastfeeding", "anticoagulated", "platelets", "inr", "allergies", "connective-tissue-disorder",
        "language", "can-consent", "home-latitude", "home-longitude", "travel-limit", "distance", "in-other-trial",
    } < set(facts)  # fmt: skip
    treatments = {
        "conservative-treatment",
        "blood-patch",
        "fibrin-patch",
        "leak-surgery",
        "embolization",
        "nerve-block",
    }
    assert {facts[name].type for name in (*treatments, "dural-puncture")} == {"events"}
    assert facts["allergies"].type == "codes"


BAD = [
    ("type: date", "type: day", 2, "facts.onset.type: Input should be 'boolean', 'integer'"),
    ("label: onset, ", "", 2, "facts.onset.label: Field required"),
    ("label: onset, ", "label: onset, labels: x, ", 2, "facts.onset.labels: Extra inputs are not permitted"),
    ("{label: onset, type: date}", "{label: onset, type: date, unit: d}", 2, "facts.onset: date: takes no unit"),
    ("{label: onset, type: date}", "{label: onset, type: date, values: {a: a}}", 2, "takes no values"),
    ("{label: onset, type: date}", "{label: onset, type: date, fields: {}, valid_for: 3 days}", 2, "valid_for"),
    (
        "{label: onset, type: date}",
        "{label: onset, type: date, fields: {a: {label: a, type: code}}}",
        2,
        "takes no fields",
    ),
    ("{label: onset, type: date}", "{label: onset, type: date, valid_for: P1M}", 2, "facts.onset.valid_for: String"),
    ("{a: an a, b: a b}", "{a: an a, a: a b}", 6, "a: stands twice"),
    ("{a: an a, b: a b}", "{A: an a}", 6, "facts.kind.values.A.[key]: String should match pattern"),
    ("minimum: 0", "minimum: 101", 7, "facts.pressure: the minimum is above the maximum"),
    ("minimum: 0", "minimum: low", 7, "facts.pressure.minimum: Input should be a valid number"),
    ("level: {", "on: {", 9, "facts.patch: events: 'on' is the event's date, not a field"),
    ("label: patch\n", "label: patch\n    latest: yes\n", 9, "facts.patch: events: the lists of several sources"),
    ("type: code, values: {low", "type: date, values: {low", 12, "facts.patch.fields.level.type: Input should be"),
    ("of: onset", "of: onse", 14, "derived.days: comes from 'onse', which is no fact"),
    ("of: onset", "of: kind", 14, "derived.days: needs a date or events; 'kind' is of type code"),
    ("of: onset", "of: sex", 14, "derived.days: needs a date or events; 'sex' is of type code"),
    ("of: onset", "of: days", 14, "derived.days: comes from itself: days → days"),
    ("of: onset", "of: patched", 14, "derived.days: needs a date or events; 'patched' is derived itself"),
    ("derive: days-since", "derive: days-until", 14, "derived.days.derive: Input should be 'days-since'"),
    (
        "  onset: {",
        "  sex: {label: s, type: code}\n  onset: {",
        2,
        "facts.sex: every program has it from the patient's",
    ),
    ("  days: {", "  age: {", 14, "derived.age: every program has it"),
    ("  days: {", "  kind: {", 14, "derived.kind: is both a fact and derived"),
    ("facts:", "fact:", 2, "fact: Extra inputs are not permitted"),
    ("facts:", "facts", 2, "is not YAML"),
]


@pytest.mark.parametrize(("old", "new", "line", "reason"), BAD, ids=[reason for *_, reason in BAD])
def test_a_problem_names_file_line_and_reason(old: str, new: str, line: int, reason: str, tmp_path: Path) -> None:
    assert old in FILE
    with pytest.raises(ProgramFilesError) as refused:
        load(tmp_path, FILE.replace(old, new, 1))
    found = [str(each) for each in refused.value.problems]
    assert any(reason in each for each in found), found
    assert f"{tmp_path.name}/facts.yaml:{line}: " in found[0]


BAD_VISITS = [
    ("source: appointments", "source: patients", 5, "facts.seen.source: Input should be 'appointments'"),
    ("type: events", "type: codes", 3, "facts.seen: codes: takes no fields"),
    ("events\n    source: appointments\n", "date\n    source: appointments\n", 3, "facts.seen: date: takes no fields"),
    ("visit-type: {", "site: {", 3, "facts.seen: appointments don't tell 'site', only 'visit-type'"),
    ("type: code}", "type: number}", 3, "facts.seen: 'visit-type' is a code, of the program's visit types"),
    ("type: code}", "type: code, values: {a: an a}}", 7, "visit-type.values: the program's visit types are its values"),
    (
        "facts:\n",
        "facts:\n  a: {label: a, type: date, source: appointments}\n",
        2,
        "facts.a: date: appointments are told",
    ),
    (
        "facts:\n",
        "facts:\n  a: {label: a, type: events, source: appointments}\n",
        4,
        "facts.seen: the program's appointments tell 'a' already",
    ),
]


@pytest.mark.parametrize(("old", "new", "line", "reason"), BAD_VISITS, ids=[reason for *_, reason in BAD_VISITS])
def test_what_appointments_cant_tell_is_named_with_file_and_line(
    old: str, new: str, line: int, reason: str, tmp_path: Path
) -> None:
    assert old in SEEN
    with pytest.raises(ProgramFilesError) as refused:
        load(tmp_path, SEEN.replace(old, new, 1))
    found = [str(each) for each in refused.value.problems]
    assert any(reason in each for each in found), found
    assert f"{tmp_path.name}/facts.yaml:{line}: " in found[0]


def test_appointments_tell_one_fact_with_the_types_of_visits_that_the_program_has(tmp_path: Path) -> None:
    shipped = load_vocabularies()[CEDARS]
    assert shipped.of_appointments == "program-visit"
    assert shipped.facts["program-visit"].fields["visit-type"].values == {
        "consultation": "Appointment", "second-opinion": "Second opinion", "follow-up": "Follow-up",
        "blood-patch": "Epidural blood patch", "fibrin-glue": "Fibrin-glue injection", "surgery": "Surgery",
    }  # fmt: skip
    assert load(tmp_path, SEEN).facts["seen"].fields["visit-type"].values == {}
    assert load(tmp_path, FILE).of_appointments is None


def test_a_circle_of_several_is_named_at_each_of_them(tmp_path: Path) -> None:
    with pytest.raises(ProgramFilesError) as refused:
        load(tmp_path, FILE.replace("of: onset", "of: patched").replace("of: patch}", "of: days}"))
    assert [each.reason for each in refused.value.problems] == [
        "derived.days: comes from itself: days → patched → days",
        "derived.patched: comes from itself: patched → days → patched",
    ]
    assert [each.line for each in refused.value.problems] == [14, 15]


def test_who_leads_into_a_circle_does_not_hang(tmp_path: Path) -> None:
    circle = "  before: {label: x, derive: days-since, of: days}\n"
    with pytest.raises(ProgramFilesError) as refused:
        load(tmp_path, FILE.replace("of: onset", "of: days") + circle)
    assert len(refused.value.problems) == 2


def test_programs_check_reads_the_vocabulary_too(tmp_path: Path) -> None:
    root = shutil.copytree(SHIPPED, tmp_path / "programs")
    path = root / "cedars-sinai-csf" / "facts.yaml"
    path.write_text(path.read_text().replace("derive: months-since", "derive: moons-since", 1))
    [problem] = check_programs(root)
    assert problem.file == "cedars-sinai-csf/facts.yaml"
    assert "months-since-symptom-onset.derive" in problem.reason
