"""Tests that share a system run on one worker: started on each, it costs seconds, and real topics have one name."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.scheduling import TOGETHER, group_of

ROOT = Path(__file__).parents[2]
TESTS = """
import os, pathlib, pytest

@pytest.mark.parametrize("number", range(4))
def test_it(number):
    with pathlib.Path("workers").open("a") as file:
        print(os.environ["PYTEST_XDIST_WORKER"], file=file)
"""


def test_whatever_runs_on_the_real_topics_is_one_group() -> None:
    stories = ("tests/e2e/test_demo_story.py::test_it[servers]", "tests/e2e/test_bad_records.py::test_it[servers-Ana]")
    assert {group_of(each) for each in stories} == {"topics"}
    assert (
        group_of("tests/e2e/test_demo_story.py::test_it[embedded]") == "tests/e2e/test_demo_story.py::test_it[embedded]"
    )


def test_every_file_that_is_kept_together_is_there() -> None:
    assert [each for each in TOGETHER if not (ROOT / each).is_file()] == []


def test_one_worker_runs_all_tests_of_such_a_file(tmp_path: Path) -> None:
    file = tmp_path / min(TOGETHER)
    file.parent.mkdir(parents=True)
    file.write_text(TESTS)
    (tmp_path / "tests/test_alone.py").write_text("def test_alone(): pass")
    options = ("-p", "xdist", "-p", "tests.support.scheduling", "-n", "2", "--dist", "loadgroup")
    bare = os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--rootdir", tmp_path, *options, tmp_path],
        cwd=tmp_path, env=bare, capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    workers = (tmp_path / "workers").read_text().split()
    assert len(workers) == 4
    assert len(set(workers)) == 1
