"""Programs load with the provenance of every value; every problem names file, line and reason."""

import re
import shutil
import zipfile
from datetime import time
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from schemas.program_checks import check_programs
from schemas.program_files import MUST_FILL, load_programs
from schemas.programs import Program
from schemas.yaml_files import ProgramFilesError

SHIPPED = Path(str(files("programs")))
CEDARS, KAISER = "k7q2m9", "r4w8t3"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the shipped programs, to be spoilt."""
    return shutil.copytree(SHIPPED, tmp_path / "programs")


def spoil(root: Path, file: str, old: str, new: str) -> int:
    """Replace ``old`` once; the line where it stood."""
    path = root / file
    text = path.read_text()
    assert old in text, f"{old!r} isn't in {file}"
    path.write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1


@pytest.mark.parametrize("code", [CEDARS, KAISER])
def test_without_the_hospitals_values_a_program_loads_and_names_what_is_missing(code: str) -> None:
    program = load_programs()[code].program
    assert {"sender", "mail_domain", "emergency", "reply_to"} <= set(program.missing)
    assert ("phone" in program.missing) == (code == KAISER)
    assert program.sender is None
    assert not program.demo


@pytest.mark.parametrize("code", [CEDARS, KAISER])
def test_with_demo_values_nothing_is_missing_and_each_is_marked(code: str) -> None:
    loaded = load_programs(demo=True)[code]
    assert (loaded.program.missing, loaded.program.demo) == ((), True)
    assert loaded.provenance["sender"].source == "demo"
    assert loaded.provenance["sender"].file == "demo.yaml"


def test_a_value_to_be_filled_deep_inside_is_missing_too_and_never_reads_as_text(root: Path) -> None:
    spoil(root, "kaiser-norcal-csf/program.yaml", "{name: Roseville}", f"{{name: Roseville, address: {MUST_FILL}}}")
    program = load_programs(root, demo=True)[KAISER].program
    assert program.missing == ("sites.roseville.address",)
    assert program.sites["roseville"].address is None


def test_provenance_names_file_line_and_the_pages_own_words() -> None:
    where = load_programs()[CEDARS].provenance["companion"]
    assert (where.source, where.file) == ("page", "program.yaml")
    assert "We encourage you" in (SHIPPED / "cedars-sinai-csf/program.yaml").read_text().splitlines()[where.line - 1]
    assert where.quote is not None
    assert where.quote.startswith("patients are encouraged")


def test_the_hospitals_value_comes_before_the_pages_and_its_policy_changes_only_what_it_names(root: Path) -> None:
    with (root / "kaiser-norcal-csf/site.yaml").open("a") as site:
        site.write('policy: {value: {caps: {per_week: 2}, hour: "11:00"}, from: hospital}\n')
        site.write("public_name: {value: Kaiser, from: hospital}\n")
    program: Program = load_programs(root)[KAISER].program
    assert (program.public_name, program.policy.hour) == ("Kaiser", time(11))
    assert (program.policy.caps.per_week, program.policy.caps.per_day) == (2, 1)


def test_the_version_changes_with_any_byte_of_any_file(root: Path) -> None:
    before = load_programs(root)[CEDARS].program.version
    spoil(root, "policy.yaml", "per_week: 3", "per_week: 2")
    assert load_programs(root)[CEDARS].program.version != before


def test_programs_load_from_inside_a_zip_as_from_a_folder(tmp_path: Path) -> None:
    archive = tmp_path / "wheel.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for file in SHIPPED.rglob("*.yaml"):
            packed.write(file, f"programs/{file.relative_to(SHIPPED)}")
    with zipfile.ZipFile(archive) as packed:
        inside = zipfile.Path(packed, "programs/")
        assert {code: each.program for code, each in load_programs(inside, demo=True).items()} == {
            code: each.program for code, each in load_programs(demo=True).items()
        }
        assert check_programs(inside) == []


CS, KP = "cedars-sinai-csf", "kaiser-norcal-csf"
BAD = [
    (f"{CS}/program.yaml", "public_name: {", "public_nam: {", "public_nam: is not a field of a program"),
    (f"{CS}/program.yaml", "tenant: {value: cedars, from: assigned}", "tenant: cedars", "needs 'value' and 'from'"),
    (f"{CS}/program.yaml", "tenant: {value: cedars, from: assigned}", "tenant: {value: cedars}", "needs 'value' and"),
    (f"{CS}/program.yaml", "from: assigned}", "from: assigned, quot: x}", "not 'quot'"),
    (f"{CS}/program.yaml", "from: geography", "from: hospital", "comes from 'hospital'; this file takes"),
    (f"{CS}/site.yaml", "sender: {value: hospital_must_fill, from: hospital}",
     "sender: {value: a@b.example, from: demo}", "sender: comes from 'demo'; this file takes hospital"),
    (f"{CS}/site.yaml", "sender: {", "phone: {value: '1', from: page}\nsender: {", "phone: comes from 'page'"),
    (f"{CS}/program.yaml", "public_name: {", "tenant: {value: x, from: assigned}\npublic_name: {",
     "tenant: stands twice"),
    (f"{CS}/program.yaml", "    surgery: {", "    follow-up: {name: X, family: surgery}\n    surgery: {",
     "follow-up: stands twice"),
    (f"{CS}/program.yaml", "value: k7q2m9", "value: CSF!", "public_code: String should match pattern"),
    (f"{CS}/program.yaml", 'value: "true"', 'value: "perhaps"', "offers_trials: Input should be a valid boolean"),
    (f"{CS}/program.yaml", "{name: Surgery, family: surgery}", "{name: Surgery, family: knee}",
     "visit_types.surgery.family: has no steps in the policy"),
    (f"{CS}/program.yaml", "{name: Surgery, family: surgery}", "{family: surgery}", "visit_types.surgery.name: Field"),
    (f"{CS}/program.yaml", "{name: Surgery, family: surgery}", "{name: S, family: surgery, fasting: yes}",
     "visit_types.surgery.fasting: Extra inputs are not permitted"),
    (f"{CS}/program.yaml", "      steps: [P3D]\n", "      steps: [3 days]\n", "preparation.2.steps"),
    (f"{CS}/program.yaml", "America/Los_Angeles", "America/Los_Angels", "zone: is not the name of a time zone"),
    (f"{CS}/program.yaml", "America/Los_Angeles", "../../etc/passwd", "zone: is not the name of a time zone"),
    (f"{CS}/program.yaml", "      steps: [P14D, P7D, P2D]", "      steps: [P14D, P7D, P5D]",
     "preparation.1.steps: P5D is a step of no visit with preparation"),
    (f"{CS}/program.yaml", "      steps: [P3D]\n", "      steps: []\n", "preparation.2.steps: is shown at no step"),
    (f"{CS}/program.yaml", "tenant: {value: cedars, from: assigned}", "tenant: }", "is not YAML"),
    (f"{CS}/program.yaml", "value: cedars,", "value: &a cedars, quote: *a,", "has an alias"),
    (f"{KP}/program.yaml", "value: r4w8t3", "value: k7q2m9", "public_code: another program has it"),
    (f"{KP}/site.yaml", "staffed_opens: {value: hospital_must_fill", "staffed_opens: {value: 8 o'clock",
     "staffed_opens: "),
    ("policy.yaml", "surgery:\n    on-site: {steps: [P14D, P3D, P1D]",
     "surgery:\n    on-site: {steps: [P3D, P14D, P1D]",
     "policy.steps.surgery.on-site: must go from the earliest to the latest"),
    ("policy.yaml", "on-site: {steps: [P7D, P1D], confirm_at: P7D}", "on-site: {steps: [P7D, P1D], confirm_at: P3D}",
     "policy.steps.imaging.on-site: asks to confirm at P3D"),
    ("policy.yaml", "on-site: {steps: [P7D, P1D]", "on-site: {steps: [P7D, tomorrow]",
     "policy.steps.imaging.on-site.steps.1"),
    ("policy.yaml", "on-site: {steps: [P7D, P1D]", "on-sight: {steps: [P7D, P1D]", "policy.steps.imaging.on-sight"),
    ("policy.yaml", "rungs: [P14D, P7D, P3D]", "rungs: [P14D, P9D, P7D, P3D]", "P9D rides on no visit's step"),
    ("policy.yaml", "own: [P7D]", "own: [P7D, P5D]", "policy.paperwork.own: P5D is no rung"),
    ("policy.yaml", "rungs: [P14D, P7D, P3D]", "rungs: [P3D, P7D, P14D]", "policy.paperwork.rungs: must go from"),
    ("policy.yaml", 'care: {opens: "09:00", closes: "19:00"}', 'care: {opens: "19:00", closes: "09:00"}',
     "policy.windows.care: closes before it opens"),
    ("policy.yaml", "weekdays: [1, 2, 3, 4, 5]", "weekdays: []", "policy.windows.trials.weekdays: is open on no day"),
    ("policy.yaml", "weekdays: [1, 2, 3, 4, 5]", "weekdays: [0]", "policy.windows.trials.weekdays.0"),
    ("policy.yaml", 'hour: "10:00"', 'hour: "20:00"', "policy.hour: is outside the window for care"),
    ("policy.yaml", "horizon: PT12H", "horizon: 12 hours", "policy.late_booking.horizon: "),
    ("policy.yaml", "volume_per_hour: 500", "volume_per_hour: many", "policy.volume_per_hour: "),
    ("policy.yaml", "caps: {per_day: 1", "caps: {per_dy: 1", "policy.caps.per_dy: Extra inputs"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "reason"), BAD)
def test_a_problem_names_file_line_and_reason(root: Path, file: str, old: str, new: str, reason: str) -> None:
    line = spoil(root, file, old, new)
    wrong_lines = range(line, line + new.count("\n") + 1)
    problems = check_programs(root)
    assert any(each.file == file and each.line in wrong_lines and reason in each.reason for each in problems), problems


def test_a_problem_in_the_hospitals_own_policy_is_shown_there(root: Path) -> None:
    site = root / KP / "site.yaml"
    site.write_text(site.read_text() + 'policy:\n  from: hospital\n  value:\n    hour: "25:00"\n')
    (problem,) = check_programs(root)
    assert str(problem).startswith(f"{KP}/site.yaml:{len(site.read_text().splitlines())}: policy.hour: ")


@pytest.mark.parametrize("term", ["csf", "leak"])
def test_a_word_of_the_full_name_that_is_not_denied_is_a_problem(root: Path, term: str) -> None:
    path = root / CS / "program.yaml"
    path.write_text(re.sub(rf"(?im)^    - (?:CSF leak|{term})\n", "", path.read_text()))
    assert [each.reason for each in check_programs(root)] == [f"deny_list: lacks '{term}' of the program's full name"]


def test_all_problems_of_all_programs_are_named_at_once(root: Path) -> None:
    spoil(root, f"{CS}/program.yaml", "from: geography", "from: somewhere")
    spoil(root, f"{CS}/program.yaml", "public_name: {", "public_nam: {")
    spoil(root, f"{KP}/program.yaml", "value: r4w8t3", "value: R4!")
    assert {each.file for each in check_programs(root)} == {f"{CS}/program.yaml", f"{KP}/program.yaml"}
    assert len(check_programs(root)) == 3


@pytest.mark.parametrize("file", [f"{CS}/program.yaml", "policy.yaml"])
@pytest.mark.parametrize("content", [b"", b"just words", b"- a\n- b\n", b"\xff\xfe", b"a: \x01b\n", b"? [a]\n: b\n"])
def test_a_file_that_is_no_such_thing_is_a_problem_never_a_crash(root: Path, file: str, content: bytes) -> None:
    (root / file).write_bytes(content)
    assert file in {each.file for each in check_programs(root)}
    with pytest.raises(ProgramFilesError):
        load_programs(root)


def test_a_folder_without_its_page_or_policy_is_a_problem(root: Path) -> None:
    (root / CS / "program.yaml").unlink()
    assert f"{CS}/program.yaml:1: is missing" in map(str, check_programs(root))
    (root / "policy.yaml").unlink()
    assert "policy.yaml:1: is missing" in map(str, check_programs(root))


@pytest.mark.parametrize("field", ["visit_types", "policy", "preparation", "sites", "deny_list"])
@pytest.mark.parametrize("value", ["words", "[words]", "{a: words}", "''"])
def test_a_value_of_the_wrong_shape_is_a_problem_never_a_crash(root: Path, field: str, value: str) -> None:
    path = root / CS / "site.yaml"
    path.write_text(f"{path.read_text()}\n{field}: {{value: {value}, from: hospital}}\n")
    for problem in check_programs(root):
        assert problem.reason
    assert yaml.safe_load(path.read_text())
