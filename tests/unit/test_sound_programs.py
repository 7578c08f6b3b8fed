"""A service doesn't start with a program that means nonsense."""

import shutil
from pathlib import Path

import pytest

import programs
from schemas.program_checks import sound_programs
from schemas.yaml_files import ProgramFilesError
from services.intake.__main__ import main as intake
from services.notifier.__main__ import main as notifier

KEY = '{"active": "k1", "keys": {"k1": "' + "A" * 43 + '="}}'


@pytest.fixture
def nonsense(tmp_path: Path) -> Path:
    """The shipped programs, one of them in a zone that doesn't exist."""
    folder = tmp_path / "programs"
    shutil.copytree(Path(programs.__file__).parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / "kaiser-norcal-csf" / "program.yaml"
    file.write_text(file.read_text().replace("America/Los_Angeles", "America/Nowhere"))
    return folder


def test_the_shipped_programs_are_sound() -> None:
    assert sorted(each.tenant for each in sound_programs().values()) == ["cedars", "kaiser"]


def test_nonsense_is_refused_with_file_line_and_reason(nonsense: Path) -> None:
    with pytest.raises(ProgramFilesError) as refused:
        sound_programs(nonsense)
    [problem] = refused.value.problems
    assert (problem.file, problem.line > 0) == ("kaiser-norcal-csf/program.yaml", True)
    assert "zone" in problem.reason


@pytest.mark.usefixtures("logging_restored")
@pytest.mark.parametrize(("name", "main"), [("INTAKE", intake), ("NOTIFIER", notifier)])
def test_a_service_does_not_start_with_it(
    name: str, main: object, nonsense: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {
        "KAFKA__BOOTSTRAP": "127.0.0.1:1", "STORE__URL": f"sqlite:///{nonsense}/x.db", "MASTER": KEY, "CONTACT": KEY,
        "PROGRAMS": str(nonsense),
    }  # fmt: skip
    own = {"FACTS": KEY} if name == "INTAKE" else {"ADDRESS_KEY": "x" * 32, "SMTP__HOST": "127.0.0.1"}
    for key, value in (settings | own).items():
        monkeypatch.setenv(f"{name}_{key}", value)
    assert callable(main)
    assert main(["serve"]) == 1
    assert "kaiser-norcal-csf/program.yaml" in capsys.readouterr().err
